"""Passes that killed their workers: the operation ends, and one pass is tried now and then (security-and-reliability.md H2)."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

import hub.reconcile.concluding as concluding
import hub.reconcile.describing as describing
import hub.reconcile.operating as operating
import hub.reconcile.work as works
from hub.core import schedule
from hub.core.events import Event as Happened
from hub.core.events import happened
from hub.models import SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.work import Work
from hub.services import events, leases

MOST_LOST_PASSES = 3
PAUSE = timedelta(minutes=5)


def is_lost(frame: Frame) -> bool:
    """The last passes ended without a word. Asked before anything is rendered or read: what killed them may be there."""
    return frame.lease.lost_before >= MOST_LOST_PASSES


def give_up(frame: Frame, operation: SyncOperation | None) -> None:
    """End the operation, say why, and let the next pass try only after a pause."""
    app = frame.app
    said = f"worker lost: {frame.lease.lost_before} passes ended without a word"
    frame.condition("ComparisonError", f"{said}; see the logs of the workers", "worker_lost")
    work, told = None, []
    if operation is not None:
        work = works.read(operation)
        told = _end(frame, work, said)
    app.conditions, app.memory = frame.conditions, frame.memory
    again = timezone.now() + PAUSE * schedule.jitter(str(app.id))
    with transaction.atomic():
        if work is not None:
            work.save_values()
            works.save_operation(frame, work)
        frame.result.events = events.store(app, told, describing.context_of(frame, work))
        # One pass is tried then; if it dies too, that is the third again.
        concluding.save_application(frame, again, lost_passes=MOST_LOST_PASSES - 1)
    leases.keeper.drop(frame.lease)
    frame.result.phase, frame.result.app = app.operation_phase, app
    frame.result.again_in_s = (again - timezone.now()).total_seconds()


def _end(frame: Frame, work: Work, said: str) -> list[Happened]:
    app, memory = frame.app, frame.memory
    operating.end(frame, work, SyncOperation.Phase.FAILED, said)
    app.operation_phase = work.operation.phase
    memory["sync_error"] = [said, work.operation.number]
    frame.condition("SyncError", said)
    before = memory.get("state")
    if not before:
        return []
    memory["state"] = {**before, "operation": describing.operation_view(work.operation, work)}
    told, memory["episodes"] = happened(
        str(app.id), app.name, before, memory["state"], memory.get("episodes") or {}
    )
    return told
