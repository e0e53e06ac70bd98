"""Before an operation has a plan: why it cannot have one yet, or never will (sync-semantics.md 3.2 item 2, 7.4)."""

from __future__ import annotations

from datetime import datetime

from clusters.core.plan import Failed, Wait
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


def hindrance(work: Work, newest: Desired, now: datetime) -> Wait | Failed | None:
    """Why no plan can be made: an error of the source is never planned as an empty set, and what may pass is waited for.

    An operation that has its manifests (a later attempt, a rollback, named revisions) needs no source any more.
    """
    if work.plan is not None or work.replan is not None:
        return None
    if work.operation.terminate_requested:
        return Failed("Operation terminated", retryable=False, code="terminated")
    problem = newest.problem if work.desired is newest else None
    if problem is not None:
        until = problem.since + TRANSIENT_SOURCE
        if not problem.permanent and now < until:
            return Wait(f"waiting until this passes: {problem.message}", until, "problem")
        return Failed(f"{problem.code}: {problem.message}", phase="Error", code="source_error")
    if work.desired is None or not work.desired.loaded:
        return Failed(
            "the manifests of this operation are no longer kept", phase="Error", code="source_error"
        )
    return None
