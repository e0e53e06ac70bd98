"""What happened: a pure comparison of an application before and after, as Events with unique keys.

`happened(before, after, memory)` is called with two State mappings and the episode memory of the application; the
service stores the Events in the transaction of the change, conflict-tolerant by key, so a repeated pass inserts
nothing (notifications.md 2). Unknown "before" tells nothing of drift and health: a restart or a restored database
announces nothing. An operation is never older than its application, so what a first pass did is told.

State keys: sync, sync_reason (missing, extra, changed, ...), drift_digest, drift_count, target_moved (bool: the
desired state moved on), auto_sync (bool), health, health_message, settled (bool: every managed object healthy at a
generation it has observed), cluster_ok (bool), operation (mapping or None: id, number, kind, phase, started, message,
dry_run, moved, initiator, attempt, ended_by_approval), fights ([{key, field, manager}]), gone ([key text]).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

State = Mapping[str, Any]
Memory = dict[str, Any]
ENDED = {"Succeeded", "Failed", "Error"}
WELL = {"Healthy", "Suspended"}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing worth a row. `key` is unique for ever; `ends` is the key of the Event this one resolves."""

    name: str
    key: str
    severity: str
    summary: str
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    ends: str = ""


def happened(
    app: str, name: str, before: State | None, after: State, memory: Memory
) -> tuple[list[Event], Memory]:
    """Events between two states of application `app` (its uid) called `name`, and the memory for the next call."""
    memory = {key: dict(value) if isinstance(value, dict) else value for key, value in memory.items()}
    if before is None:
        _open_silently(after, memory)
        return _operation(name, {}, after, memory), memory
    events = [
        *_operation(name, before, after, memory),
        *_drift(app, name, before, after, memory),
        *_health(app, name, after, memory),
        *_unknown(app, name, before, after, memory),
        *_fights(app, name, before, after),
        *_gone(app, name, before, after),
    ]
    return events, memory


def _open_silently(after: State, memory: Memory) -> None:
    """First sight: what is open now counts as told."""
    if after["health"] == "Degraded":
        memory["health"] = {"n": 1, "open": True, "told": False}
    if after["sync"] == "OutOfSync" and after.get("drift_digest"):
        memory["drift"] = {"n": 1, "open": True, "digest": after["drift_digest"], "told": False}


def _operation(name: str, before: State, after: State, memory: Memory) -> list[Event]:
    now, then = after.get("operation"), before.get("operation") or {}
    # The end of an application is no sync; it is told once, as `deleted`.
    if not now or now.get("dry_run") or now["kind"] == "delete":
        return []
    same = then.get("id") == now["id"]
    who = (now.get("initiator") or {}).get("name") or "the hub"
    events = []
    if now.get("started") and not (same and then.get("started")) and now["phase"] != "Superseded":
        memory["operation"] = now["id"]
        memory.pop("deploying", None)
        what = "Self-heal" if now["kind"] == "self-heal" else now["kind"].capitalize()
        events.append(
            Event(
                "sync-started",
                f"{now['id']}/started",
                "info",
                f"{what} of {name} started, asked by {who}",
                _reason(now),
            )
        )
    ended = now["phase"] in ENDED and not (same and then.get("phase") in ENDED)
    if ended and not now.get("ended_by_approval"):
        events.append(_end(name, now, memory))
        if now["phase"] == "Succeeded" and now["kind"] == "self-heal":
            events.append(
                Event("self-healed", f"{now['id']}/healed", "info", f"{name} was healed", "self-heal")
            )
        if now["phase"] == "Succeeded" and now["kind"] == "rollback":
            events.append(
                Event(
                    "rollback",
                    f"{now['id']}/rollback",
                    "warning",
                    f"{name} was rolled back by {who}",
                    "rollback",
                )
            )
    events += _deployed(name, now, after, memory, ended)
    return events


def _end(name: str, operation: Mapping[str, Any], memory: Memory) -> Event:
    if operation["phase"] == "Succeeded":
        ends = memory.pop("failed", "")
        return Event(
            "sync-succeeded",
            f"{operation['id']}/ended",
            "success",
            f"{name} is synced: {operation['message']}",
            _reason(operation),
            ends=ends,
        )
    memory["failed"] = f"{operation['id']}/ended"
    return Event(
        "sync-failed",
        f"{operation['id']}/ended",
        "error",
        f"Sync of {name} failed: {operation['message']}",
        _reason(operation),
    )


def _reason(operation: Mapping[str, Any]) -> str:
    """Why it ran: self-heal, rollback, git for what began by itself, manual for what a person or robot asked for."""
    if operation["kind"] in ("self-heal", "rollback"):
        return str(operation["kind"])
    return "git" if (operation.get("initiator") or {}).get("kind") == "automation" else "manual"


def _deployed(
    name: str, operation: Mapping[str, Any], after: State, memory: Memory, ended: bool
) -> list[Event]:
    """Told once an operation that brought other manifests or Revisions succeeded and all is healthy since."""
    if (
        ended
        and operation["phase"] == "Succeeded"
        and operation.get("moved")
        and operation["kind"] != "self-heal"
    ):
        memory["deploying"] = operation["id"]
    if memory.get("deploying") != operation["id"] or not after.get("settled") or after["health"] not in WELL:
        return []
    del memory["deploying"]
    summary = f"{name} is deployed and healthy"
    return [Event("deployed", f"{operation['id']}/deployed", "success", summary, _reason(operation))]


def _drift(app: str, name: str, before: State, after: State, memory: Memory) -> list[Event]:
    episode = memory.setdefault("drift", {"n": 0, "open": False, "digest": "", "told": False})
    if after["sync"] == "Synced" and episode["open"]:
        episode.update(open=False, digest="")
        if not episode.pop("told", True):
            return []
        how = _how(before, after)
        return [
            Event(
                "drift-resolved",
                f"{app}/drift/{episode['n']}/resolved",
                "success",
                f"{name} is in sync again",
                how,
                {"how": how, "episode": episode["n"]},
                ends=episode.get("event", ""),
            )
        ]
    told_by_operation = after.get("target_moved") and after.get("auto_sync")
    digest = after.get("drift_digest") or ""
    if after["sync"] != "OutOfSync" or not digest or digest == episode["digest"] or told_by_operation:
        return []
    if not episode["open"]:
        episode.update(open=True, n=episode["n"] + 1)
        episode.pop("event", None)
    previous, episode["digest"], episode["told"] = episode["digest"], digest, True
    key = f"{app}/drift/{episode['n']}/{digest[:16]}"
    episode.setdefault("event", key)
    reason = "new-revision" if after.get("target_moved") else "live-changed"
    sentence = (
        f"{name} is out of sync: Git moved on" if after.get("target_moved") else f"{name} drifted from Git"
    )
    data = {
        "digest": digest,
        "previous_digest": previous,
        "count": after.get("drift_count", 0),
        "episode": episode["n"],
    }
    return [Event("drift-detected", key, "warning", sentence, reason, data)]


def _how(before: State, after: State) -> str:
    """An operation that ended in an earlier pass has no part in what is in sync only now."""
    now, then = after.get("operation") or {}, before.get("operation") or {}
    known = (then.get("id"), then.get("phase")) == (now.get("id"), now.get("phase"))
    if not now or now.get("dry_run") or (known and now["phase"] in {*ENDED, "Superseded"}):
        return "reverted"
    return "self-heal" if now["kind"] == "self-heal" else "sync"


def _health(app: str, name: str, after: State, memory: Memory) -> list[Event]:
    """Degraded opens an episode; Healthy or Suspended ends it; Progressing and Unknown do neither."""
    episode = memory.setdefault("health", {"n": 0, "open": False, "told": False})
    if after["health"] == "Degraded" and not episode["open"]:
        episode.update(open=True, n=episode["n"] + 1, told=True)
        message = after.get("health_message") or "a resource is degraded"
        return [
            Event(
                "health-degraded", f"{app}/health/{episode['n']}", "error", f"{name} is degraded: {message}"
            )
        ]
    if after["health"] in WELL and episode["open"]:
        episode["open"] = False
        if not episode["told"]:
            return []
        opening = f"{app}/health/{episode['n']}"
        return [
            Event(
                "health-recovered",
                f"{opening}/recovered",
                "success",
                f"{name} is healthy again",
                ends=opening,
            )
        ]
    return []


def _unknown(app: str, name: str, before: State, after: State, memory: Memory) -> list[Event]:
    """The state cannot be computed though the cluster answers; a lost cluster has an event of its own."""
    episode = memory.setdefault("unknown", {"n": 0, "open": False})
    was_known = before["sync"] != "Unknown" or not before.get("cluster_ok")
    if after["sync"] == "Unknown" and was_known and after.get("cluster_ok") and not episode["open"]:
        episode.update(open=True, n=episode["n"] + 1)
        why = after.get("unknown_reason") or "it cannot be compared"
        return [
            Event(
                "status-unknown",
                f"{app}/unknown/{episode['n']}",
                "warning",
                f"Status of {name} is unknown: {why}",
            )
        ]
    if after["sync"] != "Unknown" and episode["open"]:
        episode["open"] = False
        opening = f"{app}/unknown/{episode['n']}"
        return [
            Event(
                "status-known",
                f"{opening}/known",
                "success",
                f"Status of {name} is known again",
                ends=opening,
            )
        ]
    return []


def _fights(app: str, name: str, before: State, after: State) -> list[Event]:
    known = {(fight["key"], fight["field"], fight.get("n", 0)) for fight in before.get("fights") or ()}
    return [
        Event(
            "self-heal-fight",
            f"{app}/fight/{fight['key']}/{fight['field']}/{fight.get('n', 0)}"[:255],
            "warning",
            f"{fight['manager']} keeps changing {fight['field']} of {fight['key']} in {name}",
            "self-heal",
            {"manager": fight["manager"], "field": fight["field"]},
        )
        for fight in after.get("fights") or ()
        if (fight["key"], fight["field"], fight.get("n", 0)) not in known
    ]


def _gone(app: str, name: str, before: State, after: State) -> list[Event]:
    """Objects that had a Baseline and were deleted outside Git (sync-semantics.md 12 rule 12)."""
    known = {entry["key"] for entry in before.get("gone") or ()}
    return [
        Event(
            "object-deleted",
            f"{app}/gone/{entry['uid'] or entry['key']}"[:255],
            "warning",
            f"{entry['key']} of {name} was deleted outside Git",
        )
        for entry in after.get("gone") or ()
        if entry["key"] not in known
    ]
