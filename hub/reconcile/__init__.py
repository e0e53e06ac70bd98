"""THE HALL: one application, one pass. Open this file first.

The two rooms meet here: `hub.source` and `hub.render` say what is wanted, `clusters.services` what is there; the
cores decide; one transaction at the end stores what was seen and what came of it. A pass never waits: it walks on
while the next step is possible and ends when it is not (house.md 3).

May live here: the order of a pass, and the bridge from records to the values of the cores and back.
May not: decisions (the cores), requests (the gates), publishing (`hub.tasks`).
"""

from __future__ import annotations

import uuid

from hub.models import Application, SyncOperation
from hub.reconcile import (
    automation,
    concluding,
    deleting,
    judging,
    looking,
    losing,
    operating,
    pinning,
    sharing,
    sourcing,
)
from hub.reconcile.frame import Catalogue, Frame, PassResult
from hub.services import leases, operations

__all__ = ["PassResult", "reconcile"]


def reconcile(application_id: uuid.UUID) -> PassResult:
    """One pass. Returns at once, with an empty result, when another worker holds the application."""
    lease = leases.claim(application_id)
    if lease is None:
        return PassResult()
    frame = None
    try:
        frame = Frame.open(lease)
        _walk(frame)
    except leases.LeaseLost:
        # Another worker owns the row, or soon may: whatever this pass knew is refused by the fence.
        operations.show_unfinished(lease)
        leases.release(lease)
    except Exception:
        concluding.broken(lease)
        raise
    return frame.result if frame is not None else PassResult()


def _walk(frame: Frame) -> None:
    operation = operating.unfinished(frame)
    if losing.is_lost(frame):
        losing.give_up(frame, operation)
        return
    waits = operation is None or operation.kind == SyncOperation.Kind.DELETE
    if waits and automation.on_hold(frame) and not deleting.begun(operation):
        concluding.paused(frame, automation.on_hold(frame))
        return
    catalogue = looking.catalogue(frame)
    if deleting.wanted(frame, operation):
        _delete(frame, operation, catalogue)
        return
    if operation is None and automation.paused(frame):
        concluding.paused(frame, automation.paused(frame))
        return
    desired = pinning.hold(frame, sourcing.bring_up(frame, catalogue), catalogue)
    work = operating.load(frame, operation, desired)
    seen = looking.look(frame, desired, work)
    picture = found = judging.judge(frame, desired, seen)
    work = automation.supersede(frame, work, desired, picture)
    work = work or automation.begin(frame, desired, seen, picture)
    if work is not None:
        operating.walk(frame, work, desired, seen, picture)
        automation.after_operation(frame, work)
        if (heal := automation.beside(frame, work, desired, seen)) is not None:
            operating.put_aside(frame, work)
            work = heal
            operating.walk(frame, work, desired, seen, picture)
            automation.after_operation(frame, work)
        picture = judging.judge(frame, desired, seen)
    concluding.conclude(frame, desired, seen, picture, work, found)
    sharing.tell_owners(frame)


def _delete(frame: Frame, operation: SyncOperation | None, catalogue: Catalogue) -> None:
    """The last passes of an Application; see `deleting`."""
    desired = deleting.desired_of(frame, catalogue, operation)
    if frame.app.on_delete == Application.OnDelete.DETACH:
        if deleting.detach(frame, catalogue):
            deleting.archive(frame)
        else:
            concluding.waiting(frame)
        return
    if not deleting.begun(operation) and (first := deleting.dependents(frame)):
        deleting.wait_for(frame, first)
        concluding.waiting(frame)
        return
    work = deleting.work_of(frame, operation, desired)
    seen = looking.look(frame, desired, work)
    work.unseen = looking.unlisted(frame, desired, seen)
    picture = judging.judge(frame, desired, seen)
    operating.walk(frame, work, desired, seen, picture)
    deleting.remember(frame, work)
    if deleting.refused(work):
        deleting.withdraw(frame)
    concluding.conclude(frame, desired, seen, judging.judge(frame, desired, seen), work)
    if work.operation.phase == SyncOperation.Phase.SUCCEEDED:
        deleting.archive(frame)
