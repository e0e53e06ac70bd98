"""When a Delivery is tried again, and what an attempt leads to (notifications.md 6.3 and 6.4).

    next_try(attempts, delivery_id, created_at, now) -> datetime | None          None: given up
    retry_after(header, now) -> timedelta
    take(bucket, rate, now) -> Taken(bucket, allowed, next_at)
    after_attempt(attempt, case, now) -> Next        after_question(answer, case, now) -> Next
    is_expired(occurred_at, now) -> bool

Nothing here sleeps or knows the time: a wait is a `next_at` that is stored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 45, 120, 300, 900, 1800, 3600))
GIVE_UP_AFTER = timedelta(hours=24)
HOLD_FOR = timedelta(hours=24)
EXPIRES_AFTER = timedelta(hours=24)
MAX_RETRY_AFTER = timedelta(hours=1)
DEFAULT_RETRY_AFTER = timedelta(seconds=30)
ASK_AFTER = (timedelta(seconds=5), timedelta(seconds=15))
ASKING_ENDS_AFTER = timedelta(minutes=10)
UNKNOWN_TRIES = 3

Outcome = Literal["done", "clean", "unsure"]
# What a channel says about a clean failure: it may pass, wait as told, permanent for this message, the recipient or
# the service is configured wrong, or a code that nobody knows.
Kind = Literal["passing", "wait", "message", "recipient", "service", "unknown"]
Ability = Literal["ask", "harmless", "blind"]
Answer = Literal["found", "not_found", "cannot_ask"]


# -- back-off


def next_try(
    attempts: int,
    delivery_id: str,
    created_at: datetime,
    now: datetime,
    give_up_after: timedelta = GIVE_UP_AFTER,
) -> datetime | None:
    """After `attempts` tries (at least 1): the pause of that number, ±20 % derived from the Delivery id."""
    if now - created_at >= give_up_after:
        return None
    pause = BACK_OFF[min(max(attempts, 1), len(BACK_OFF)) - 1]
    digest = hashlib.sha256(f"{delivery_id}/{attempts}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 0xFFFFFFFF  # 0 to 1
    due = now + pause * (0.8 + 0.4 * share)
    return min(due, created_at + give_up_after)


def retry_after(header: str | None, now: datetime) -> timedelta:
    """Seconds or an HTTP date; 30 s when absent or unreadable; at most an hour, never in the past."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        asked = timedelta(seconds=int(text))
    else:
        try:
            date = parsedate_to_datetime(text)
            asked = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
        except (ValueError, TypeError, IndexError, OverflowError):
            asked = DEFAULT_RETRY_AFTER
    return min(max(asked, timedelta(0)), MAX_RETRY_AFTER)


def is_expired(occurred_at: datetime, now: datetime) -> bool:
    """Too old to be sent late: it becomes a visible failure (code `expired`)."""
    return now - occurred_at > EXPIRES_AFTER


def hold_ended(held_since: datetime, now: datetime, hold_for: timedelta = HOLD_FOR) -> bool:
    """A Delivery that waited for its Destination too long."""
    return now - held_since > hold_for


# -- pace


class Rate(NamedTuple):
    """Tokens per second, and how many may be saved up."""

    per_second: float
    burst: int


RATES = {"slack-post": Rate(1, 3), "slack-update": Rate(50 / 60, 5), "other": Rate(5, 5)}


@dataclass(frozen=True)
class Bucket:
    """Tokens at `at`; `frozen_until` is what a Retry-After asked for."""

    tokens: float
    at: datetime
    frozen_until: datetime | None = None


class Taken(NamedTuple):
    """`next_at` is when to look again when not `allowed`."""

    bucket: Bucket
    allowed: bool
    next_at: datetime


def take(bucket: Bucket | None, rate: Rate, now: datetime) -> Taken:
    """One token, or the time when there will be one. None is a bucket never used: full."""
    bucket = bucket or Bucket(float(rate.burst), now)
    passed = max((now - bucket.at).total_seconds(), 0.0)
    tokens = min(rate.burst, bucket.tokens + passed * rate.per_second)
    filled = replace(bucket, tokens=tokens, at=max(now, bucket.at))
    if bucket.frozen_until is not None and now < bucket.frozen_until:
        return Taken(filled, False, bucket.frozen_until)
    # A token that is short by less than a thousandth is a rounding, not a wait.
    if tokens >= 0.999:
        return Taken(replace(filled, tokens=max(tokens - 1, 0.0), frozen_until=None), True, now)
    return Taken(filled, False, now + timedelta(seconds=(1 - tokens) / rate.per_second))


def freeze(bucket: Bucket | None, rate: Rate, now: datetime, pause: timedelta) -> Bucket:
    """The far side asked to wait: nothing leaves through this bucket until then."""
    bucket = bucket or Bucket(float(rate.burst), now)
    until = now + pause
    if bucket.frozen_until is not None and bucket.frozen_until > until:
        return bucket
    return replace(bucket, frozen_until=until)


# -- what an attempt leads to


@dataclass(frozen=True)
class Attempt:
    """How one try ended. `kind` and `retry_after` matter for clean ends only."""

    outcome: Outcome
    kind: Kind = "passing"
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class Case:
    """The Delivery in question. `attempts` counts the one that just ended.

    `ability` is what the channel can do after an unsure answer; `idempotent` is the mark of a webhook Destination,
    `resend` its owner's choice `when_unsure: resend`. `asked` and `asking_since` are for questions already put.
    """

    delivery_id: str
    attempts: int
    created_at: datetime
    ability: Ability
    idempotent: bool = False
    resend: bool = False
    asked: int = 0
    asking_since: datetime | None = None
    give_up_after: timedelta = GIVE_UP_AFTER


@dataclass(frozen=True)
class Next:
    """The new state of the Delivery. `sending` with `ask_at`: keep the lane and ask then.

    `counts` False: this was no attempt. `disables` says what the error switched off. `freeze` goes to the bucket.
    """

    state: Literal["sent", "pending", "sending", "failed", "held", "unconfirmed"]
    next_at: datetime | None = None
    ask_at: datetime | None = None
    counts: bool = True
    disables: Literal["", "destination", "service"] = ""
    freeze: timedelta | None = None
    reason: str = ""


def lapsed(step_begun: bool) -> Outcome:
    """A worker died with the lease: unsure once a step was begun, else the far side heard nothing."""
    return "unsure" if step_begun else "clean"


def after_attempt(attempt: Attempt, case: Case, now: datetime) -> Next:
    """The table of 6.4, and of 6.1 for clean ends."""
    if attempt.outcome == "done":
        return Next("sent")
    if attempt.outcome == "unsure":
        return _unsure(case, now)
    if attempt.kind == "wait":
        pause = min(attempt.retry_after or DEFAULT_RETRY_AFTER, MAX_RETRY_AFTER)
        return Next("pending", now + pause, counts=False, freeze=pause, reason="asked to wait")
    if attempt.kind == "message":
        return Next("failed", reason="permanent")
    if attempt.kind == "recipient":
        return Next("held", disables="destination", reason="configuration of the recipient")
    if attempt.kind == "service":
        return Next("held", disables="service", reason="configuration of the service")
    if attempt.kind == "unknown" and case.attempts >= UNKNOWN_TRIES:
        return Next("failed", reason=f"an unknown error {UNKNOWN_TRIES} times")
    return _again(case, now)


def _unsure(case: Case, now: datetime) -> Next:
    if case.ability == "ask":
        return Next("sending", ask_at=now + ASK_AFTER[0], reason="asking whether it arrived")
    if case.ability == "harmless" or case.idempotent or case.resend:
        return _again(case, now)
    return Next("unconfirmed", reason="nobody knows whether it arrived")


def _again(case: Case, now: datetime) -> Next:
    due = next_try(case.attempts, case.delivery_id, case.created_at, now, case.give_up_after)
    return (
        Next("failed", reason="given up")
        if due is None
        else Next("pending", due, reason="will be tried again")
    )


def after_question(answer: Answer, case: Case, now: datetime) -> Next:
    """Found: sent. Not found twice: it did not arrive. Cannot ask for 10 minutes: as a channel that is blind.

    `case.asked` counts the answers `not_found` so far, with this one.
    """
    if answer == "found":
        return Next("sent", reason="found")
    if answer == "not_found":
        if case.asked >= len(ASK_AFTER):
            return _again(case, now)
        return Next(
            "sending", ask_at=now + ASK_AFTER[min(case.asked, len(ASK_AFTER) - 1)], reason="asking again"
        )
    since = case.asking_since or now
    if now - since >= ASKING_ENDS_AFTER:
        return _again(case, now) if case.resend else Next("unconfirmed", reason="nobody could be asked")
    return Next("sending", ask_at=now + ASK_AFTER[-1], reason="could not ask")
