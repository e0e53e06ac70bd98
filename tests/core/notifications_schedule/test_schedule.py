"""When to try again, and what an attempt leads to (notifications.md 6.3 and 6.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core.schedule import (
    BACK_OFF,
    RATES,
    Attempt,
    Bucket,
    Case,
    after_attempt,
    after_question,
    freeze,
    hold_ended,
    is_expired,
    lapsed,
    next_try,
    retry_after,
    take,
)

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def case(**more: Any) -> Case:
    return Case(**{"delivery_id": "d1", "attempts": 1, "created_at": NOW, "ability": "blind", **more})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 30), st.text(max_size=20))
def test_the_pause_is_the_named_one_and_a_fifth_more_or_less(attempts: int, delivery: str) -> None:
    due = next_try(attempts, delivery, NOW, NOW)
    assert due is not None
    pause = BACK_OFF[min(attempts, len(BACK_OFF)) - 1]
    assert pause * 0.8 <= due - NOW <= pause * 1.2
    assert due == next_try(attempts, delivery, NOW, NOW)


def test_different_deliveries_do_not_come_back_together() -> None:
    assert len({next_try(3, f"d{number}", NOW, NOW) for number in range(50)}) == 50


def test_given_up_after_24_hours_and_the_last_try_is_not_later() -> None:
    assert next_try(20, "d", NOW - timedelta(hours=24), NOW) is None
    assert next_try(20, "d", NOW - timedelta(hours=23, minutes=59), NOW) == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7), ("0", 0), ("99999", 3600), (None, 30), ("soon", 30), ("", 30), ("Fri, 02 Jan 2026 12:00:40 GMT", 40),
     ("Fri, 02 Jan 2026 11:00:00 GMT", 0), ("Sat, 03 Jan 2026 12:00:00 GMT", 3600), ("-5", 30), ("٣", 30)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_bounded(header: str | None, expected: int) -> None:
    assert retry_after(header, NOW) == seconds(expected)


def test_a_bucket_gives_its_burst_and_then_one_per_second() -> None:
    bucket: Bucket | None = None
    for _ in range(3):
        bucket, allowed, _ = take(bucket, RATES["slack-post"], NOW)
        assert allowed
    bucket, allowed, next_at = take(bucket, RATES["slack-post"], NOW)
    assert (allowed, next_at) == (False, NOW + seconds(1))
    bucket, allowed, _ = take(bucket, RATES["slack-post"], next_at)
    assert allowed


def test_retry_after_freezes_only_that_bucket() -> None:
    frozen = freeze(None, RATES["slack-post"], NOW, seconds(30))
    assert take(frozen, RATES["slack-post"], NOW + seconds(29))[1:] == (False, NOW + seconds(30))
    assert take(None, RATES["slack-post"], NOW).allowed
    assert take(frozen, RATES["slack-post"], NOW + seconds(30)).allowed
    assert freeze(frozen, RATES["slack-post"], NOW, seconds(5)) == frozen


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_a_bucket_never_gives_more_than_its_rate(pauses: list[float]) -> None:
    bucket: Bucket | None = None
    now, given_out = NOW, 0
    for pause in pauses:
        now += seconds(pause)
        bucket, allowed, next_at = take(bucket, RATES["slack-post"], now)
        given_out += allowed
        assert allowed or next_at > now
    assert given_out <= 3.1 + (now - NOW).total_seconds()


def test_a_clock_that_goes_back_gives_nothing_twice() -> None:
    bucket = take(None, RATES["slack-post"], NOW).bucket
    assert take(bucket, RATES["slack-post"], NOW - seconds(60)).bucket.tokens == 1.0


@pytest.mark.parametrize(
    ("attempt", "given", "state"),
    [
        (Attempt("done"), {}, "sent"),
        (Attempt("clean"), {}, "pending"),
        (Attempt("clean", "message"), {}, "failed"),
        (Attempt("clean", "recipient"), {}, "held"),
        (Attempt("clean", "service"), {}, "held"),
        (Attempt("clean", "unknown"), {"attempts": 2}, "pending"),
        (Attempt("clean", "unknown"), {"attempts": 3}, "failed"),
        (Attempt("clean"), {"created_at": NOW - timedelta(hours=24)}, "failed"),
        (Attempt("unsure"), {"ability": "ask"}, "sending"),
        (Attempt("unsure"), {"ability": "harmless"}, "pending"),
        (Attempt("unsure"), {}, "unconfirmed"),
        (Attempt("unsure"), {"idempotent": True}, "pending"),
        (Attempt("unsure"), {"resend": True}, "pending"),
    ],
)
def test_what_an_attempt_leads_to(attempt: Attempt, given: dict[str, Any], state: str) -> None:
    assert after_attempt(attempt, case(**given), NOW).state == state


def test_asked_to_wait_is_no_attempt_and_freezes() -> None:
    found = after_attempt(Attempt("clean", "wait", seconds(30)), case(attempts=99), NOW)
    assert (found.state, found.next_at, found.counts, found.freeze) == (
        "pending",
        NOW + seconds(30),
        False,
        seconds(30),
    )


def test_configuration_errors_say_what_they_switch_off() -> None:
    assert after_attempt(Attempt("clean", "recipient"), case(), NOW).disables == "destination"
    assert after_attempt(Attempt("clean", "service"), case(), NOW).disables == "service"


def test_a_question_is_put_after_5_and_again_after_15_seconds() -> None:
    asking = case(ability="ask")
    assert after_attempt(Attempt("unsure"), asking, NOW).ask_at == NOW + seconds(5)
    assert after_question("not_found", case(ability="ask", asked=1), NOW).ask_at == NOW + seconds(15)
    assert after_question("not_found", case(ability="ask", asked=2), NOW).state == "pending"
    assert after_question("found", asking, NOW).state == "sent"


def test_who_cannot_be_asked_for_ten_minutes_is_blind() -> None:
    early = case(ability="ask", asking_since=NOW - timedelta(minutes=9))
    late = case(ability="ask", asking_since=NOW - timedelta(minutes=10))
    assert after_question("cannot_ask", early, NOW).state == "sending"
    assert after_question("cannot_ask", late, NOW).state == "unconfirmed"


def test_a_lapsed_lease_is_unsure_only_if_a_step_was_begun() -> None:
    assert (lapsed(True), lapsed(False)) == ("unsure", "clean")


def test_old_events_expire_and_held_ones_too() -> None:
    assert is_expired(NOW - timedelta(hours=24, seconds=1), NOW)
    assert not is_expired(NOW - timedelta(hours=24), NOW)
    assert hold_ended(NOW - timedelta(hours=25), NOW)
    assert not hold_ended(NOW - timedelta(hours=1), NOW)
