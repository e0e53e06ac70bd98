"""When to look again: pure decisions about the next look of an application and the next poll of a repository.

Jitter is derived from the row's id and a counter, so that it is spread over rows and yet repeatable.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
# Without a live watch an application is looked at by LIST (performance.md 3.4).
WITHOUT_WATCH = timedelta(seconds=180)
# A running operation without a live watch is looked at this often, so that it goes on when its objects do.
OPERATION_WITHOUT_WATCH = timedelta(seconds=2)
# A deletion that was ended by hand, or refused for good, begins anew after this.
DELETION_AGAIN = timedelta(seconds=60)
RETRY_STEPS_S = (5, 15, 45, 120, 300)
TRANSIENT_SOURCE = timedelta(seconds=180)
TRANSIENT_CLUSTER = timedelta(seconds=30)


def jitter(seed: str, share: float = 0.1) -> float:
    """A factor within 1 ± share, always the same for one seed."""
    return 1 + share * (2 * (zlib.crc32(seed.encode()) % 10_000) / 10_000 - 1)


@dataclass(frozen=True, slots=True)
class LookFacts:
    """What the next look rests on."""

    now: datetime
    seed: str
    watched: bool
    level: int = 0
    wait_until: datetime | None = None
    operation_running: bool = False
    failures: int = 0
    retry_at: datetime | None = None


def next_look(facts: LookFacts) -> datetime:
    """The earliest moment at which something may have to be done without being told."""
    if facts.failures:
        step = RETRY_STEPS_S[min(facts.failures, len(RETRY_STEPS_S)) - 1]
        regular = facts.now + timedelta(seconds=step * jitter(facts.seed))
    elif facts.watched:
        regular = facts.now + HOUR * jitter(facts.seed)
    elif facts.operation_running:
        regular = facts.now + OPERATION_WITHOUT_WATCH
    else:
        regular = facts.now + WITHOUT_WATCH * jitter(facts.seed)
    timed = [moment for moment in (facts.wait_until, facts.retry_at) if moment is not None]
    return min([regular, *timed])


@dataclass(frozen=True, slots=True)
class QuietFacts:
    """One due application as read in bulk; all it needs to know whether a pass can change anything."""

    level: int
    watched: bool
    settled_generation: bool
    operation: bool
    wanted_equals_rendered: bool
    errors: bool
    timed: bool


def needs_pass(facts: QuietFacts) -> str:
    """Why a due application needs a pass, or an empty text when the look is over (performance.md P10)."""
    if facts.level:
        return "somebody asked"
    if facts.operation:
        return "an operation is unfinished"
    if not facts.settled_generation:
        return "the specification changed"
    if not facts.wanted_equals_rendered:
        return "the source moved"
    if facts.errors:
        return "the last look failed"
    if facts.timed:
        return "a timer has run out"
    return "" if facts.watched else "no watch is running"


def next_poll(
    now: datetime, seed: str, *, interval_s: float, webhook_at: datetime | None, failures: int
) -> datetime:
    """60 s; 180 s while webhooks arrive; after failures 30 s, doubled up to 30 min (sources.md 2.1, 2.6)."""
    if failures:
        return now + timedelta(seconds=min(30 * 2 ** min(failures - 1, 6), 1800) * jitter(seed))
    hooked = webhook_at is not None and now - webhook_at < timedelta(hours=24)
    return now + timedelta(seconds=interval_s * (3 if hooked else 1) * jitter(seed))
