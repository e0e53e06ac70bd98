"""The end of a pass: status, events and the next look in one transaction that the fence guards."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import close_old_connections, transaction
from django.utils import timezone

import hub.reconcile.autoscalers as autoscalers
import hub.reconcile.describing as describing
import hub.reconcile.work as works
import hub.services.statements as statements
from clusters.core.manifests import ResourceKey
from hub.core import schedule
from hub.core.events import Event as Happened
from hub.core.events import happened
from hub.core.switches import is_automated
from hub.models import Application, ResourceStatus, SyncOperation
from hub.models.operation import UNFINISHED
from hub.reconcile.frame import Frame
from hub.reconcile.judging import Picture
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work
from hub.services import approvals, events, leases, operations

log = structlog.get_logger(__name__)

STATUS_FIELDS = (
    "sync_status",
    "health_status",
    "health_message",
    "conditions",
    "revisions",
    "synced_revisions",
    "manifest_digest",
    "synced_digest",
    "hooks_digest",
    "counts",
    "gate",
    "memory",
    "observed_generation",
    "stages",
    "event_seq",
)
# Gates of sync-semantics.md 9.1 that people opened or close: a pin, a window, the refusal to delete everything.
NO_SYNC = {4, 6, 9}
ROW_FIELDS = [
    "version",
    "status",
    "reason",
    "message",
    "health",
    "health_message",
    "is_hook",
    "adopted",
    "wave",
    "desired_hash",
    "baseline",
    "uid",
    "resource_version",
    "drift",
    "completed_at",
]


def conclude(
    frame: Frame,
    desired: Desired,
    seen: Seen,
    picture: Picture,
    work: Work | None,
    found: Picture | None = None,
) -> None:
    """Store what this pass saw and did, and give the lease back. A lost lease stores nothing."""
    app = frame.app
    before = dict(frame.memory.get("state") or {}) or None
    frame.memory.pop("failures", None)
    # Another document may subscribe: its triggers look at once, so that what comes next is news to them.
    frame.result.anew = app.observed_generation != app.generation
    _describe(frame, desired, picture, work)
    state = _state(frame, picture, seen, work)
    told, memory = _happened(frame, before, state, found, seen)
    if work is not None and work.operation.kind == SyncOperation.Kind.DELETE:
        # What the hub takes away itself has neither drifted nor been deleted outside Git; the end is told as `deleted`.
        told = []
    frame.memory["episodes"], frame.memory["state"] = memory, state
    frame.result.changed = frame.result.anew or state != before
    frame.settle()
    app.memory = frame.memory
    again = _next_look(frame, seen, work)
    asked = False
    with frame.stage("save"), transaction.atomic():
        if work is not None:
            work.save_values()
            asked = works.save_operation(frame, work)
            frame.last_number = work.operation.number
        save_rows(frame)
        context = describing.context_of(frame, work) if told else {}
        if told:
            differing = found if found is not None and found.differences else picture
            context["drifted"] = describing.drifted(differing.differences)
        if told and work is not None and asked:
            context["approval"] = approvals.thread_of(work.operation)
        frame.result.events += events.store(app, told, context)
        save_application(frame, again)
    leases.keeper.drop(frame.lease)
    frame.result.phase, frame.result.app = app.operation_phase, app
    frame.result.kinds = frozenset(key[:2] for key in frame.rows) | autoscalers.kinds_of(frame)


def _happened(
    frame: Frame, before: dict[str, Any] | None, state: dict[str, Any], found: Picture | None, seen: Seen
) -> tuple[list[Happened], dict[str, Any]]:
    """Events of this pass. Drift that was found and healed in one pass is told as both (notifications.md 2)."""
    app, memory = frame.app, dict(frame.memory.get("episodes") or {})
    earlier: list[Happened] = []
    if before is not None and found is not None and found.sync == "OutOfSync" and state["sync"] == "Synced":
        between = _state(frame, found, seen, None)
        earlier, memory = happened(str(app.id), app.name, before, between, memory)
        before = between
    later, memory = happened(str(app.id), app.name, before, state, memory)
    return [*earlier, *later], memory


def _describe(frame: Frame, desired: Desired, picture: Picture, work: Work | None) -> None:
    app = frame.app
    app.sync_status, app.counts = picture.sync, picture.counts
    app.health_status, app.health_message = picture.health.status, picture.health.message[:500]
    app.operation_phase = work.operation.phase if work is not None else _ended(app.operation_phase)
    if frame.another_waits and app.operation_phase not in UNFINISHED:
        app.operation_phase = SyncOperation.Phase.QUEUED
    app.observed_generation = app.generation
    if desired.problem is not None:
        transient = (
            not desired.problem.permanent and frame.now - desired.problem.since < schedule.TRANSIENT_SOURCE
        )
        frame.condition(
            "SourceWarning" if transient else "ComparisonError", desired.problem.message, desired.problem.code
        )
    else:
        frame.memory.pop("source_problem", None)
    for condition in picture.conditions:
        frame.condition(*condition)
    if work is not None and work.ended and work.operation.phase in {"Failed", "Error"}:
        frame.memory["sync_error"] = [work.operation.message[:500], work.operation.number]
    elif work is not None and work.ended:
        frame.memory.pop("sync_error", None)
    if work is not None and work.stalled and not work.ended:
        frame.condition("Stalled", work.stalled, "stalled")
    retries = work is not None and work.operation.kind == SyncOperation.Kind.DELETE and not work.ended
    if work is not None and retries and work.operation.retry_at is not None:
        frame.condition("DeletionError", work.operation.message, "retry")
    if frame.memory.get("sync_error"):
        frame.condition("SyncError", frame.memory["sync_error"][0])
    app.conditions = frame.conditions
    app.stages = {**frame.stages, "at": frame.now.isoformat()}


def _ended(phase: str) -> str:
    """Another process ended or superseded it; what is shown is never an operation that nobody runs."""
    return "" if phase in UNFINISHED else phase


def _state(frame: Frame, picture: Picture, seen: Seen, work: Work | None) -> dict[str, Any]:
    """What the next comparison of events starts from (see hub.core.events)."""
    last = frame.memory.get("state") or {}
    previous, now = last.get("operation"), frame.now.isoformat()
    # A newer Revision that nothing will apply for now is told as drift: no operation tells it.
    held = work is None and frame.app.gate.get("gate") in NO_SYNC
    return {
        "sync": picture.sync,
        "sync_reason": picture.reason,
        "drift_digest": picture.drift_digest,
        "drift_count": len(picture.changed),
        "target_moved": picture.target_moved,
        "auto_sync": is_automated(frame.app.sync_policy) and not held,
        "health": picture.health.status,
        "health_message": picture.health.message,
        "health_since": _since(last, "health", picture.health.status, now),
        "sync_since": _since(last, "sync", picture.sync, now),
        "settled": picture.settled,
        "cluster_ok": seen.problem is None,
        "unknown_reason": picture.unknown_reason,
        "operation": describing.operation_view(work.operation, work) if work is not None else previous,
        "fights": frame.memory.get("fights") or [],
        "gone": picture.gone,
    }


def _since(last: Mapping[str, Any], name: str, status: str, now: str) -> str:
    """When the status became what it is."""
    return str(last.get(f"{name}_since") or now) if last.get(name) == status else now


def _next_look(frame: Frame, seen: Seen, work: Work | None) -> datetime:
    """When somebody must look again without being told; below a minute a timer of this process does it."""
    running = work is not None and not work.ended
    failed = bool(frame.memory.get("failures"))
    moments = (work.wait_until if work else None, _timer(frame), frame.kept_until, frame.source_again)
    timers = [moment for moment in moments if moment is not None]
    facts = schedule.LookFacts(
        now=timezone.now(),
        seed=str(frame.app.id),
        watched=seen.watched,
        wait_until=min(timers) if timers else None,
        operation_running=running,
        failures=int(frame.memory.get("failures") or 0) if failed else 0,
    )
    at = schedule.next_look(facts)
    if work is not None and work.ended:
        at = timezone.now() if _goes_on(frame, work) else at
        if frame.app.deletion_requested_at is not None:
            at = min(at, timezone.now() + schedule.DELETION_AGAIN)
    frame.result.again_in_s = max(0.0, (at - timezone.now()).total_seconds())
    return at


def _goes_on(frame: Frame, work: Work) -> bool:
    """After an operation: what comes next (a newer revision, the deletion that waited, the next attempt and when) is
    decided by a fresh pass."""
    deletes = frame.app.deletion_requested_at is not None
    return (
        work.operation.kind != SyncOperation.Kind.DELETE if deletes else frame.app.sync_status == "OutOfSync"
    )


def _timer(frame: Frame) -> datetime | None:
    """What this pass was early enough for; a timer that ran out before it has done its work, whatever it was set for."""
    text = frame.memory.get("timer")
    at = datetime.fromisoformat(text) if text else None
    if at is not None and at <= frame.now:
        del frame.memory["timer"]
        return None
    return at


def save_rows(frame: Frame, only: Set[ResourceKey] | None = None) -> None:
    """One upsert for the rows that changed, one delete for those that are gone (performance.md 3.7).

    `only`: store no more than these of the changed rows; the others wait for the end of the pass.
    """
    chosen = frame.dirty if only is None else frame.dirty & only
    if chosen:
        rows = [frame.rows[key] for key in sorted(chosen) if key in frame.rows]
        for row in rows:
            row.id = None
        statements.insert(
            rows, unique=["application", "group", "kind", "namespace", "name"], update=ROW_FIELDS
        )
        frame.dirty = frame.dirty - chosen
    if only is not None:
        return
    for key in frame.dropped:
        ResourceStatus.objects.filter(
            application=frame.app, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name
        ).delete()
    frame.dropped.clear()


def save_application(frame: Frame, again: datetime, lost_passes: int = 0) -> None:
    app, lease = frame.app, frame.lease
    values = {name: getattr(app, name) for name in STATUS_FIELDS}
    if frame.kept_until is None:
        values["status_at"] = timezone.now()
    values |= {"lease_until": None, "lease_owner": "", "lost_passes": lost_passes}
    unasked = [
        ("next_look_at", statements.moment(again)),
        ("look_level", 0),
    ]
    # Somebody who asked meanwhile is not forgotten: only an unasked row gets these.
    computed: list[tuple[str, list[Any]]] = [
        (f"{column} = CASE WHEN look_count = %s THEN %s ELSE {column} END", [lease.seen, value])
        for column, value in unasked
    ]
    # An operation that was asked for meanwhile keeps its mark, so that the next pass loads it; a mere look does not.
    queued = "operation_phase = 'Queued' AND look_count <> %s"
    phase = f"operation_phase = CASE WHEN {queued} THEN operation_phase ELSE %s END"
    computed.append((phase, [lease.seen, app.operation_phase]))
    newer = "operation_seq = CASE WHEN operation_seq < %s THEN %s ELSE operation_seq END"
    computed.append((newer, [frame.last_number, frame.last_number]))
    mine = "id = %s AND fence = %s"
    keys = [statements.key(app.id), lease.fence]
    saved = statements.update(Application, values, mine, keys, computed=computed)
    if not saved:
        raise leases.LeaseLost(str(app.id))


def paused(frame: Frame, reason: str) -> None:
    """Nothing is compared: the status keeps its last value, marked as paused."""
    frame.condition("Paused", f"paused: {reason}", "paused")
    _keep_status(frame, timezone.now() + schedule.HOUR)


def waiting(frame: Frame) -> None:
    """A detach that could not be finished: the reason is shown, and it is tried again."""
    frame.memory["failures"] = int(frame.memory.get("failures") or 0) + 1
    facts = schedule.LookFacts(
        now=timezone.now(), seed=str(frame.app.id), watched=False, failures=frame.memory["failures"]
    )
    _keep_status(frame, schedule.next_look(facts))


def _keep_status(frame: Frame, again: datetime) -> None:
    frame.app.conditions, frame.app.memory = frame.conditions, frame.memory
    frame.app.observed_generation = frame.app.generation
    frame.result.again_in_s = max(0.0, (again - timezone.now()).total_seconds())
    save_application(frame, again)
    leases.keeper.drop(frame.lease)


def broken(lease: leases.Lease) -> None:
    """A pass ended by an unexpected error: a condition says so, the row is looked at later, others go on."""
    app = lease.application
    leases.keeper.drop(lease)
    # The error may be that of a broken connection: a new one can still give the lease back.
    close_old_connections()
    # What is stored and not what the pass made of it: that may be the very thing that cannot be stored.
    stored = Application.objects.filter(id=app.id).values("conditions", "memory").first()
    kept = stored or {"conditions": [], "memory": {}}
    failures = int((kept["memory"] or {}).get("failures") or 0) + 1
    memory = {**(kept["memory"] or {}), "failures": failures}
    now = timezone.now()
    again = schedule.next_look(
        schedule.LookFacts(now=now, seed=str(app.id), watched=False, failures=failures)
    )
    condition = {
        "type": "ComparisonError",
        "code": "internal",
        "message": "the last pass failed unexpectedly; see the log of the worker",
        "since": now.isoformat(),
    }
    operations.show_unfinished(lease)
    Application.objects.filter(id=app.id, fence=lease.fence).update(
        conditions=[*[c for c in kept["conditions"] if c.get("code") != "internal"], condition],
        memory=memory,
        next_look_at=again,
        lease_until=None,
        lease_owner="",
        lost_passes=0,
    )
    log.error(
        "pass failed",
        application=app.name,
        failures=failures,
        again_s=(again - now) / timedelta(seconds=1),
    )
