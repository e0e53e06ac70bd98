"""`record`: what the Outcomes of a Step mean for the tasks (sync-semantics.md 3.3, 4.1, 4.2). Pure; call it once per
Step, with the progress that was stored before the Step was carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from clusters.core.manifests import Manifest
from clusters.core.plan.actions import managers_to_move
from clusters.core.plan.build import NEVER_DELETED
from clusters.core.plan.model import SyncPlan, Task
from clusters.core.plan.order import CRD
from clusters.core.plan.prelude import (
    LONGEST_RETRY,
    MOST_TRIES,
    dry_run_recorded,
    is_immutable,
    namespace_recorded,
)
from clusters.core.plan.progress import Progress, TaskProgress
from clusters.core.plan.settle import failed, uid_of
from clusters.core.plan.steps import Outcome, Step

_TROUBLE_LIMIT = 600.0
_CRD_LAG = 5.0


def record(
    plan: SyncPlan, progress: Progress, step: Step, outcomes: Sequence[Outcome], now: datetime
) -> Progress:
    """The progress after a Step. Outcomes of unknown tasks are ignored; a missing Outcome leaves its task as it was."""
    clock = progress.clock(now)
    if step.name == "dry_run":
        return dry_run_recorded(plan, progress, outcomes, clock)
    if step.name == "create_namespace":
        return namespace_recorded(progress, outcomes, clock)
    if step.name == "terminate":
        return _terminated(plan, progress, step, outcomes, now)
    changed: dict[str, TaskProgress] = {}
    for outcome in outcomes:
        task = plan.by_id.get(outcome.action.task_id)
        if task is None:
            continue
        before = changed.get(task.id, progress.of(task))
        after = _one(plan, progress, task, before, outcome, clock)
        if after.done and not after.finished_at:
            after = replace(after, finished_at=now.isoformat())
        if after.begun is not None and not after.started_at:
            after = replace(after, started_at=now.isoformat())
        changed[task.id] = after
    return replace(progress.with_tasks(changed), writing=True, retry_at=None, last_change=clock)


def _one(
    plan: SyncPlan, progress: Progress, task: Task, held: TaskProgress, outcome: Outcome, clock: float
) -> TaskProgress:
    verb = outcome.action.verb
    if verb == "patch":
        return _stripped(held, outcome, clock)
    if verb == "delete" and task.action == "prune":
        return _pruned(held, outcome, clock)
    if verb == "delete":
        return _cleaned(held, outcome) if held.state != "pending" else _deleted(held, outcome, clock)
    if verb == "move_fields":
        return _adopted(held, outcome, clock)
    if outcome.ok:
        return _written(plan, task, held, outcome, clock)
    return _refused(progress, task, held, outcome, clock)


def _later(held: TaskProgress, outcome: Outcome, clock: float, *, soon: bool = False) -> TaskProgress:
    """A request that may pass later: repeated with growing pauses, given up after ten minutes."""
    since = clock if held.trouble_since is None else held.trouble_since
    spent = clock - since >= _TROUBLE_LIMIT
    if spent or (soon and held.tries >= MOST_TRIES):
        return failed(held, outcome.message or outcome.code, stops=False)
    pause = 0.2 if soon else min(LONGEST_RETRY, 0.5 * 2**held.tries)
    return replace(
        held,
        tries=held.tries + 1,
        retry_at=clock + pause,
        trouble_since=since,
        message=outcome.message,
    )


def _fine(held: TaskProgress) -> TaskProgress:
    return replace(held, tries=0, retry_at=None, trouble_since=None)


def _stripped(held: TaskProgress, outcome: Outcome, clock: float) -> TaskProgress:
    if outcome.ok or outcome.code == "not_found":
        return _fine(replace(held, stripped=held.done))
    if held.done:
        spent = held.tries >= MOST_TRIES or outcome.code == "forbidden"
        text = f"{held.message}; its finalizer could not be removed: {outcome.message}"
        return replace(held, tries=held.tries + 1, stripped=spent, message=text if spent else held.message)
    # A failed test means that the list of finalizers changed under us: read and try again.
    if outcome.code != "forbidden" and held.tries < MOST_TRIES:
        return _later(held, outcome, clock, soon=True)
    return failed(held, outcome.message)


def _pruned(held: TaskProgress, outcome: Outcome, clock: float) -> TaskProgress:
    if outcome.ok or outcome.code == "not_found":
        stage: Any = "pruning" if outcome.ok else "gone"
        return replace(
            _fine(held), state="Succeeded", stage=stage, code="Pruned", message="pruned", begun=clock
        )
    if outcome.code in ("not_ours", "conflict"):
        text = "is no longer the object that was to be pruned"
        return replace(held, state="Succeeded", stage="gone", code="PruneSkipped", message=text)
    if not outcome.permanent:
        return _later(held, outcome, clock)
    return failed(held, outcome.message)


def _deleted(held: TaskProgress, outcome: Outcome, clock: float) -> TaskProgress:
    if outcome.ok or outcome.code == "not_found":
        begun = clock if held.begun is None else held.begun
        return replace(
            _fine(held), stage="deleting", old_uid=outcome.action.uid, begun=begun, known_absent=False
        )
    if outcome.code in ("conflict", "not_ours"):
        return _later(held, outcome, clock, soon=True)
    return failed(held, outcome.message) if outcome.permanent else _later(held, outcome, clock)


def _cleaned(held: TaskProgress, outcome: Outcome) -> TaskProgress:
    """Removing a finished hook never changes what came of it."""
    if outcome.ok or outcome.code in ("not_found", "conflict", "not_ours"):
        return replace(held, cleaned=True)
    if not outcome.permanent and held.tries < MOST_TRIES:
        return replace(held, tries=held.tries + 1)
    return replace(held, cleaned=True, message=f"{held.message}; could not be removed: {outcome.message}")


def _adopted(held: TaskProgress, outcome: Outcome, clock: float) -> TaskProgress:
    if outcome.ok:
        return replace(_fine(held), moved=True)
    if outcome.permanent and outcome.code != "not_found":
        return failed(held, f"the managed fields could not be moved: {outcome.message}", stops=False)
    return _later(held, outcome, clock, soon=outcome.code in ("conflict", "not_found"))


def _written(plan: SyncPlan, task: Task, held: TaskProgress, outcome: Outcome, clock: float) -> TaskProgress:
    live = outcome.object or {}
    metadata = live.get("metadata") or {}
    if _must_move(plan, task, held, live):
        # The first apply made this entry (before-first-apply): move it, then apply once more.
        return replace(_fine(held), known_absent=False, begun=held.begun or clock)
    created = outcome.action.verb == "create" or (held.known_absent and not task.live_uid)
    word = (
        "recreated" if held.stage == "deleting" and not task.hook else "created" if created else "configured"
    )
    served = _served(task, live)
    generation = metadata.get("generation")
    return replace(
        _fine(held),
        state="Running",
        stage="applied",
        code="Synced" if outcome.changed else "Unchanged",
        message=_with_warnings(word if outcome.changed else "unchanged", task, outcome),
        uid=uid_of(live),
        resource_version=str(metadata.get("resourceVersion") or ""),
        generation=generation if isinstance(generation, int) else 0,
        changed=outcome.changed,
        begun=clock,
        quiet_since=clock,
        seen_version=str(metadata.get("resourceVersion") or ""),
        known_absent=False,
        served=served,
        established=not (served and outcome.changed),
    )


def _with_warnings(word: str, task: Task, outcome: Outcome) -> str:
    adopts = f"; {task.reason}" if task.reason and not task.hook else ""
    told = "".join(f"; warning: {text}" for text in outcome.warnings[:3])
    return (word + adopts + told)[:500]


def _must_move(plan: SyncPlan, task: Task, held: TaskProgress, live: Manifest) -> bool:
    if held.moved or task.hook or task.action != "apply":
        return False
    migrate = plan.options.migrate_fields
    found = managers_to_move(live, migrate=migrate, takeover=False, more=plan.migration_manager)
    return "before-first-apply" in found


def _served(task: Task, live: Manifest) -> str:
    if task.key[:2] != CRD:
        return ""
    spec = live.get("spec") or {}
    return f"{spec.get('group')}/{(spec.get('names') or {}).get('kind')}"


def _refused(
    progress: Progress, task: Task, held: TaskProgress, outcome: Outcome, clock: float
) -> TaskProgress:
    action, code = outcome.action, outcome.code
    blind = action.verb == "create" or (action.verb == "apply" and not action.force)
    if blind and code in ("conflict", "already_exists"):
        return _later(replace(held, known_absent=False), outcome, clock, soon=True)
    if action.verb == "replace" and code in ("conflict", "not_found"):
        return _later(held, outcome, clock, soon=True)
    if _crd_lags(progress, task, held, outcome, clock):
        return _later(held, outcome, clock, soon=True)
    immutable = is_immutable(outcome)
    if not task.hook and task.key[:2] not in NEVER_DELETED and not held.recreate:
        wished = task.options.force and (immutable or code == "conflict")
        if immutable or wished:
            recreate = wished or task.options.on_immutable == "recreate"
            return replace(
                held,
                stage="refused",
                recreate=recreate,
                message=outcome.message,
                known_absent=False,
                begun=held.begun or clock,
            )
    if not outcome.permanent:
        return _later(held, outcome, clock)
    return replace(failed(held, outcome.message, stops=False), begun=held.begun or clock)


def _crd_lags(progress: Progress, task: Task, held: TaskProgress, outcome: Outcome, clock: float) -> bool:
    """3.3 f: the kinds of a CRD that was just written may be refused for some moments."""
    if outcome.code not in ("undeclared_field", "throttled", "kind_not_served", "not_found"):
        return False
    if held.trouble_since is not None and clock - held.trouble_since >= _CRD_LAG:
        return False
    kind = f"{task.key.group}/{task.key.kind}"
    return any(other.served == kind and other.changed for other in progress.tasks.values())


def _terminated(
    plan: SyncPlan, progress: Progress, step: Step, outcomes: Sequence[Outcome], now: datetime
) -> Progress:
    errors = sorted({o.message or o.code for o in outcomes if not o.ok and o.code != "not_found"})
    changed = {}
    for outcome in outcomes:
        task = plan.by_id.get(outcome.action.task_id)
        if task is None or outcome.action.verb != "delete":
            continue
        held = progress.of(task)
        changed[task.id] = replace(
            held,
            state="Failed",
            code="SyncFailed",
            message="Terminated",
            cleaned=outcome.ok,
            stripped=True,
            finished_at=now.isoformat(),
        )
    return replace(
        progress.with_tasks(changed), ending=step.reason, ending_errors="; ".join(errors)[:500], writing=True
    )
