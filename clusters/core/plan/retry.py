"""After an attempt, and beside it: retries, superseding, stalls (sync-semantics.md 3.10 to 3.12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from clusters.core.durations import say_duration
from clusters.core.plan.model import SyncPlan
from clusters.core.plan.observed import Observed, Situation
from clusters.core.plan.progress import Progress
from clusters.core.plan.steps import Failed


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`spec.syncPolicy.retry`: limit -1 is endless, None the default (5 automated, 0 manual); times in seconds."""

    limit: int | None = None
    duration: float = 5.0
    factor: float = 2.0
    longest: float = 180.0
    refresh: bool = False

    def attempts(self, automated: bool) -> int:
        """Attempts in all, 0 = endless."""
        limit = (5 if automated else 0) if self.limit is None else self.limit
        return 0 if limit < 0 else limit + 1

    def pause(self, retry: int) -> float:
        """Seconds before the `retry`-th retry (from 1).

        >>> [RetryPolicy().pause(n) for n in (1, 2, 3, 7)]
        [5.0, 10.0, 20.0, 180.0]
        """
        exponent = min(max(retry - 1, 0), 64)
        try:
            wanted = self.duration * self.factor**exponent
        except OverflowError:
            wanted = self.longest
        return min(self.longest, wanted)


@dataclass(frozen=True, slots=True)
class Retry:
    """The next attempt: its number, when, and the sentence."""

    attempt: int
    at: datetime
    message: str


def next_retry(
    policy: RetryPolicy, failure: Failed, *, attempt: int, automated: bool, ended_at: datetime
) -> Retry | None:
    """When the operation tries again after `failure` of `attempt`, None if it does not."""
    every = policy.attempts(automated)
    if not failure.retryable or (every and attempt >= every):
        return None
    at = ended_at + timedelta(seconds=policy.pause(attempt))
    total = f" of {every}" if every else ""
    return Retry(attempt + 1, at, f"attempt {attempt + 1}{total} at {at:%H:%M:%S}")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The operation that is there when another one is asked for. `wait_code` is that of its last Wait."""

    automated: bool
    phase: Literal["Queued", "Running", "Terminating"]
    attempt: int = 1
    names_revision: bool = False
    wait_code: str = ""
    stalled: bool = False
    hook_running: bool = False


_HELD = frozenset({"approval", "window", "prune_confirmation", "hook_decision", "retry_pause"})


def may_supersede(
    older: Unfinished,
    *,
    mode: Literal["retry", "waiting", "never"] = "retry",
    manual: bool = False,
    newer_plan: bool = True,
    same_request: bool = False,
) -> tuple[Literal["supersede", "join", "refuse"], str]:
    """3.11: what a newer Revision with a changed plan (or a manual request) does to the operation that is there."""
    if manual and same_request:
        return "join", "an equal operation is running"
    if older.phase == "Terminating":
        return "refuse", "the operation is being terminated"
    if older.hook_running:
        return "refuse", "a running hook is never interrupted"
    if manual:
        if older.phase == "Queued" or older.wait_code in _HELD:
            return "supersede", "it had not begun or waited for people"
        return "refuse", "operation_running"
    if not newer_plan:
        return "refuse", "the newer revision changes nothing"
    if mode == "never":
        return "refuse", "Supersede=never"
    if not older.automated and older.names_revision:
        return "refuse", "automation never supersedes a manual operation that names a revision"
    if older.phase == "Queued" or older.wait_code in _HELD:
        return "supersede", "it had not begun or waited for people"
    if older.attempt > 1:
        return "supersede", f"it was in attempt {older.attempt}"
    if older.stalled:
        return "supersede", "it was stalled"
    if mode == "waiting" and older.wait_code == "health":
        return "supersede", "it only waited for the health of resources"
    return "refuse", "operation_running"


def stalled(plan: SyncPlan, progress: Progress, observed: Observed, now: datetime) -> str:
    """The text of the Condition Stalled: nothing awaited changed for `StallAfter`; empty if not so (3.12)."""
    situation = Situation(plan, progress, observed, now)
    limit = plan.options.stall_after
    waiting = [t for t in plan.tasks if t.active and situation.of(t).state == "Running"]
    if not limit or not progress.writing or not waiting or progress.paused_since is not None:
        return ""
    quiet = situation.clock - progress.last_change
    if quiet < limit:
        return ""
    first = waiting[0]
    message = situation.of(first).health_message
    return f"{first.key} did not change for {say_duration(quiet)}" + (f": {message}" if message else "")


def stalls_at(plan: SyncPlan, progress: Progress, observed: Observed, now: datetime) -> datetime | None:
    """When what is awaited now will have stalled if nothing changes; None if it cannot, or has already."""
    situation = Situation(plan, progress, observed, now)
    limit = plan.options.stall_after
    waiting = any(t.active and situation.of(t).state == "Running" for t in plan.tasks)
    if not limit or not progress.writing or not waiting or progress.paused_since is not None:
        return None
    at = situation.due(progress.last_change, limit)
    return at if at > now else None


def deletion_approved(text: str, operation_started_at: datetime) -> bool:
    """Whether `argocd.argoproj.io/deletion-approved` confirms: an RFC 3339 time not older than the start (4.2)."""
    try:
        at = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return False
    return at.tzinfo is not None and at >= operation_started_at
