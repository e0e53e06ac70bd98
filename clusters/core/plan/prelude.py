"""What came of the steps before the first write: dry run and destination namespace (sync-semantics.md 3.2 items 7, 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clusters.core.plan.model import SyncPlan, Task
from clusters.core.plan.progress import Progress
from clusters.core.plan.steps import Outcome

LONGEST_RETRY = 30.0
MOST_TRIES = 20
_IMMUTABLE = (
    "field is immutable",
    "may not change once set",
    "cannot change roleRef",
    "updates to statefulset spec",
    "spec is immutable after creation",
    "pod updates may not change",
)


def is_immutable(outcome: Outcome) -> bool:
    """Whether the server refused a field that may not change (api-server-facts.md 4)."""
    if outcome.code == "immutable":
        return True
    return outcome.code == "invalid" and any(text in outcome.message for text in _IMMUTABLE)


def dry_run_recorded(
    plan: SyncPlan, progress: Progress, outcomes: Sequence[Outcome], clock: float
) -> Progress:
    bad: list[tuple[str, str]] = []
    for outcome in outcomes:
        task = plan.by_id.get(outcome.action.task_id)
        if outcome.ok or task is None or _dry_run_passes(task, outcome):
            continue
        if not outcome.permanent and outcome.code not in ("conflict", "already_exists"):
            tries = progress.tries + 1
            if tries < MOST_TRIES:
                pause = min(LONGEST_RETRY, 0.5 * 2**tries)
                return replace(progress, tries=tries, retry_at=clock + pause)
        bad.append((str(task.key), outcome.message))
    if not bad:
        return replace(progress, dry_run_done=True, retry_at=None, tries=0)
    text = "one or more objects failed to apply (dry run)"
    return replace(
        progress,
        dry_run_done=True,
        retry_at=None,
        fatal=f"{text}: {'; '.join(sorted({message for _, message in bad})[:5])}",
        fatal_details=tuple(bad),
    )


def _dry_run_passes(task: Task, outcome: Outcome) -> bool:
    """Refusals that the real run answers: it looks again, recreates, or finds the object gone."""
    if outcome.code in ("conflict", "already_exists", "not_ours"):
        return True
    if outcome.action.verb == "delete":
        return outcome.code == "not_found"
    immutable = is_immutable(outcome)
    job = (task.key.group, task.key.kind) == ("batch", "Job") and task.options.on_immutable == ""
    return immutable and (task.options.force or task.options.on_immutable == "recreate" or job)


def namespace_recorded(progress: Progress, outcomes: Sequence[Outcome], clock: float) -> Progress:
    for outcome in outcomes:
        if outcome.ok or outcome.code in ("conflict", "already_exists"):
            continue
        tries = progress.tries + 1
        if not outcome.permanent and tries < MOST_TRIES:
            pause = min(LONGEST_RETRY, 0.5 * 2**tries)
            return replace(progress, tries=tries, retry_at=clock + pause)
        text = f"the namespace failed to apply: {outcome.message}"
        return replace(progress, fatal=text, fatal_details=((str(outcome.action.key), outcome.message),))
    return replace(progress, namespace_done=True, tries=0, retry_at=None)
