"""`observe`: what live objects and the clock say about tasks that were begun (sync-semantics.md 3.2 items 9 and 10, 3.5,
3.12). It writes nothing to the cluster and may be repeated at will."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from clusters.core.durations import say_duration
from clusters.core.hooks import finished_job
from clusters.core.manifests import OPERATION_ANNOTATION, Manifest, metadata_map, owner_of
from clusters.core.plan.model import Batch, SyncPlan, Task
from clusters.core.plan.observed import Observed, Situation
from clusters.core.plan.progress import Progress, TaskProgress
from clusters.core.plan.settle import by_deadline, by_health, failed, finalizers, terminating, uid_of

ESTABLISHED_WITHIN = 60.0


def observe(plan: SyncPlan, progress: Progress, observed: Observed, now: datetime) -> Progress:
    """Progress with all that this look shows: pauses, finished tasks, vanished objects, passed deadlines."""
    progress = _account(plan, progress, observed, now)
    situation = Situation(plan, progress, observed, now)
    changed = _look(situation, _open_tasks(situation))
    if changed:
        moved = any(_moved(progress.tasks.get(name), after) for name, after in changed.items())
        last = situation.clock if moved else progress.last_change
        progress = replace(progress.with_tasks(changed), last_change=last)
    while plan.tasks and not plan.dry_run:
        situation = Situation(plan, progress, observed, now)
        batch = situation.current
        if batch is None or situation.failed or situation.awaited:
            return progress
        started = _start_in_place(situation, batch)
        if not started:
            return progress
        progress = progress.with_tasks(started)
        situation = Situation(plan, progress, observed, now)
        progress = progress.with_tasks(_look(situation, [plan.by_id[name] for name in started]))
    return progress


def _moved(before: TaskProgress | None, after: TaskProgress) -> bool:
    """Whether the object itself changed, and not only what we say about it (StallAfter, 3.12)."""
    return before is None or (before.state, before.stage, before.seen_version) != (
        after.state,
        after.stage,
        after.seen_version,
    )


def unconfirmed(situation: Situation, batch: Batch) -> list[Task]:
    """Prunes of this batch that wait for a person (3.3 b); a deletion is held as a whole (10.3)."""
    observed = situation.observed
    if observed.confirmed_all:
        return []
    whole = situation.plan.kind == "delete" and batch.phase == "Delete"
    return [
        task
        for task in (situation.plan.tasks if whole else batch.tasks)
        if task.confirm and situation.of(task).state == "pending" and task.key not in observed.confirmed
    ]


def blocked(situation: Situation) -> bool:
    """Whether people or a window hold the operation: such time counts for no deadline (3.12)."""
    plan, observed = situation.plan, situation.observed
    if plan.dry_run:
        return False
    if observed.window is not None or plan.open_hooks:
        return True
    if observed.approval is not None and observed.approval.state in ("missing", "pending"):
        return True
    current = situation.current
    return current is not None and not situation.awaited and bool(unconfirmed(situation, current))


def _account(plan: SyncPlan, progress: Progress, observed: Observed, now: datetime) -> Progress:
    held = blocked(Situation(plan, progress, observed, now))
    if held and progress.paused_since is None:
        return replace(progress, paused_since=now)
    if not held and progress.paused_since is not None:
        seconds = max(0.0, (now - progress.paused_since).total_seconds())
        return replace(progress, paused=progress.paused + seconds, paused_since=None)
    return progress


def _open_tasks(situation: Situation) -> Iterable[Task]:
    """Tasks an observation can change: begun ones, and the pending ones of the current batch."""
    current = situation.current
    batches = list(situation.plan.batches)
    if situation.failed and situation.plan.fail_batch:
        batches.append(situation.plan.fail_batch)
    for batch in batches:
        now_pending = batch is current or batch.phase == "SyncFail"
        for task in batch.tasks:
            held = situation.of(task)
            if (
                held.state == "Running"
                or held.stage == "pruning"
                or not held.established
                or (held.state == "pending" and now_pending)
            ):
                yield task


def _look(situation: Situation, tasks: Iterable[Task]) -> dict[str, TaskProgress]:
    changed = {}
    for task in tasks:
        held = situation.of(task)
        after = _judge(situation, task, held)
        if after != held:
            if after.done and not after.finished_at:
                after = replace(after, finished_at=situation.now.isoformat())
            changed[task.id] = after
    return changed


def _judge(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    if held.stage == "pruning":
        return _pruned(situation, task, held)
    if not held.established:
        held = _crd(situation, task, held)
    if held.state == "pending":
        return _pending(situation, task, held)
    if held.state == "Running" and situation.counts(task):
        return _running(situation, task, held)
    return held


def _deletion_overdue(situation: Situation, held: TaskProgress, live: Manifest) -> str:
    limit = situation.plan.options.delete_timeout
    if not limit or held.begun is None or situation.clock < held.begun + limit:
        return ""
    names = ", ".join(finalizers(live)) or "none of its own"
    return f"was not gone after {say_duration(limit)} (finalizers: {names})"


def _pruned(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    live = situation.live(task)
    if live is None:
        return replace(held, stage="gone") if situation.absent(task.key) else held
    if uid_of(live) != task.live_uid:
        return replace(held, stage="gone")
    if overdue := _deletion_overdue(situation, held, live):
        return failed(held, f"{task.key} {overdue}", stage="gone", expired=True)
    return held


def _pending(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    live = situation.live(task)
    if task.action == "prune":
        return _pending_prune(situation, task, held, live)
    if held.stage == "deleting" and live is not None and uid_of(live) == held.old_uid:
        if overdue := _deletion_overdue(situation, held, live):
            return failed(held, f"{task.key} {overdue}", expired=True)
        return held
    if task.hook:
        if live is not None and metadata_map(live, "annotations").get(OPERATION_ANNOTATION) == task.mark:
            return _taken_up(situation, held, live)
        return held
    if held.stage == "refused" and task.key in situation.observed.live:
        return _refused(task, held, live)
    if live is not None and (not held.known_absent or uid_of(live) != task.live_uid):
        return _appeared(situation, task, held, live)
    return held


def _taken_up(situation: Situation, held: TaskProgress, live: Manifest) -> TaskProgress:
    """The hook of this very operation and attempt is there: the reply to our request was lost (3.7)."""
    return replace(
        held,
        state="Running",
        stage="applied",
        code="Synced",
        message="created",
        uid=uid_of(live),
        begun=situation.clock,
        quiet_since=situation.clock,
        started_at=held.started_at or situation.now.isoformat(),
    )


def _pending_prune(
    situation: Situation, task: Task, held: TaskProgress, live: Manifest | None
) -> TaskProgress:
    """What is already going, gone, or no longer permitted needs no DELETE (3.3 c, PR8)."""
    if live is None and not situation.absent(task.key):
        return held
    if live is None or uid_of(live) != task.live_uid:
        return replace(held, state="Succeeded", stage="gone", code="Pruned", message="already gone")
    if terminating(live):
        return replace(
            held,
            state="Succeeded",
            stage="pruning",
            code="Pruned",
            message="was already being deleted",
            begun=situation.clock,
        )
    refused = situation.observed.violations.get(task.key)
    if refused:
        text = f"left: not permitted ({refused})"
        return replace(held, state="Succeeded", stage="gone", code="PruneSkipped", message=text)
    return held


def _refused(task: Task, held: TaskProgress, live: Manifest | None) -> TaskProgress:
    """An immutable field (4.2): what may be deleted for it is deleted, anything else fails with the hint."""
    if live is None:
        return replace(held, stage="", recreate=False)
    if held.recreate or (task.options.on_immutable == "" and finished_job(live)):
        return replace(held, stage="", recreate=True, old_uid=uid_of(live), known_absent=False)
    hint = "set Force=true, or gitops-hub.io/on-immutable: recreate, to delete and create it again"
    return failed(held, f"{held.message}; {hint}", stops=False)


def _appeared(situation: Situation, task: Task, held: TaskProgress, live: Manifest) -> TaskProgress:
    """What was believed absent is there after all: whose is it (5.3, 5.4)?"""
    plan = situation.plan
    owner = owner_of(live, application=plan.application, hub_id=plan.hub_id, target=task.key)
    gone = owner.kind == "other_application" and not situation.observed.living(owner.application)
    if plan.kind == "takeover" or owner.kind in ("ours", "none", "copy") or gone:
        return held
    text = f"is owned by {owner.label}"
    return replace(held, state="Succeeded", stage="gone", code="SharedSkipped", message=text)


def crd_ready(situation: Situation, live: Manifest | None, served: str) -> bool:
    conditions = ((live or {}).get("status") or {}).get("conditions") or ()
    established = any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
    group, _, kind = served.rpartition("/")
    return established and situation.observed.discovery.find(group, kind) is not None


def _crd(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    if crd_ready(situation, situation.live(task), held.served):
        return replace(held, established=True)
    if held.begun is not None and situation.clock >= held.begun + ESTABLISHED_WITHIN:
        text = f"{task.key} was not Established within {say_duration(ESTABLISHED_WITHIN)}"
        return failed(held, text, established=True)
    return held


def _start_in_place(situation: Situation, batch: Batch) -> dict[str, TaskProgress]:
    """What is proven in place is not written; it still gates the next wave by its Health (3.4)."""
    started = {}
    for task in batch.tasks:
        held = situation.of(task)
        if task.in_place and held.state == "pending":
            now = situation.now.isoformat()
            started[task.id] = replace(
                held,
                state="Running",
                stage="applied",
                code="Unchanged",
                message="unchanged",
                changed=False,
                begun=situation.clock,
                started_at=now,
            )
    return started


def _running(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    held = _seen(situation, task, held)
    if held.done:
        return held
    held = by_health(situation, task, held)
    return held if held.done else by_deadline(situation, task, held)


def _seen(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    """Item 10: gone is an error; a new version of the object restarts its quiet time."""
    live = situation.live(task)
    if live is None:
        if not situation.absent(task.key):
            return held
        return failed(held, f"{task.key} is missing, it might have been deleted", state="Error")
    version = str((live.get("metadata") or {}).get("resourceVersion") or "")
    if version != held.seen_version:
        moved = (
            situation.clock if held.seen_version and version != held.resource_version else held.quiet_since
        )
        return replace(held, seen_version=version, quiet_since=moved)
    return held
