"""From desired and live objects to an immutable SyncPlan; then one Step at a time (sync-semantics.md 2 to 4, 10, 12).

May live here: building plans, the pure `next_step`, deletion plans. May not: any request (that is
`clusters.services.carry_out`), Django, a clock.

The loop of one pass, as the caller (the hall) writes it:

    plan = build_plan(PlanRequest(operation="41", application="shop", hub_id="h1", namespace="shop",
                                  started_at=operation.started_at, revisions=(sha,), prune=True,
                                  options=parse_sync_options(spec_options)[0]),
                      PlanFacts(desired=manifests, live=live, discovery=discovery, living=..., violations=...))
    store(plan.to_json(), plan_digest(plan));  progress = Progress.begin(now)
    while True:
        observed = Observed(desired=index_desired(manifests), live=..., discovery=...,
                            health=lambda obj, is_hook: assess(obj, is_hook=is_hook),
                            window=..., approval=..., problem=..., violations=..., confirmed=..., terminate=...)
        progress, verdict = advance(plan, progress, observed, now)
        store(progress.to_json(), results(plan, progress))      # before the Step is carried out
        if not isinstance(verdict, Step):
            break                                               # Wait(until), Done, Failed(retryable)
        outcomes = carry_out(connection, verdict)
        progress = record(plan, progress, verdict, outcomes, now)
        observed = observed.with_outcomes(outcomes)             # the answers are newer than any cache

- `advance` = `observe` (what live objects say about running tasks) and then `next_step` (the decision). Progress must
  be stored before a Step is carried out: the outcome of a hook is written down before its finalizer goes. A worker
  that dies anywhere is followed by one that loads plan and progress and goes on; no hook runs twice.
- `wanted_keys(plan, progress)`: whose live state must stand in `Observed.live`. An object; None = confirmed absent
  (a GET, or a complete list begun after the last Step); no entry = unknown, which never means gone. Live objects of
  tasks without Baseline need their managedFields (adoption, 4.1). Put the destination Namespace in, too.
- `wants_discovery(plan, progress)`: read discovery fresh (not from a cache) for the next look; else a batch that waits
  for a new CRD waits until its 60 s are over.
- `Wait.code`: approval, hook_decision, window, prune_confirmation, hook, health, deletion, retry, established,
  problem, wave_delay. On `approval` with state missing the caller requests it for `plan_digest(plan)` (the dry run is
  done then); on the first Step other than `dry_run` after an Approval it claims it. On `hook_decision` it stores the
  question; once chosen it builds the plan anew with `PlanFacts.hook_choices` (nothing was written yet).
- `Failed.retryable`: ask `next_retry`. A new attempt: `build_plan(attempt=n)` and `progress.next_attempt(now)`.
- After Done: `results(plan, progress, ended=True)`, `hook_successes(plan, progress)` is the history of rule 6.
- `stalled(plan, progress, now, ...)` gives the Condition Stalled (`stalls_at`: when to look), `may_supersede` rule 3.11,
  `describe(plan)` the readable preview.
- The end of an Application (section 10): `build_deletion(DeletionRequest(...), DeletionFacts(live, desired))` gives a
  SyncPlan of kind `delete`, walked by the same loop; tasks with code `Kept` stay, with the reason. After Failed build
  it again with `attempt + 1` and `done_hooks(plan, progress)`. `detach_step(application, hub_id, live)` gives the one Step of
  a detach, None when nothing carries our marks any more; no progress is needed.
- A manifest that passes through must be stamped (`clusters.core.manifests.stamp`) by the caller.
"""

from clusters.core.plan.build import build_plan
from clusters.core.plan.decide import advance, next_step, within_grace
from clusters.core.plan.deletion import (
    DeletionFacts,
    DeletionRequest,
    applications_need_confirmation,
    build_deletion,
    detach_step,
    done_hooks,
)
from clusters.core.plan.judge import observe
from clusters.core.plan.model import Batch, Finding, InvalidTask, NamespaceWish, SyncPlan, Task
from clusters.core.plan.observed import (
    ApprovalFact,
    Observed,
    Problem,
    WindowBlock,
    wanted_keys,
    wants_discovery,
)
from clusters.core.plan.options import ResourceOptions, SyncOptions, parse_sync_options, resource_options
from clusters.core.plan.preview import describe, plan_digest
from clusters.core.plan.progress import Progress, Result, TaskProgress, hook_successes, results
from clusters.core.plan.prunes import prune_digest
from clusters.core.plan.record import record
from clusters.core.plan.request import PlanFacts, PlanRequest, PruneBudget, index_desired, source_of
from clusters.core.plan.retry import (
    Retry,
    RetryPolicy,
    deletion_approved,
    may_supersede,
    next_retry,
    stalled,
    stalls_at,
)
from clusters.core.plan.steps import Action, Done, Failed, Outcome, Step, Verdict, Wait

__all__ = [
    "Action",
    "ApprovalFact",
    "Batch",
    "DeletionFacts",
    "DeletionRequest",
    "Done",
    "Failed",
    "Finding",
    "InvalidTask",
    "NamespaceWish",
    "Observed",
    "Outcome",
    "PlanFacts",
    "PlanRequest",
    "Problem",
    "Progress",
    "PruneBudget",
    "ResourceOptions",
    "Result",
    "Retry",
    "RetryPolicy",
    "Step",
    "SyncOptions",
    "SyncPlan",
    "Task",
    "TaskProgress",
    "Verdict",
    "Wait",
    "WindowBlock",
    "advance",
    "applications_need_confirmation",
    "build_deletion",
    "build_plan",
    "deletion_approved",
    "describe",
    "detach_step",
    "done_hooks",
    "hook_successes",
    "index_desired",
    "may_supersede",
    "next_retry",
    "next_step",
    "observe",
    "parse_sync_options",
    "plan_digest",
    "prune_digest",
    "record",
    "resource_options",
    "results",
    "source_of",
    "stalled",
    "stalls_at",
    "wanted_keys",
    "wants_discovery",
    "within_grace",
]
