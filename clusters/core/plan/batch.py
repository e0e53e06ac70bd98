"""Running one batch: finalizers, confirmation, prunes, deletions, applies, in this order (sync-semantics.md 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from clusters.core.plan.actions import (
    adopt_action,
    delete_action,
    needs_delete,
    release_action,
    strip_action,
    write_action,
)
from clusters.core.plan.judge import unconfirmed
from clusters.core.plan.model import Batch, Task
from clusters.core.plan.observed import Situation
from clusters.core.plan.order import CRD
from clusters.core.plan.settle import terminating, uid_of
from clusters.core.plan.steps import Action, Failed, Step, Verdict, Wait
from clusters.core.plan.waits import wait_for_confirmation, wait_for_deletion, wait_for_retry

DISCOVERY_PAUSE_S = 0.25


def run_batch(situation: Situation, batch: Batch) -> Verdict | None:
    """The next thing to do in a batch that has pending tasks; None when nothing is left to start."""
    pending = [task for task in batch.tasks if situation.of(task).state == "pending"]
    if not pending:
        return None
    refused = _refused(situation, pending)
    if refused:
        return refused
    ready = [task for task in pending if _ready(situation, task)]
    for part in (_stale_finalizers, _confirm, _prune, _delete_first):
        verdict = part(situation, batch, ready)
        if verdict is not None:
            return verdict
    going = [t for t in pending if situation.of(t).stage == "deleting" and needs_delete(situation, t)]
    if going:
        return wait_for_deletion(situation, going)
    crds = [t for t in batch.tasks if not situation.of(t).established]
    if crds:
        return _wait_established(situation, batch, crds)
    todo = [t for t in ready if t.action != "prune" and not t.in_place]
    if not todo:
        return wait_for_retry(situation, pending)
    return _adopt(batch, situation, todo) or _apply(situation, batch, todo)


def _ready(situation: Situation, task: Task) -> bool:
    """Not before its retry, and not blindly over something that was found where nothing was believed."""
    held = situation.of(task)
    if held.retry_at is not None and situation.clock < held.retry_at:
        return False
    read = task.key in situation.observed.live
    return held.stage != "refused" and (read or (held.known_absent and held.stage != "deleting"))


def _refused(situation: Situation, pending: Sequence[Task]) -> Failed | None:
    """The Project is judged again before each batch; earlier batches stay (PR6)."""
    refused = situation.observed.violations
    found = [(str(t.key), refused[t.key]) for t in pending if t.action != "prune" and t.key in refused]
    if not found:
        return None
    texts = "; ".join(sorted({text for _, text in found}))
    details = tuple({"key": key, "message": text} for key, text in found)
    message = f"one or more synchronization tasks are not valid: {texts}"
    return Failed(message, retryable=False, code="ProjectPolicyViolation", details=details)


def _stale_finalizers(situation: Situation, batch: Batch, pending: Sequence[Task]) -> Step | None:
    actions = [
        action
        for task in pending
        if task.action == "prune" or (task.hook and needs_delete(situation, task))
        if (action := strip_action(task, situation.live(task)))
    ]
    return _step("strip_finalizers", f"freeing left-over hooks of {_say(batch)}", actions)


def _confirm(situation: Situation, batch: Batch, _pending: Sequence[Task]) -> Wait | None:
    tasks = unconfirmed(situation, batch)
    return wait_for_confirmation(batch, tasks) if tasks else None


def _prune(situation: Situation, batch: Batch, pending: Sequence[Task]) -> Step | None:
    """7.3: a GET that shows our tracking id right before, and the UID as precondition."""
    actions = [
        delete_action(situation, task, None, must_carry=task.must_carry)
        for task in pending
        if task.action == "prune"
    ]
    return _step("prune", f"pruning in {_say(batch)}", actions, stop=False)


def _delete_first(situation: Situation, batch: Batch, pending: Sequence[Task]) -> Step | None:
    actions = []
    for task in pending:
        live = situation.live(task)
        if not needs_delete(situation, task):
            continue
        begun = situation.of(task).stage == "deleting" and situation.of(task).old_uid == uid_of(live)
        if not (begun and terminating(live)):
            actions.append(delete_action(situation, task, live))
    actions = [a for a in actions if not _asked(situation, a)]
    return _step("delete", f"deleting before creation in {_say(batch)}", actions)


def _asked(situation: Situation, action: Action) -> bool:
    """An accepted DELETE is not repeated while the look is older than its answer."""
    held = situation.progress.tasks.get(action.task_id)
    return held is not None and held.stage == "deleting" and held.old_uid == action.uid


def _wait_established(situation: Situation, batch: Batch, crds: Sequence[Task]) -> Wait:
    names = ", ".join(task.key.name for task in crds)
    text = f"waiting until {names} is established and served"
    # Discovery sends no event: it is read again a little later.
    until = situation.now + timedelta(seconds=DISCOVERY_PAUSE_S)
    return Wait(text, until, "established", batch.wave, batch.phase)


def _adopt(batch: Batch, situation: Situation, tasks: Sequence[Task]) -> Step | None:
    """The former owner's keys go first, then its managed fields become ours."""
    groups = [
        tuple(action for task in tasks if (action := make(situation, task)))
        for make in (release_action, adopt_action)
    ]
    found = tuple(group for group in groups if group)
    return (
        Step("adopt", f"moving managed fields in {_say(batch)}", found, stop_on_failure=False)
        if found
        else None
    )


def _apply(situation: Situation, batch: Batch, tasks: Sequence[Task]) -> Step:
    """Consecutive groups of one kind in sort order; a CRD splits the batch after its group (3.3 e, f)."""
    groups = []
    for kind, members in groupby(tasks, key=lambda task: (task.key.group, task.key.kind)):
        groups.append(tuple(write_action(situation, task) for task in members))
        if kind == CRD:
            break
    return Step("apply", f"applying {_say(batch)}", tuple(groups), stop_on_failure=False)


def _say(batch: Batch) -> str:
    return f"wave {batch.number} of {batch.count}, phase {batch.phase}"


def _step(name: str, reason: str, actions: Sequence[Action], *, stop: bool = True) -> Step | None:
    return Step(name, reason, (tuple(actions),), stop_on_failure=stop) if actions else None  # type: ignore[arg-type]
