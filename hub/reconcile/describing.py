"""What the events of a pass say besides what happened: the operation, its revisions, what changed (notifications.md 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hub.services.images as stored_images
from clusters.core.manifests import ResourceKey
from hub.core import images
from hub.models import Application, SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.work import Work
from hub.services import events, results

_ACTIONS = {
    "Pruned": "pruned",
    "Unchanged": "unchanged",
    **dict.fromkeys(("HookSkipped", "PruneSkipped", "SharedSkipped", "Kept"), "skipped"),
}
_ORDER = {"failed": 0, "unchanged": 2}
_MOST_PATHS = 3


def operation_view(operation: SyncOperation, work: Work | None = None) -> dict[str, Any]:
    """The operation as events carry it."""
    return {
        "id": str(operation.id),
        "number": operation.number,
        "kind": operation.kind,
        "phase": operation.phase,
        "attempt": operation.attempt,
        "started": bool(operation.started_at),
        "started_at": operation.started_at.isoformat() if operation.started_at else None,
        "finished_at": operation.finished_at.isoformat() if operation.finished_at else None,
        "message": operation.message,
        "dry_run": bool(operation.request.get("dry_run")),
        "initiator": operation.initiator,
        "moved": bool(work and work.moved),
        "ended_by_approval": str(operation.wait.get("code", "")).startswith("approval_"),
        "revisions": list(operation.revisions),
    }


def context_of(frame: Frame, work: Work | None) -> dict[str, Any]:
    """Operation, revisions and changes; called only by a pass that has something to tell."""
    found: dict[str, Any] = {"revisions": _listed(frame.app, _attempted(frame, work))}
    if work is None:
        found["changes"] = _unwell(frame)
    else:
        before = _before(work.operation)
        found |= {
            "operation": operation_view(work.operation, work),
            "changes": _changes(frame, results.reached(work.operation)),
            "previous_revisions": _listed(frame.app, before.revisions if before else ()),
        }
        found["images"] = _images(work, before.manifest_digest if before else "")
    return found


def _images(work: Work, before: str) -> list[dict[str, str]]:
    """Which images the operation brings in other versions; the first of an application brings none of them anew."""
    desired, digest = work.desired, work.operation.manifest_digest
    at_hand = (
        desired.manifests if desired is not None and desired.digest == digest and desired.loaded else None
    )
    now = stored_images.of(digest, at_hand)
    return images.changed(stored_images.of(before), now) if before not in ("", digest) else []


def drifted(differences: Sequence[tuple[ResourceKey, str, Sequence[Mapping[str, Any]]]]) -> list[str]:
    """What differs, one line per object: its fields and who wrote them, else why."""
    return [f"{key}: {_fields(lines) or reason}" for key, reason, lines in differences]


def _fields(lines: Sequence[Mapping[str, Any]]) -> str:
    said = []
    for line in lines[:_MOST_PATHS]:
        manager = f" (by {line['manager']})" if line.get("manager") else ""
        said.append(f"{line['path']}{manager}")
    rest = [f"{len(lines) - _MOST_PATHS} more fields"] if len(lines) > _MOST_PATHS else []
    return ", ".join([*said, *rest])


def _unwell(frame: Frame) -> list[dict[str, Any]]:
    """Without an operation nothing was done; what is degraded is what a message about health must name."""
    return [
        {
            "group": key.group,
            "version": row.version,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "action": "unchanged",
            "message": "",
            "health": row.health,
            "health_message": row.health_message,
            "phase": "",
        }
        for key, row in sorted(frame.rows.items())
        if row.health == "Degraded"
    ]


def _attempted(frame: Frame, work: Work | None) -> Sequence[str]:
    """The commits that were tried: those of the operation, else those that could not be rendered, else the newest."""
    if work is not None:
        asked = work.operation.request.get("revisions") or ()
        return work.operation.revisions or asked or _wanted(frame)
    return _wanted(frame)


def _wanted(frame: Frame) -> Sequence[str]:
    if not (frame.memory.get("source_problem") or {}).get("code"):
        return list(frame.app.revisions)
    known = list(frame.app.source_states.order_by("index").values_list("wanted", flat=True))
    return known if any(known) else list(frame.app.revisions)


def _before(operation: SyncOperation) -> SyncOperation | None:
    """The last operation that set the whole application."""
    if operation.number == 1:
        return None
    earlier = SyncOperation.objects.filter(
        application_id=operation.application_id,
        number__lt=operation.number,
        phase=SyncOperation.Phase.SUCCEEDED,
        kind__in=[SyncOperation.Kind.SYNC, SyncOperation.Kind.ROLLBACK],
    )
    return earlier.only("revisions", "manifest_digest").order_by("-number").first()


def _listed(app: Application, shas: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "repo": entry.get("repoURL", ""),
            "path": entry.get("path", ""),
            "ref": entry.get("targetRevision", ""),
            "sha": sha,
            "short": sha[:7],
            **({"url": page} if (page := events.commit_page(entry.get("repoURL", ""), sha)) else {}),
        }
        for entry, sha in zip(app.sources, shas, strict=False)
    ]


def _changes(frame: Frame, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Failed first, what stayed as it was last; a skipped hook says why."""
    return sorted((_change(frame, row) for row in rows), key=lambda change: _ORDER.get(change["action"], 1))


def _change(frame: Frame, row: dict[str, Any]) -> dict[str, Any]:
    held = frame.rows.get(ResourceKey(row["group"], row["kind"], row["namespace"], row["name"]))
    return {
        "group": row["group"],
        "version": held.version if held else "",
        "kind": row["kind"],
        "namespace": row["namespace"],
        "name": row["name"],
        "action": _action(row),
        "message": row["message"],
        "health": held.health if held else "",
        "health_message": held.health_message if held else "",
        "phase": row["phase"],
        **({"hook_reason": row["message"]} if row["code"] == "HookSkipped" else {}),
    }


def _action(row: Mapping[str, Any]) -> str:
    if row["state"] in {"Failed", "Error"}:
        return "failed"
    made = row["code"] == "Synced" and str(row["message"]).startswith(("created", "recreated"))
    return "created" if made else _ACTIONS.get(row["code"], "configured")
