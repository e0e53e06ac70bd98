"""`next_step`: the decision, in the order of sync-semantics.md 3.2. Pure; exactly one Step, Wait, Done or Failed."""

from __future__ import annotations

from datetime import datetime, timedelta

from clusters.core.manifests import ResourceKey
from clusters.core.plan.actions import delete_action, needs_delete, wish_action, write_action
from clusters.core.plan.batch import run_batch
from clusters.core.plan.ending import (
    fail,
    hooks_of,
    release_in_dying_namespaces,
    strip_step,
    succeed,
    terminate,
)
from clusters.core.plan.judge import observe
from clusters.core.plan.model import Batch, SyncPlan, Task
from clusters.core.plan.observed import Observed, Problem, Situation
from clusters.core.plan.progress import Progress
from clusters.core.plan.steps import Action, Done, Failed, Step, Verdict, Wait
from clusters.core.plan.waits import wait_for_deletion, wait_for_running

SOURCE_GRACE, CLUSTER_GRACE, CLUSTER_GRACE_STARTED = 180.0, 30.0, 600.0
_NOT_VALID = "one or more synchronization tasks are not valid"


def advance(
    plan: SyncPlan, progress: Progress, observed: Observed, now: datetime
) -> tuple[Progress, Verdict]:
    """What this look shows, and what to do next. Store the progress before carrying the Step out."""
    seen = observe(plan, progress, observed, now)
    return seen, next_step(plan, seen, observed, now)


def next_step(plan: SyncPlan, progress: Progress, observed: Observed, now: datetime) -> Verdict:
    """The decision on a progress that `observe` has brought up to date. First match wins (3.2)."""
    situation = Situation(plan, progress, observed, now)
    if observed.terminate or progress.ending:
        return terminate(situation, "Operation terminated")
    timed_out = _operation_timeout(situation)
    if timed_out is not None:
        return timed_out
    return _decide(situation)


def _decide(situation: Situation) -> Verdict:
    for decision in (_fatal, _problem, _shared, _invalid, _people, _window):
        verdict = decision(situation)
        if verdict is not None:
            return verdict
    if situation.plan.dry_run:
        return _dry_run(situation) or Done("successfully synced (dry run)")
    if situation.plan.kind == "delete":
        return _work(situation)
    if not situation.progress.writing:
        verdict = _namespace(situation) or _dry_run(situation)
        if verdict is not None:
            return verdict
    return _work(situation)


def _operation_timeout(situation: Situation) -> Verdict | None:
    limit = situation.plan.options.operation_timeout
    if not limit or situation.progress.earlier + situation.clock < limit:
        return None
    verdict = _decide(situation)
    if isinstance(verdict, Done | Failed):
        return verdict
    return terminate(situation, f"timed out, was {verdict.reason}")


def _fatal(situation: Situation) -> Failed | None:
    progress = situation.progress
    if not progress.fatal:
        return None
    details = tuple({"key": key, "message": text} for key, text in progress.fatal_details)
    return Failed(progress.fatal, details=details, code="before_start")


def _problem(situation: Situation) -> Verdict | None:
    problem = situation.observed.problem
    if problem is None:
        return None
    return within_grace(problem, situation.now, started=situation.progress.writing)


def within_grace(problem: Problem, now: datetime, *, started: bool = False) -> Wait | Failed:
    """Item 2: what may pass is waited for within its grace, then the hub says that it could not judge."""
    cluster = CLUSTER_GRACE_STARTED if started else CLUSTER_GRACE
    grace = {"spec": 0.0, "source": SOURCE_GRACE, "cluster": cluster}[problem.kind]
    until = problem.since + timedelta(seconds=grace)
    if now < until:
        return Wait(f"waiting until this passes: {problem.message}", until, "problem")
    return Failed(problem.message, phase="Error", code=f"{problem.kind}_error")


def _shared(situation: Situation) -> Failed | None:
    shared = situation.plan.shared
    if not shared or not situation.plan.options.fail_on_shared or situation.progress.writing:
        return None
    text = ", ".join(f"{task.key} {task.reason}" for task in shared[:5])
    return Failed(f"Shared resource found: {text}", code="shared_resource")


def _invalid(situation: Situation) -> Failed | None:
    """Item 4. A retry helps only if a change in the cluster can make every task valid."""
    invalid = situation.plan.invalid
    if not invalid:
        return None
    texts = "; ".join(sorted({task.message for task in invalid}))
    policy = any(task.code == "ProjectPolicyViolation" for task in invalid)
    return Failed(
        f"{_NOT_VALID}: {texts}",
        retryable=all(task.retryable for task in invalid),
        code="ProjectPolicyViolation" if policy else invalid[0].code,
        details=tuple({"key": str(t.key), "code": t.code, "message": t.message} for t in invalid),
    )


def _people(situation: Situation) -> Verdict | None:
    """Item 5: an open hook decision, then the Approval of this plan. A dry run needs neither."""
    plan, approval = situation.plan, situation.observed.approval
    if plan.dry_run or situation.progress.writing:
        return None
    if plan.open_hooks:
        first = plan.open_hooks[0]
        return Wait(f"hook {first.key}: {first.reason}", None, "hook_decision", first.wave, first.phase)
    if approval is None or approval.state == "approved":
        return None
    if approval.state in ("rejected", "cancelled", "expired"):
        text = approval.text or f"the approval was {approval.state}"
        return Failed(text, retryable=False, code=f"approval_{approval.state}")
    step = _dry_run(situation) if plan.kind != "delete" else None
    if step is not None:
        return step
    said = f": {approval.text}" if approval.text else ""
    return Wait(f"approval of plan {approval.digest[:12]}{said}", None, "approval")


def _window(situation: Situation) -> Wait | None:
    window = situation.observed.window
    if window is None or situation.plan.dry_run:
        return None
    until = f" until {window.until.isoformat()}" if window.until else ""
    return Wait(f"blocked by sync window {window.name}{until}", window.until, "window")


def _retry_wait(situation: Situation, what: str) -> Wait | None:
    moment = situation.progress.retry_at
    if moment is None or situation.clock >= moment:
        return None
    return Wait(f"repeating {what}", situation.due(moment, 0.0), "retry")


def _namespace(situation: Situation) -> Verdict | None:
    """Item 7: the destination Namespace comes before the dry run of what lives in it."""
    plan = situation.plan
    if situation.progress.namespace_done or not plan.namespace:
        return None
    key = ResourceKey("", "Namespace", "", plan.namespace)
    action: Action | None = None
    if plan.namespace_wish is not None:
        action = wish_action(plan.namespace_wish, situation.observed.live.get(key))
    elif situation.absent(key):
        task = next((t for t in plan.tasks if t.key == key and t.active and t.action != "prune"), None)
        action = write_action(situation, task) if task else None
    if action is None:
        return None
    wait = _retry_wait(situation, f"the creation of namespace {plan.namespace}")
    return wait or Step("create_namespace", f"creating namespace {plan.namespace}", ((action,),))


def _dry_run(situation: Situation) -> Verdict | None:
    """Item 8 and 3.3: once per attempt, on the server where it is worth its price."""
    plan, observed = situation.plan, situation.observed
    if situation.progress.dry_run_done or plan.options.dry_run == "local":
        return None
    asked = plan.dry_run or plan.options.dry_run == "server" or observed.approval is not None
    if not asked and not situation.many:
        return None
    tasks = [t for t in plan.tasks if t.active and not t.in_place and not t.local_only]
    if not tasks:
        return None
    wait = _retry_wait(situation, "the dry run")
    if wait is not None:
        return wait
    actions = tuple(_dry_action(situation, task) for task in tasks)
    return Step("dry_run", f"dry run of {len(actions)} objects", (actions,), stop_on_failure=False)


def _dry_action(situation: Situation, task: Task) -> Action:
    """A task that starts with a delete is dry-run as that delete."""
    if task.action == "prune":
        return delete_action(situation, task, None, dry_run=True)
    if needs_delete(situation, task):
        return delete_action(situation, task, situation.live(task), dry_run=True)
    return write_action(situation, task, dry_run=True)


def _work(situation: Situation) -> Verdict:
    """Items 9 to 15."""
    release = release_in_dying_namespaces(situation)
    if release is not None:
        return release
    if situation.failed:
        return fail(situation)
    if situation.awaited:
        return wait_for_running(situation, situation.awaited)
    batch = situation.current
    begun = batch is not None and any(
        situation.of(t).begun is not None and not t.in_place for t in batch.tasks
    )
    if not begun:
        verdict = _between(situation)
        if verdict is not None:
            return verdict
    if batch is None:
        return succeed(situation)
    if not begun and batch.index:
        delay = situation.plan.options.wave_delay
        since = situation.progress.last_change
        if delay and situation.clock < since + delay:
            text = f"pausing before wave {batch.number} of {batch.count}, phase {batch.phase}"
            return Wait(text, situation.due(since, delay), "wave_delay", batch.wave, batch.phase)
    return run_batch(situation, batch) or _stuck(batch)


def _between(situation: Situation) -> Verdict | None:
    """Items 11 and 12: what is being pruned must be gone, completed hooks are released."""
    going = [t for b in situation.plan.batches for t in b.tasks if situation.of(t).stage == "pruning"]
    in_background = situation.plan.kind == "delete" and situation.plan.options.propagation == "Background"
    if going and not in_background:
        return wait_for_deletion(situation, going)
    return strip_step(situation, hooks_of(situation))


def _stuck(batch: Batch) -> Failed:
    text = f"nothing can be started in wave {batch.number} of phase {batch.phase}"
    return Failed(text, phase="Error", code="internal")
