"""How an operation ends: failure with SyncFail hooks, success, termination (sync-semantics.md 3.6, 3.7, 3.9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from clusters.core.manifests import Manifest
from clusters.core.plan.actions import delete_action, strip_action
from clusters.core.plan.batch import run_batch
from clusters.core.plan.model import Task
from clusters.core.plan.observed import Situation
from clusters.core.plan.settle import namespace_terminating, uid_of
from clusters.core.plan.steps import Action, Done, Failed, Step, Verdict, Wait
from clusters.core.plan.waits import wait_for_running

_REASONS = 5
READ_AGAIN_S = 0.1


def hooks_of(situation: Situation) -> list[Task]:
    return [task for task in situation.plan.tasks if task.action == "run_hook"]


def own(situation: Situation, task: Task) -> Manifest | None:
    """The live object of this very run; a hook of two phases has the same key twice, but not the same object."""
    live = situation.live(task)
    return live if live is not None and uid_of(live) == situation.of(task).uid else None


def _unread(situation: Situation, tasks: Sequence[Task]) -> Wait | None:
    """What was not looked at is not known to be gone; it is read first."""
    unread = [task for task in tasks if task.key not in situation.observed.live]
    if not unread:
        return None
    until = situation.now + timedelta(seconds=READ_AGAIN_S)
    return Wait(f"reading hook {unread[0].key} again", until, "retry", unread[0].wave, unread[0].phase)


def strip_step(situation: Situation, tasks: Sequence[Task]) -> Step | Wait | None:
    """Completed hooks whose outcome is stored lose their finalizer; what is gone or bare needs nothing."""
    held = [t for t in tasks if t.ends and situation.of(t).done and not situation.of(t).stripped]
    held = [t for t in held if situation.of(t).uid]
    actions = [action for task in held if (action := strip_action(task, own(situation, task)))]
    if not actions:
        return _unread(situation, held)
    return Step("strip_finalizers", "releasing completed hooks", (tuple(actions),), stop_on_failure=False)


def release_in_dying_namespaces(situation: Situation) -> Step | None:
    """A namespace that goes must not wait for our finalizer (3.7)."""
    actions = [
        action
        for task in hooks_of(situation)
        if situation.of(task).state == "Running" and namespace_terminating(situation, task.key.namespace)
        if (action := strip_action(task, situation.live(task)))
    ]
    if not actions:
        return None
    return Step("strip_finalizers", "releasing hooks of a namespace that is being deleted", (tuple(actions),))


def remove_hooks(situation: Situation, tasks: Sequence[Task], reason: str) -> Step | Wait | None:
    """Frees and deletes hook objects that were not cleaned yet and exist."""
    left = [t for t in tasks if not situation.of(t).cleaned and situation.of(t).uid]
    found = [t for t in left if own(situation, t) is not None]
    if not found:
        return _unread(situation, left)
    strips = [a for t in found if (a := strip_action(t, situation.live(t)))]
    deletes = [delete_action(situation, t, situation.live(t)) for t in found]
    groups = tuple(tuple(group) for group in (strips, deletes) if group)
    return Step("delete", reason, groups, stop_on_failure=False)


def succeed(situation: Situation) -> Verdict:
    """HookSucceeded is honoured only now, after the whole operation. A deletion leaves no hook object behind."""
    if situation.plan.kind == "delete":
        left = [t for t in hooks_of(situation) if t.policies != ("HookFailed",)]
        return remove_hooks(situation, left, "removing the deletion hooks") or Done("successfully deleted")
    good = [
        t
        for t in hooks_of(situation)
        if "HookSucceeded" in t.policies and situation.of(t).state == "Succeeded" and t.phase != "SyncFail"
    ]
    step = remove_hooks(situation, good, "removing hooks that succeeded")
    if step:
        return step
    open_tasks = any(not situation.of(t).done for b in situation.plan.batches for t in b.tasks)
    return Done(f"successfully synced ({'all tasks run' if open_tasks else 'no more tasks'})")


def fail(situation: Situation) -> Verdict:
    """3.6: the rest of a batch whose apply failed, hooks that still run, SyncFail hooks, clean-up, the sentence."""
    plan = situation.plan
    expired = [t for t in hooks_of(situation) if situation.of(t).expired]
    step = remove_hooks(situation, expired, "deleting hooks that ran out of time")
    if step:
        return step
    rest = _rest_of_batch(situation)
    if isinstance(rest, Step):
        return rest
    syncfail = plan.fail_batch.tasks if plan.fail_batch else ()
    started = run_batch(situation, plan.fail_batch) if plan.fail_batch else None
    if isinstance(started, Step | Failed):
        return started
    running = [t for t in hooks_of(situation) if situation.of(t).state == "Running"]
    if running:
        return wait_for_running(situation, running)
    waiting = rest or started
    if waiting is not None:
        return waiting
    hooks = hooks_of(situation)
    step = strip_step(situation, hooks)
    if step:
        return step
    deletes = plan.kind == "delete"
    bad = [t for t in hooks if situation.of(t).bad and (deletes or "HookFailed" in t.policies)]
    step = remove_hooks(situation, bad, "removing hooks that failed")
    return step or _failure(situation, syncfail)


def _rest_of_batch(situation: Situation) -> Verdict | None:
    """A rejected object does not keep its siblings from being applied (3.3); any other failure does."""
    batch = situation.current
    if batch is None or any(situation.of(t).stops for t in situation.failed):
        return None
    if situation.plan.batch_of[situation.failed[0].id] is not batch:
        return None
    return run_batch(situation, batch)


def _failure(situation: Situation, syncfail: Sequence[Task]) -> Failed:
    tasks = [*situation.failed, *(t for t in syncfail if situation.of(t).bad)]
    rejected = any(not situation.of(t).stops for t in situation.failed)
    if situation.plan.kind == "delete":
        text = f"one or more objects could not be deleted, reason: {_reasons(situation, tasks)}"
        return Failed(text, code="deletion_failed", details=_details(situation, tasks))
    first = "objects failed to apply" if rejected else "synchronization tasks completed unsuccessfully"
    message = f"one or more {first}, reason: {_reasons(situation, situation.failed)}"
    bad = [t for t in syncfail if situation.of(t).bad]
    if bad:
        message += f", one or more SyncFail hooks failed, reason: {_reasons(situation, bad)}"
    return Failed(message, code="sync_failed", details=_details(situation, tasks))


def _details(situation: Situation, tasks: Sequence[Task]) -> tuple[dict[str, str], ...]:
    rows = ((task, situation.of(task)) for task in tasks)
    return tuple({"key": str(t.key), "code": held.code, "message": held.message} for t, held in rows)


def _reasons(situation: Situation, tasks: Sequence[Task]) -> str:
    texts = sorted({situation.of(task).message for task in tasks})
    more = f" and {len(texts) - _REASONS} more" if len(texts) > _REASONS else ""
    return "; ".join(texts[:_REASONS]) + more


def terminate(situation: Situation, reason: str) -> Verdict:
    """3.9: one Step frees completed hooks and frees and deletes running ones; then the operation is over."""
    progress = situation.progress
    if progress.ending:
        if progress.ending_errors:
            text = f"Operation termination had errors: {progress.ending_errors}"
            return Failed(text, phase="Error", retryable=False, code="terminated")
        return Failed(progress.ending, retryable=False, code="terminated")
    strips: list[Action] = []
    deletes: list[Action] = []
    unread = False
    for task in hooks_of(situation):
        held, live = situation.of(task), own(situation, task)
        running = held.state == "Running"
        busy = running or (task.ends and held.done and not held.stripped and bool(held.uid))
        unread = unread or (busy and task.key not in situation.observed.live)
        if held.state == "pending" or held.cleaned or live is None:
            continue
        strip = strip_action(task, live) if not held.stripped else None
        strips += [strip] if strip else []
        deletes += [delete_action(situation, task, live)] if running else []
    problem = situation.observed.problem
    if unread:
        if problem is not None:
            text = f"Operation termination had errors: {problem.message}"
            return Failed(text, phase="Error", retryable=False, code="terminated")
        return Wait(
            "reading the running hooks before they are ended", situation.now + timedelta(seconds=1), "hook"
        )
    if not strips and not deletes:
        return Failed(reason, retryable=False, code="terminated")
    groups = tuple(tuple(group) for group in (strips, deletes) if group)
    return Step("terminate", reason, groups, stop_on_failure=False)
