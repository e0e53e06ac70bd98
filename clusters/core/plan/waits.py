"""What a Wait says: object, condition, wave x of y, elapsed and limit (sync-semantics.md 3.4, 12 rule 3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from clusters.core.durations import say_duration
from clusters.core.plan.model import Batch, Task
from clusters.core.plan.observed import Situation
from clusters.core.plan.settle import finalizers, limit_of, phase_begun, settles_at, uid_of
from clusters.core.plan.steps import Wait


def and_more(first: Task, count: int, noun: str) -> str:
    if count <= 1:
        return str(first.key)
    return f"{first.key} and {count - 1} more {noun}{'s' if count > 2 else ''}"


def place(situation: Situation, task: Task, limit: float, since: float | None) -> str:
    """`wave 2 of 5, phase Sync, 40 s of 30 min`."""
    batch = situation.plan.batch_of[task.id]
    where = f"wave {batch.number} of {batch.count}, phase {batch.phase}"
    elapsed = say_duration(situation.clock - (since if since is not None else situation.clock))
    return f"{where}, {elapsed} of {say_duration(limit)}" if limit else f"{where}, {elapsed}"


def wait_for_running(situation: Situation, tasks: Sequence[Task]) -> Wait:
    """The oldest hook if there is one, else the first resource that is not Healthy."""
    hooks = [task for task in tasks if task.hook]
    chosen = hooks or list(tasks)
    first = min(chosen, key=lambda t: situation.of(t).begun or 0.0)
    held = situation.of(first)
    if hooks:
        text, code = f"waiting for completion of hook {and_more(first, len(hooks), 'hook')}", "hook"
    else:
        text, code = f"waiting for healthy state of {and_more(first, len(tasks), 'resource')}", "health"
    if held.health_message:
        text += f": {held.health_message}"
    text += f" ({place(situation, first, limit_of(situation, first), held.begun)})"
    return Wait(text, _next_look(situation, tasks), code, first.wave, first.phase)


def _next_look(situation: Situation, tasks: Sequence[Task]) -> datetime | None:
    options, moments = situation.plan.options, []
    for task in tasks:
        held = situation.of(task)
        settles = settles_at(situation, task)
        if settles is not None:
            moments.append(settles)
        limit = limit_of(situation, task)
        if limit and held.begun is not None:
            moments.append(held.begun + limit)
    if options.phase_timeout and tasks:
        moments.append(phase_begun(situation, tasks[0].phase) + options.phase_timeout)
    if options.operation_timeout:
        moments.append(options.operation_timeout - situation.progress.earlier)
    return situation.due(min(moments), 0.0) if moments else None


def wait_for_deletion(situation: Situation, tasks: Sequence[Task]) -> Wait:
    """Names what still goes, and its finalizers."""
    first = tasks[0]
    held, live = situation.of(first), situation.live(first)
    limit = situation.plan.options.delete_timeout
    text = f"waiting for deletion of {and_more(first, len(tasks), 'resource')}"
    names = finalizers(live) if live and uid_of(live) else []
    if names:
        text += f" (finalizer {', '.join(names)})"
    text += f" ({place(situation, first, limit, held.begun)})"
    begun = [b for t in tasks if (b := situation.of(t).begun) is not None]
    until = situation.due(min(begun), limit) if begun and limit else None
    return Wait(text, until, "deletion", first.wave, first.phase)


def wait_for_confirmation(batch: Batch, tasks: Sequence[Task]) -> Wait:
    what = "deletion" if batch.phase == "Delete" else "pruning"
    text = f"waiting for {what} confirmation of {and_more(tasks[0], len(tasks), 'resource')}"
    return Wait(text, None, "prune_confirmation", batch.wave, batch.phase)


def wait_for_retry(situation: Situation, tasks: Sequence[Task]) -> Wait:
    """A request that may pass later is repeated later."""
    first = min(tasks, key=lambda t: situation.of(t).retry_at or 0.0)
    held = situation.of(first)
    moment = max(held.retry_at or 0.0, situation.clock + 0.05)
    text = f"repeating {first.key} (try {held.tries + 1}): {held.message or 'it has to be read again'}"
    return Wait(text, situation.due(moment, 0.0), "retry", first.wave, first.phase)
