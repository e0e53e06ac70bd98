"""What the look means: status and health of every resource, and of the Application (sync-semantics.md 6 to 8)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime

import hub.reconcile.autoscalers as autoscalers
import hub.reconcile.baselines as baselines
import hub.reconcile.comparing as comparing
import hub.reconcile.fencing as fencing
import hub.reconcile.sharing as sharing
import hub.reconcile.spaces as spaces
from clusters.core.diff import (
    ResourceFacts,
    ResourceVerdict,
    application_status,
    keeps_status,
    resource_status,
)
from clusters.core.health import Health, Part, aggregate
from clusters.core.health.reading import dig, number
from clusters.core.hooks import classify, finished_job, hook_set_digest, is_run_once
from clusters.core.manifests import Manifest, ResourceKey, managed_by, metadata_map
from clusters.core.plan import parse_sync_options
from clusters.core.plan.options import SYNC_OPTIONS, resource_options
from clusters.services import assess_health
from hub.core.schedule import TRANSIENT_CLUSTER, TRANSIENT_SOURCE
from hub.reconcile.frame import Frame
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired
from hub.services import health_rules, orphans

MOST_NAMED = 20


@dataclass
class Picture:
    """What people and automation see of one Application after a look.

    `in_place`: proven in place (same desired hash, valid Baseline, no Drift). `changed`: keys that differ.
    """

    sync: str = "Unknown"
    reason: str = ""
    health: Health = field(default_factory=lambda: Health("Unknown", ""))
    counts: dict[str, int] = field(default_factory=dict)
    verdicts: dict[ResourceKey, ResourceVerdict] = field(default_factory=dict)
    in_place: set[ResourceKey] = field(default_factory=set)
    changed: set[ResourceKey] = field(default_factory=set)
    extras: set[ResourceKey] = field(default_factory=set)
    gone: list[dict[str, str]] = field(default_factory=list)
    conditions: list[tuple[str, str, str]] = field(default_factory=list)
    drift_digest: str = ""
    # What is out of sync: reason and lines of the first of them, as they were at this look.
    differences: list[tuple[ResourceKey, str, list[dict[str, object]]]] = field(default_factory=list)
    target_moved: bool = False
    settled: bool = False
    kept: bool = False
    unknown_reason: str = ""


def health_of(frame: Frame, obj: Manifest, is_hook: bool = False) -> Health | None:
    """Health by the custom rules of Project and hub where they speak of the kind, else by the built-in ones (8.3)."""
    rules = frame.caches.get("health_rules")
    if rules is None:
        rules = frame.caches["health_rules"] = health_rules.book_of(frame.app.project)
    return assess_health(obj, rules, is_hook=is_hook)


def judge(frame: Frame, desired: Desired, seen: Seen) -> Picture:
    """Compare what is wanted with what is there. Rows of resources are updated; nothing is stored yet."""
    with frame.stage("judge"):
        picture = Picture(target_moved=bool(desired.digest) and desired.digest != frame.app.synced_digest)
        if _cannot_judge(frame, desired, seen, picture):
            return picture
        comparing.read_owners(frame, desired, seen)
        parts = [_resource(frame, desired, seen, picture, key) for key in sorted(desired.by_key)]
        parts += _extras(frame, desired, seen, picture)
        _conditions(frame, desired, seen, picture)
        space_differs = spaces.differs(frame, desired, seen)
        if space_differs:
            picture.changed.add(spaces.key_of(frame))
        verdict = application_status(
            picture.verdicts.values(),
            namespace_differs=space_differs,
            hooks_differ=_hooks_differ(frame, desired),
        )
        picture.sync, picture.counts = verdict.status, dict(verdict.reasons)
        picture.reason = max(verdict.reasons, key=lambda reason: verdict.reasons[reason], default="")
        picture.unknown_reason = (
            verdict.messages[0] if verdict.messages and verdict.status == "Unknown" else ""
        )
        picture.health = aggregate(parts)
        picture.settled = picture.sync == "Synced" and all(_observed(part.live) for part in parts)
        picture.drift_digest = _digest(frame, picture)
        return picture


def _cannot_judge(frame: Frame, desired: Desired, seen: Seen, picture: Picture) -> bool:
    """Errors that may pass keep the last status for a while; then Unknown (7.4)."""
    asked = frame.lease.level >= 3
    frame.kept_until = None
    if seen.problem is None:
        frame.memory.pop("cluster_problem", None)
    if seen.problem is not None:
        since = _time(frame.memory.setdefault("cluster_problem", frame.now.isoformat()))
        kept, until = keeps_status(since, frame.now, source=False), since + TRANSIENT_CLUSTER
        picture.conditions.append(
            (
                "ComparisonError",
                f"cluster {frame.app.cluster.name}: {seen.problem.message}",
                seen.problem.code,
            )
        )
    elif desired.problem is not None and not desired.loaded:
        kept, until = False, frame.now
    elif desired.problem is not None:
        until = desired.problem.since + TRANSIENT_SOURCE
        kept = not desired.problem.permanent and keeps_status(
            desired.problem.since, frame.now, source=True, user_refresh=asked
        )
    else:
        return False
    picture.kept = True
    error = seen.problem.message if seen.problem else desired.problem.message if desired.problem else ""
    picture.unknown_reason = error
    if kept and frame.app.sync_status != "Unknown":
        frame.kept_until = until
        picture.sync, picture.counts = frame.app.sync_status, dict(frame.app.counts)
        picture.health = Health(frame.app.health_status, frame.app.health_message)
        return True
    picture.sync = "Unknown"
    picture.health = Health("Unknown", error[:300]) if seen.problem else _last_health(frame)
    picture.counts = {"unreachable" if seen.problem else "not_loadable": 1}
    return True


def _last_health(frame: Frame) -> Health:
    return Health(frame.app.health_status, frame.app.health_message)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _resource(frame: Frame, desired: Desired, seen: Seen, picture: Picture, key: ResourceKey) -> Part:
    """One wanted resource: its row, its verdict, its part in the health of the whole."""
    target, live = desired.by_key[key], seen.live.get(key)
    row = frame.rows.get(key)
    known = key in seen.live
    had_baseline = bool(row and row.baseline)
    lines: list[dict[str, object]] = []
    changed, error, strict = False, "", False
    shared = sharing.owner_elsewhere(frame, live, key)
    if live is not None:
        changed, lines, error = comparing.differs(frame, desired, key, target, live)
        if not changed and not error:
            # Not to be healed: the next apply would be changed in the same way.
            admitted, strict = baselines.admitted(frame, key, target)
            lines = [*admitted, *lines]
    finished = live is None and known and row is not None and bool(row.completed_at) and is_run_once(target)
    facts = ResourceFacts(
        live=live is not None,
        complete=known,
        comparison_error=error or seen.unknown.get(key, ""),
        # Of a kind that is not served nobody can say whether it is permitted: it is missing, and the sync says why.
        permitted=key not in fencing.violations(frame, desired, seen.discovery)
        or seen.discovery.find(key.group, key.kind) is None,
        run_once_finished=finished and row is not None and row.desired_hash == desired.hashes[key],
        shared_with=shared,
        changed=changed or strict,
        deleting=bool(live and live["metadata"].get("deletionTimestamp")),
    )
    verdict = resource_status(facts)
    if strict and verdict.reason == "changed":
        verdict = replace(verdict, message="was changed on admission", automation_acts=False)
    if live is not None and verdict.status != "Unknown" and (note := autoscalers.reason(frame, target)):
        verdict = replace(verdict, message=f"{verdict.message}; {note}" if verdict.message else note)
    picture.verdicts[key] = verdict
    if verdict.status == "OutOfSync" and verdict.automation_acts:
        picture.changed.add(key)
    elif verdict.status == "Synced" and had_baseline and live is not None and not shared:
        picture.in_place.add(key)
    if had_baseline and known and live is None and not facts.run_once_finished:
        picture.gone.append({"key": str(key), "uid": row.uid if row else ""})
    health = health_of(frame, live) if live is not None else None
    if facts.run_once_finished and row is not None and row.health:
        health = Health(row.health, row.health_message)
    _write_row(frame, key, verdict, health, live, lines, had_baseline)
    frame.change(key, wave=desired.classes[key].wave, version=target["apiVersion"].rpartition("/")[2])
    if facts.run_once_finished:
        # Removed by its TTL: it counts as there, with its last result (12 rule 10).
        return Part(key, health, target, had_baseline=False)
    return Part(key, health, live, had_baseline=had_baseline)


def _write_row(
    frame: Frame,
    key: ResourceKey,
    verdict: ResourceVerdict,
    health: Health | None,
    live: Manifest | None,
    lines: list[dict[str, object]],
    had_baseline: bool,
) -> None:
    missing = live is None and verdict.reason == "missing"
    frame.change(
        key,
        status=verdict.status or "",
        reason=verdict.reason,
        message=verdict.message[:500],
        health="Missing" if missing else health.status if health else "",
        health_message="" if missing or not health else health.message[:500],
        drift=lines,
    )
    if live is not None and not had_baseline:
        frame.change(key, uid=live["metadata"].get("uid", ""))
    if live is not None and finished_job(live):
        row = frame.row(key)
        if row.completed_at is None:
            frame.change(key, completed_at=frame.now)


def _extras(frame: Frame, desired: Desired, seen: Seen, picture: Picture) -> list[Part]:
    """Managed objects that nobody wants any more, and rows of objects that are gone."""
    parts = []
    hooks = {key for key, found in desired.classes.items() if found.kind != "resource"}
    for key, live in sorted(seen.live.items()):
        if key in desired.by_key or live is None or key in hooks:
            continue
        if managed_by(live, frame.app.name, frame.hub_id) and not _is_hook(live):
            facts = ResourceFacts(wanted=False, ignore_extraneous=_ignores_extraneous(live))
            verdict = resource_status(facts)
            picture.verdicts[key] = verdict
            picture.extras.add(key)
            frame.caches.setdefault("extras", {})[key] = live
            health = health_of(frame, live)
            _write_row(
                frame, key, verdict, health, live, [], bool(frame.rows.get(key) and frame.rows[key].baseline)
            )
            parts.append(Part(key, health, live, had_baseline=False))
    for key in list(frame.rows):
        # Gone, or in other hands by now.
        gone = key in seen.live or frame.excludes(key)
        if key not in desired.by_key and key not in picture.extras and (gone or key in hooks):
            frame.forget(key)
    return parts


def _is_hook(live: Manifest) -> bool:

    return classify(live).kind == "hook"


def _ignores_extraneous(live: Manifest) -> bool:
    options = str((live["metadata"].get("annotations") or {}).get("argocd.argoproj.io/compare-options", ""))
    return "IgnoreExtraneous" in [word.strip() for word in options.split(",")]


def _conditions(frame: Frame, desired: Desired, seen: Seen, picture: Picture) -> None:
    for finding in desired.parts.findings:
        picture.conditions.append((finding.code, finding.message, ""))
    for item in desired.parts.invalid[:20]:
        picture.conditions.append(("InvalidSpec", f"{item.label}: {item.message}", "invalid_object"))
    for warning in desired.warnings[:20]:
        picture.conditions.append(("SourceWarning", warning, ""))
    for sentence in _not_understood(frame, desired)[:20]:
        picture.conditions.append(("InvalidAnnotation", sentence, "not_understood"))
    for key, verdict in picture.verdicts.items():
        # A listing that failed is said once for its kind, not once for every object of it.
        if verdict.reason == "not_comparable" and key[:2] not in seen.incomplete:
            picture.conditions.append(("ComparisonError", f"{key}: {verdict.message}", "not_comparable"))
        if verdict.reason == "shared":
            picture.conditions.append(("SharedResource", f"{key} {verdict.message}", ""))
    if said := orphans.sentence(frame.app):
        picture.conditions.append(("OrphanedResource", said, ""))
    for key, name in sharing.wished_by_others(frame):
        if picture.verdicts.get(key) is not None and picture.verdicts[key].reason != "shared":
            picture.conditions.append(("SharedResource", f"{key} is wanted by application {name}, too", ""))
    for key, found in desired.classes.items():
        if found.unknown and found.kind == "ignored":
            picture.conditions.append(
                ("UnknownHook", f"{key}: hook {', '.join(found.unknown)} is not known", "")
            )
    for kind, reason in list(seen.incomplete.items())[:10]:
        picture.conditions.append(
            (
                "ComparisonError",
                f"listing of {'/'.join(part for part in kind if part)} is incomplete: {reason}",
                "incomplete",
            )
        )
    for key, sentence in list(fencing.violations(frame, desired, seen.discovery).items())[:20]:
        picture.conditions.append(("InvalidSpec", f"{key}: {sentence}", "ProjectPolicyViolation"))


def _not_understood(frame: Frame, desired: Desired) -> list[str]:
    """A sentence for each object whose annotations, and for the Application whose options, say what nobody knows."""
    app_options, sentences = parse_sync_options((frame.app.sync_policy or {}).get("sync_options"))
    found = [f"sync_options: {'; '.join(sentences)}"] if sentences else []
    for key, classified in desired.classes.items():
        warnings = () if classified.kind == "ignored" and classified.unknown else classified.warnings
        manifest = desired.by_key.get(key)
        if manifest is not None and SYNC_OPTIONS in metadata_map(manifest, "annotations"):
            warnings += resource_options(app_options, manifest)[1]
        if warnings:
            found.append(f"{key}: {'; '.join(warnings)}")
    return found


def _hooks_differ(frame: Frame, desired: Desired) -> bool:
    """Row 10: another hook set, at another Revision than the last full sync."""
    app = frame.app
    if not app.synced_digest:
        # Nothing but hooks: no resource says that the first sync is due.
        return desired.loaded and not desired.by_key and desired.hooks_digest != hook_set_digest(())
    return desired.hooks_digest != app.hooks_digest and list(desired.revisions) != app.synced_revisions


def _observed(live: Manifest | None) -> bool:
    """The controller has seen the generation that is there; what is no number says nothing (some kinds write texts)."""
    if live is None:
        return False
    seen = str(dig(live, "status", "observedGeneration") or "")
    return not seen.isdecimal() or int(seen[:20]) >= number(live, "metadata", "generation")


def _digest(frame: Frame, picture: Picture) -> str:
    """Identity of the present difference: keys, paths and keyed marks of their values (notifications.md 2)."""
    if picture.sync != "OutOfSync":
        return ""
    hashed = hashlib.sha256()
    for key, verdict in sorted(picture.verdicts.items()):
        if verdict.status == "OutOfSync":
            row = frame.rows.get(key)
            counted = [line for line in (row.drift if row else []) if not line["ignored_by"]]
            paths = [str(line["path"]) for line in counted]
            if len(picture.differences) < MOST_NAMED:
                picture.differences.append((key, verdict.reason, counted))
            hashed.update(f"{key}|{verdict.reason}|{';'.join(paths)}|{frame.marks.get(key, '')}\n".encode())
    return hashed.hexdigest()
