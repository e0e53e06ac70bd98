"""What one look at the world gives: live objects, decisions of the hub, the clock (sync-semantics.md 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from clusters.core.discovery import Discovery
from clusters.core.health import Health
from clusters.core.manifests import Manifest, ResourceKey, is_built_in, key_of
from clusters.core.plan.model import Batch, SyncPlan, Task
from clusters.core.plan.progress import Progress, TaskProgress
from clusters.core.plan.steps import Outcome

SETTLE_BUILT_IN = 0.2
SETTLE_CUSTOM = 2.0
NOTHING_SERVED = Discovery()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the hub cannot judge now: spec (final), source or cluster (may pass), since when (7.4)."""

    kind: Literal["spec", "source", "cluster"]
    message: str
    since: datetime


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """The SyncWindow that blocks this operation now, and until when, if that is known."""

    name: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalFact:
    """State of the Approval of this plan's digest; `text` is shown: "1 of 2 votes", or why it was refused."""

    state: Literal["missing", "pending", "approved", "rejected", "cancelled", "expired"] = "missing"
    digest: str = ""
    text: str = ""


def _no_health(_obj: Manifest, _is_hook: bool) -> Health | None:
    return None


def _as_is(manifest: Manifest, _live: Manifest | None) -> Manifest:
    return manifest


def _everyone_lives(_application: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Observed:
    """One look. `live`: an object; None = a GET (or a complete list) after the last Step said it is absent; no entry =
    not looked at. Overlay the answers of a Step with `with_outcomes`, a cache may lag behind them.

    `health(object, is_hook)`. `prepare(manifest, live)` gives the body to send (paths that are not written, 4.4). `violations`: the Project,
    judged again now. `settle`: seconds of quiet per (group, kind). `confirmed`: prunes that people confirmed.
    """

    desired: Mapping[str, Manifest] = field(default_factory=dict, repr=False)
    live: Mapping[ResourceKey, Manifest | None] = field(default_factory=dict, repr=False)
    health: Callable[[Manifest, bool], Health | None] = _no_health
    discovery: Discovery = NOTHING_SERVED
    window: WindowBlock | None = None
    approval: ApprovalFact | None = None
    problem: Problem | None = None
    violations: Mapping[ResourceKey, str] = field(default_factory=dict)
    confirmed: frozenset[ResourceKey] = frozenset()
    confirmed_all: bool = False
    terminate: bool = False
    settle: Mapping[tuple[str, str], float] = field(default_factory=dict)
    prepare: Callable[[Manifest, Manifest | None], Manifest] = _as_is
    living: Callable[[str], bool] = _everyone_lives

    def with_outcomes(self, outcomes: Sequence[Outcome]) -> Observed:
        """The look after a Step, from its answers alone: what is newest is known without asking again."""
        live = dict(self.live)
        for outcome in outcomes:
            action = outcome.action
            if action.dry_run:
                continue
            if outcome.ok and outcome.object is not None and "metadata" in outcome.object:
                live[key_of(outcome.object)] = outcome.object
            elif outcome.code == "not_found" and action.verb in ("delete", "get", "patch"):
                live[action.key] = None
            elif outcome.ok and action.verb == "delete":
                live[action.key] = None  # an answer without object: nothing holds it, it is gone
            else:
                live.pop(action.key, None)
        return replace(self, live=live)


@dataclass(frozen=True)
class Situation:
    """Plan, progress, look and clock together, with the questions that all decisions ask."""

    plan: SyncPlan
    progress: Progress
    observed: Observed
    now: datetime

    @cached_property
    def clock(self) -> float:
        return self.progress.clock(self.now)

    def of(self, task: Task) -> TaskProgress:
        return self.progress.of(task)

    def live(self, task: Task) -> Manifest | None:
        """The live object, None when it is absent or was not looked at (see `absent`)."""
        return self.observed.live.get(task.key)

    def absent(self, key: ResourceKey) -> bool:
        """Known to be absent."""
        return key in self.observed.live and self.observed.live[key] is None

    def due(self, since: float, limit: float) -> datetime:
        """The moment at which `limit` seconds have passed since `since` on the operation's clock."""
        return self.now + timedelta(seconds=max(0.0, since + limit - self.clock))

    @cached_property
    def many(self) -> bool:
        """More than one batch, SyncFail not counted: only then plain resources are waited for (3.4)."""
        return len(self.plan.batches) > 1

    def counts(self, task: Task) -> bool:
        """Whether a Running task is waited for (3.4)."""
        if task.hook or self.plan.options.wait_for_healthy:
            return True
        if task.in_place and self.plan.options.apply_out_of_sync_only:
            return False
        batch = self.plan.batch_of[task.id]
        last = self.plan.batches[-1] if self.plan.batches else batch
        return self.many and (batch.index < last.index or last.has_hook)

    @cached_property
    def failed(self) -> tuple[Task, ...]:
        """Tasks outside SyncFail that completed unsuccessfully."""
        return tuple(t for b in self.plan.batches for t in b.tasks if self.of(t).bad)

    @cached_property
    def current(self) -> Batch | None:
        """The first batch in which something is pending."""
        for batch in self.plan.batches:
            if any(self.of(task).state == "pending" for task in batch.tasks):
                return batch
        return None

    @cached_property
    def phase_times(self) -> dict[str, float]:
        """When the first task of each phase began, on the clock."""
        found: dict[str, float] = {}
        for task in self.plan.tasks:
            begun = self.of(task).begun
            if begun is not None:
                found[task.phase] = min(begun, found.get(task.phase, begun))
        return found

    def running(self, tasks: Sequence[Task]) -> list[Task]:
        return [t for t in tasks if self.of(t).state == "Running" and self.counts(t)]

    @cached_property
    def awaited(self) -> tuple[Task, ...]:
        """Running tasks that count, of the batches that have begun."""
        limit = self.current.index if self.current else len(self.plan.batches)
        batches = [b for b in self.plan.batches if b.index < limit]
        return tuple(t for b in batches for t in self.running(b.tasks))

    def settle_seconds(self, task: Task, speaks: bool) -> float:
        """How long an object must be quiet before its health is believed (3.5); 0 = at once.

        `speaks`: its kind has a health rule with an opinion about it now.
        """
        kind = (task.key.group, task.key.kind)
        if kind in self.observed.settle:
            return self.observed.settle[kind]
        if is_built_in(task.key.group):
            return SETTLE_BUILT_IN if speaks else 0.0
        info = self.observed.discovery.find(*kind)
        has_status = info is not None and "status" in info.subresources
        return SETTLE_CUSTOM if speaks or has_status else 0.0


def wants_discovery(plan: SyncPlan, progress: Progress) -> bool:
    """Whether `Observed.discovery` must be read anew for this look: a CRD was written and its kind is awaited."""
    return any(not held.established for held in progress.tasks.values()) and bool(plan.tasks)


def wanted_keys(plan: SyncPlan, progress: Progress) -> frozenset[ResourceKey]:
    """The keys whose live state the next decisions need: unfinished tasks of the batches that are under way, and
    hook objects still to be cleaned. The caller looks these up (by GET where no cache speaks) and fills `live`."""
    keys: set[ResourceKey] = set()
    if plan.namespace:
        keys.add(ResourceKey("", "Namespace", "", plan.namespace))
    begun = False
    for batch in plan.batches:
        states = [(task, progress.of(task)) for task in batch.tasks]
        pending = any(held.state == "pending" for _, held in states)
        keys.update(
            task.key
            for task, held in states
            if not held.done or held.stage == "pruning" or (task.hook and _hook_wanted(plan, task, held))
        )
        if pending and begun:
            break
        begun = pending or begun
    if plan.fail_batch:
        keys.update(t.key for t in plan.fail_batch.tasks if _hook_wanted(plan, t, progress.of(t)))
    return frozenset(keys)


def _hook_wanted(plan: SyncPlan, task: Task, held: TaskProgress) -> bool:
    """A hook is looked at until it is free of our finalizer and nothing is left to remove."""
    if not held.done or (task.ends and not held.stripped):
        return True
    removed_later = (
        plan.kind == "delete" or held.expired or {"HookSucceeded", "HookFailed"} & set(task.policies)
    )
    return bool(removed_later) and not held.cleaned
