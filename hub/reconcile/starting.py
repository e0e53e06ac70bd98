"""Before an attempt has a plan: why it cannot have one yet, or never will (sync-semantics.md 3.2 item 2, 7.3, 7.4)."""

from __future__ import annotations

from datetime import datetime

from clusters.core.plan import Failed, Problem, Wait, within_grace
from hub.core.schedule import TRANSIENT_SOURCE
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work


def paused(work: Work, now: datetime) -> bool:
    """Whether the operation waits for its next attempt."""
    operation = work.operation
    if operation.retry_at is None or operation.terminate_requested or operation.retry_at <= now:
        return False
    work.wait_until = operation.retry_at
    return True


def makes_plan(work: Work) -> bool:
    """Whether this pass begins an attempt: the first one, or the next after a failure."""
    operation = work.operation
    return work.plan is None or (operation.retry_at is not None and not operation.terminate_requested)


def hindrance(work: Work, newest: Desired, problem: Problem | None, now: datetime) -> Wait | Failed | None:
    """Why no plan can be made: what could not be read is never planned as if nothing were there.

    A cluster that does not answer is waited for; so is an error of the source that may pass. An operation that has its
    manifests (a later attempt, a rollback, named revisions) needs no source any more.
    """
    if not makes_plan(work):
        return None
    if work.operation.terminate_requested:
        return Failed("Operation terminated", retryable=False, code="terminated")
    if problem is not None:
        return within_grace(problem, now)
    if work.replan is not None:
        return Failed(work.unseen, phase="Error", code="incomplete") if work.unseen else None
    trouble = newest.problem if work.plan is None and work.desired is newest else None
    if trouble is not None:
        until = trouble.since + TRANSIENT_SOURCE
        if not trouble.permanent and now < until:
            return Wait(f"waiting until this passes: {trouble.message}", until, "problem")
        return Failed(f"{trouble.code}: {trouble.message}", phase="Error", code="source_error")
    if work.desired is None or not work.desired.loaded:
        return Failed(
            "the manifests of this operation are no longer kept", phase="Error", code="source_error"
        )
    return None
