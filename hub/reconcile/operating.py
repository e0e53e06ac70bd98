"""Carrying an operation on: plan it, take Steps while there are any, store each before the next (sync-semantics.md 3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

import hub.reconcile.approving as approving
import hub.reconcile.baselines as baselines
import hub.reconcile.concluding as concluding
import hub.reconcile.consent as consent
import hub.reconcile.fencing as fencing
import hub.reconcile.hoping as hoping
import hub.reconcile.looking as looking
import hub.reconcile.pinning as pinning
import hub.reconcile.planning as planning
import hub.reconcile.sourcing as sourcing
import hub.reconcile.spaces as spaces
import hub.reconcile.starting as starting
import hub.reconcile.work as works
from clusters.core.durations import parse_duration
from clusters.core.plan import (
    Done,
    Failed,
    Observed,
    Problem,
    Progress,
    RetryPolicy,
    Step,
    Verdict,
    Wait,
    advance,
    build_plan,
    hook_successes,
    next_retry,
    plan_digest,
    prune_digest,
    record,
    stalled,
    stalls_at,
)
from clusters.core.plan.steps import Outcome
from clusters.services import carry_out
from hub.errors import SourceError
from hub.models import Application, SyncOperation
from hub.models.operation import UNFINISHED
from hub.reconcile.frame import Frame
from hub.reconcile.judging import Picture, health_of
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work
from hub.services import operations

Phase = SyncOperation.Phase
ASKS_PEOPLE = frozenset({"approval", "hook_decision"})


def unfinished(frame: Frame) -> SyncOperation | None:
    """The operation to carry on: a running one before a queued one.

    The Application's row says whether there is one; after a pass that died it may be silent, so then the table is asked.
    """
    if frame.app.operation_phase not in UNFINISHED and not frame.lease.lost_before:
        return None
    found = operations.unfinished(frame.app.id)
    frame.another_waits = len(found) > 1
    return found[0] if found else None


def load(frame: Frame, operation: SyncOperation | None, desired: Desired) -> Work | None:
    """The work of an unfinished operation, with the manifests that it was planned from."""
    if operation is None:
        return None
    work = works.read(operation)
    work.desired = desired
    if operation.manifest_digest and not _takes_newest(frame, operation, desired):
        if operation.manifest_digest != desired.digest:
            digest, revisions = operation.manifest_digest, list(operation.revisions)
            work.desired = sourcing.load(frame, digest, desired.catalogue, tuple(revisions))
    elif operation.request.get("revisions"):
        _ask_for_revisions(frame, work, desired)
    return work


def _takes_newest(frame: Frame, operation: SyncOperation, desired: Desired) -> bool:
    """Whether the attempt that begins now is for the newest commit: `retry.refresh` asks for that (3.10)."""
    follows = operation.kind == SyncOperation.Kind.SYNC and not operation.request.get("revisions")
    begins = operation.retry_at is not None and operation.retry_at <= timezone.now()
    fresh = desired.loaded and desired.problem is None
    return follows and begins and fresh and retry_policy(frame.app, operation).refresh


def _ask_for_revisions(frame: Frame, work: Work, desired: Desired) -> None:
    """A request that names revisions is rendered there; what they resolve to stays for every attempt (3.1)."""
    try:
        digest, revisions = sourcing.render_at(frame, list(work.operation.request["revisions"]))
    except SourceError as error:
        end(frame, work, Phase.ERROR, f"{error.code}: {error.message}")
        return
    work.desired = sourcing.load(frame, digest, desired.catalogue, tuple(revisions))


def walk(frame: Frame, work: Work, desired: Desired, seen: Seen, picture: Picture) -> None:
    """Take Steps until the operation ends or must wait. Every Step is stored before the next is asked for."""
    work.desired = work.desired or desired
    if work.ended or starting.paused(work, timezone.now()):
        return
    if work.plan is not None and work.plan.open_hooks and planning.hook_choices(work.operation):
        # Nothing was written yet: the answers make another plan.
        work.plan = None
    problem = _problem(frame, seen, timezone.now())
    hindrance = starting.hindrance(work, desired, problem, timezone.now())
    if hindrance is not None:
        _rest(frame, work, hindrance, timezone.now())
        return
    if starting.makes_plan(work):
        _begin(frame, work, seen, picture)
    else:
        approving.refresh(frame, work, desired, seen, picture)
    assert work.plan is not None
    looking.look_for(frame, seen, work.wanted())
    looking.read_whole(frame, seen, baselines.partly_written(frame, work))
    stepped = False
    while True:
        frame.lease.check()
        now = timezone.now()
        observed = _observed(frame, work, seen, now)
        work.progress, verdict = advance(work.plan, _progress(work), observed, now)
        if not isinstance(verdict, Step):
            _rest(frame, work, verdict, now)
            if not work.ended:
                _note_stall(work, observed, now)
            return
        if stepped and fencing.read_again(frame):
            continue
        work.operation.phase = Phase.TERMINATING if verdict.name == "terminate" else Phase.RUNNING
        waited = str(work.operation.wait.get("code", ""))
        if verdict.name != "dry_run":
            # It waits for nothing any more: a request that comes now must not take its place (3.11).
            work.operation.wait = {}
        _store(frame, work)
        unclaimed = approving.claim(frame, work, verdict, waited)
        if unclaimed is not None:
            _rest(frame, work, unclaimed, now)
            return
        with frame.stage("apply"):
            outcomes = carry_out(frame.connection, verdict)
        work.progress = record(work.plan, work.progress, verdict, outcomes, timezone.now())
        _absorb(frame, work, seen, outcomes)
        looking.read_after(frame, seen, outcomes)
        stepped = True


def _note_stall(work: Work, observed: Observed, now: datetime) -> None:
    """Nothing awaited changed for `StallAfter`: told, and a newer revision may take over (3.11, 3.12)."""
    assert work.plan is not None
    work.stalled = stalled(work.plan, _progress(work), observed, now)
    at = stalls_at(work.plan, _progress(work), observed, now)
    moments = [moment for moment in (work.wait_until, at) if moment is not None]
    work.wait_until = min(moments) if moments else None
    work.operation.wait = {**work.operation.wait, "stalled": bool(work.stalled)}


def _progress(work: Work) -> Progress:
    assert work.progress is not None
    return work.progress


def _begin(frame: Frame, work: Work, seen: Seen, picture: Picture) -> None:
    """Make the plan of this attempt and leave the queue."""
    operation, desired = work.operation, work.desired
    assert desired is not None
    now = timezone.now()
    if operation.started_at is None:
        operation.started_at = now
    if work.replan is not None:
        work.replan(seen)
        return
    operation.manifest_digest, operation.revisions = desired.digest, list(desired.revisions)
    request = planning.plan_request(frame, operation, desired)
    work.plan = build_plan(request, planning.plan_facts(frame, desired, seen, picture, operation))
    held = work.progress
    work.progress = (
        held.next_attempt(now) if held is not None and operation.attempt > 1 else Progress.begin(now)
    )
    operation.plan = None
    operation.plan_digest = plan_digest(work.plan)
    operation.phase, operation.retry_at = Phase.RUNNING, None


def _observed(frame: Frame, work: Work, seen: Seen, now: datetime) -> Observed:
    desired, operation = work.desired, work.operation
    assert desired is not None
    return Observed(
        desired=desired.by_source,
        live=seen.live,
        health=lambda obj, is_hook: health_of(frame, obj, is_hook),
        discovery=seen.discovery,
        window=consent.window(frame, work, now),
        approval=approving.fact(frame, work),
        problem=_problem(frame, seen, now),
        violations=fencing.violations(frame, desired, seen.discovery),
        confirmed=frozenset(),
        confirmed_all=consent.prunes_confirmed(frame, work) or approving.confirms(work),
        terminate=operation.terminate_requested,
        prepare=lambda manifest, live: baselines.body(frame, work, manifest, live),
    )


def _problem(frame: Frame, seen: Seen, now: datetime) -> Problem | None:
    """The cluster cannot be asked: since when, so that the plan can decide how long to wait (7.4)."""
    if seen.problem is None:
        frame.memory.pop("cluster_problem", None)
        return None
    since = frame.memory.setdefault("cluster_problem", now.isoformat())
    return Problem("cluster", seen.problem.message, datetime.fromisoformat(since))


def _absorb(frame: Frame, work: Work, seen: Seen, outcomes: list[Outcome]) -> None:
    seen.absorb(outcomes)
    assert work.plan is not None
    assert work.desired is not None
    for outcome in outcomes:
        if outcome.ok and outcome.changed and not outcome.action.dry_run:
            work.changed.add(outcome.action.key)
        if outcome.ok and not outcome.action.dry_run:
            baselines.keep(frame, work, outcome)


def _store(frame: Frame, work: Work) -> None:
    """Plan, progress and changed rows in one transaction that the fence guards; the operation is Running after it."""
    with frame.stage("store"), transaction.atomic():
        work.save_values()
        works.save_operation(frame, work)
        # Baselines of earlier Steps outlive a killed worker together with the progress that rests on them.
        concluding.save_rows(frame, work.kept)
        work.kept.clear()


def put_aside(frame: Frame, work: Work) -> None:
    """Store an operation that waits for people, because another one runs in this pass."""
    with transaction.atomic():
        work.save_values()
        works.save_operation(frame, work)
    frame.another_waits = True


def _rest(frame: Frame, work: Work, verdict: Verdict, now: datetime) -> None:
    operation = work.operation
    if isinstance(verdict, Wait):
        # Known from now on, whatever ends this operation: a hook that succeeded does not run again (12 rule 6).
        _remember_hooks(frame, work)
        approving.request(frame, work, verdict)
        work.wait_until = verdict.until
        operation.wait = {
            "code": verdict.code,
            "reason": verdict.reason[:1000],
            "wave": verdict.wave,
            "phase": verdict.phase,
            "until": verdict.until.isoformat() if verdict.until else None,
            "digest": consent.question(work, verdict),
            "sources": [task.source for task in work.plan.open_hooks] if work.plan else [],
        }
        operation.message = verdict.reason[:1000]
        if operation.terminate_requested:
            operation.phase = Phase.TERMINATING
        elif verdict.code in ASKS_PEOPLE and not (work.progress and work.progress.writing):
            # It has not begun: a heal may run beside it (9.1 gate 3).
            operation.phase = Phase.QUEUED
        return
    if isinstance(verdict, Done):
        end(frame, work, Phase.SUCCEEDED, verdict.message)
        return
    assert isinstance(verdict, Failed)
    retry = next_retry(
        retry_policy(frame.app, operation),
        verdict,
        attempt=operation.attempt,
        automated=operation.initiator.get("kind") == "automation",
        ended_at=now,
    )
    if retry is None or operation.terminate_requested:
        end(frame, work, Phase.ERROR if verdict.phase == "Error" else Phase.FAILED, verdict.message)
        operation.wait |= {"code": verdict.code, "details": list(verdict.details)[:50]}
        refused = verdict.code.startswith("approval_")
        if refused and "attempted" in frame.memory:
            frame.memory["attempted"]["by_approval"] = True
        if refused or (operation.terminate_requested and not _has_written(work)):
            pinning.give_back(frame, operation)
        return
    _remember_hooks(frame, work)
    operation.attempt, operation.retry_at, work.wait_until = retry.attempt, retry.at, retry.at
    asked = consent.skippable(work)
    hint = (
        f"; or confirm {asked['digest']} with choice=skip: then it goes on without the hook" if asked else ""
    )
    operation.message = f"{verdict.message[:700]}; {retry.message}{hint}"[:1000]
    until = retry.at.isoformat()
    operation.wait = {"code": "retry_pause", "reason": operation.message, "until": until, **asked}


def _has_written(work: Work) -> bool:
    return work.operation.attempt > 1 or (work.progress is not None and work.progress.writing)


def retry_policy(app: Application, operation: SyncOperation) -> RetryPolicy:
    """`retry` of the request, else of the Application (sync-semantics.md 3.10)."""
    asked = operation.request.get("retry") or (app.sync_policy or {}).get("retry") or {}
    usual = RetryPolicy()
    return RetryPolicy(
        limit=asked.get("limit"),
        duration=_seconds(asked.get("duration"), usual.duration),
        factor=float(asked.get("factor") or usual.factor),
        longest=_seconds(asked.get("max_duration"), usual.longest),
        refresh=bool(asked.get("refresh")),
    )


def _seconds(text: Any, usual: float) -> float:
    found = parse_duration(str(text)) if text else None
    return usual if found is None else found


def end(frame: Frame, work: Work, phase: str, message: str) -> None:
    """The operation is over; what it learned stays with the Application."""
    operation = work.operation
    operation.phase, operation.message, operation.wait = phase, message[:1000], {}
    operation.finished_at = timezone.now()
    work.ended = True
    if work.plan is None or work.progress is None:
        return
    _remember_hooks(frame, work)
    _offer_prune_plan(work)
    asked = operation.request
    partial = any(asked.get(name) for name in ("resources", "labels", "keys"))
    partial = partial or operation.kind == SyncOperation.Kind.TAKEOVER
    full = not partial and not work.plan.dry_run
    if phase == Phase.SUCCEEDED and not work.plan.dry_run:
        spaces.remember(frame, work.plan.namespace_wish)
        work.moved = work.desired is not None and (
            work.desired.digest != frame.app.synced_digest
            or list(work.desired.revisions) != frame.app.synced_revisions
        )
    if phase == Phase.SUCCEEDED and full and work.desired is not None:
        frame.memory["installed"] = planning.destination(frame.app)
        frame.app.synced_digest = work.desired.digest
        frame.app.synced_revisions = list(work.desired.revisions)
        frame.app.hooks_digest = work.desired.hooks_digest
    if not work.plan.dry_run and full and phase != Phase.SUPERSEDED:
        frame.memory["attempted"] = {
            "identity": planning.identity(frame.app, work.desired.digest if work.desired else ""),
            "number": operation.number,
            "phase": phase,
            "message": message[:500],
            "at": operation.finished_at.isoformat(),
            "hopes": [] if phase == Phase.SUCCEEDED else hoping.named(work),
        }


def _remember_hooks(frame: Frame, work: Work) -> None:
    """Hooks that succeeded, also in an attempt that failed later: a retry does not run them again (12 rule 6)."""
    if work.plan is None or work.progress is None:
        return
    successes = hook_successes(work.plan, work.progress)
    if successes:
        hooks, number = dict(planning.hook_memory(frame)), str(work.operation.number)
        hooks.update(
            {
                name: [s.fingerprint, s.operation, s.revision, list(s.images), number]
                for name, s in successes.items()
            }
        )
        frame.memory["hooks"], frame.memory["hooks_at"] = hooks, planning.destination(frame.app)


def _offer_prune_plan(work: Work) -> None:
    """Guarded prunes wait for people: the operation keeps which, so that a confirmation can name them (4.3)."""
    assert work.plan is not None
    waiting = [
        task for task in work.plan.tasks if task.code == "PruneSkipped" and "prune plan" in task.reason
    ]
    if waiting:
        rows = [{"key": list(task.key), "uid": task.live_uid} for task in waiting]
        work.operation.wait = {"prune_plan": {"digest": prune_digest(waiting), "objects": rows}}
