"""SyncWindows (sync-semantics.md 11, access-and-api.md 1.6)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.windows import WindowTarget, active_until, decide_windows, next_start, read_windows

DATA = Path(__file__).parents[2] / "data" / "windows"
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SHOP = WindowTarget("shop", "shop", "east", "https://east.example.com")


def window(kind="deny", schedule="0 22 * * *", duration="1h", **more):
    return {"kind": kind, "schedule": schedule, "duration": duration, "applications": ["*"], **more}


def read(*docs):
    windows, errors = read_windows(list(docs))
    assert errors == {}
    return windows


@pytest.mark.parametrize(
    "case",
    json.loads((DATA / "overrun.json").read_text()),
    ids=lambda case: f"{case['start']} -> {case['now']}",
)
def test_w_overrun_table(case):
    """Each row names the windows by when they run: A at 10:00 (the start), B at 12:00 (now)."""
    windows = read(*(window(**doc) for doc in case["windows"]))
    begun = NOON - timedelta(hours=2)
    assert decide_windows(windows, SHOP, begun, manual=False).allowed
    answer = decide_windows(windows, SHOP, NOON, manual=False, started_at=begun)
    assert answer.allowed == (case["operation"] == "continues")
    assert not decide_windows(windows, SHOP, NOON, manual=False).allowed


@pytest.mark.parametrize(
    ("docs", "automatic", "manual"),
    [
        ([], True, True),
        ([window(schedule="0 12 * * *")], False, False),
        ([window(schedule="0 12 * * *", manual_sync=True)], False, True),
        (
            [window(schedule="0 12 * * *", manual_sync=True), window(schedule="0 11 * * *", duration="2h")],
            False,
            False,
        ),
        ([window("allow", "0 12 * * *"), window(schedule="0 12 * * *")], False, False),
        ([window("allow", "0 12 * * *"), window("allow", "0 3 * * *")], True, True),
        ([window("allow", "0 3 * * *")], False, False),
        ([window("allow", "0 3 * * *", manual_sync=True)], False, True),
        ([window("allow", "0 3 * * *", manual_sync=True), window("allow", "0 4 * * *")], False, False),
        ([window(schedule="0 3 * * *")], True, True),
        ([window(schedule="0 12 * * *", applications=["other"])], True, True),
    ],
)
def test_situations_of_windows(docs, automatic, manual):
    windows = read(*docs)
    assert decide_windows(windows, SHOP, NOON, manual=False).allowed == automatic
    assert decide_windows(windows, SHOP, NOON, manual=True).allowed == manual


def test_the_end_of_a_window_is_outside():
    (found,) = read(window(schedule="0 12 * * *"))
    assert active_until(found, NOON) == NOON + timedelta(hours=1)
    assert active_until(found, NOON + timedelta(minutes=59, seconds=59)) == NOON + timedelta(hours=1)
    assert active_until(found, NOON + timedelta(hours=1)) is None
    assert active_until(found, NOON - timedelta(microseconds=1)) is None


def test_a_window_runs_in_the_local_time_of_its_zone():
    (found,) = read(window(schedule="0 2 * * *", time_zone="Europe/Berlin"))
    winter, summer = datetime(2026, 1, 10, 1, 0, tzinfo=UTC), datetime(2026, 7, 10, 0, 0, tzinfo=UTC)
    assert active_until(found, winter) == winter + timedelta(hours=1)
    assert active_until(found, summer) == summer + timedelta(hours=1)
    assert active_until(found, datetime(2026, 7, 10, 1, 0, tzinfo=UTC)) is None


def test_the_hour_that_daylight_saving_skips_starts_right_after_it():
    (found,) = read(window(schedule="30 2 * * *", time_zone="Europe/Berlin"))
    assert next_start(found, datetime(2026, 3, 29, 0, 0, tzinfo=UTC)) == datetime(
        2026, 3, 29, 1, 0, tzinfo=UTC
    )


def test_the_decision_says_when_it_changes():
    windows = read(
        window(schedule="0 11 * * *", duration="2h"), window(schedule="0 13 * * *", duration="30m")
    )
    answer = decide_windows(windows, SHOP, NOON, manual=False)
    assert (answer.allowed, answer.until) == (False, NOON + timedelta(hours=1, minutes=30))
    assert decide_windows((), SHOP, NOON, manual=False).until is None


def test_and_operator_needs_every_selector():
    docs = window(schedule="0 12 * * *", applications=["shop"], clusters=["west"])
    assert not decide_windows(read(docs), SHOP, NOON, manual=False).allowed
    assert decide_windows(read({**docs, "and_operator": True}), SHOP, NOON, manual=False).allowed
    by_server = {**docs, "and_operator": True, "clusters": ["https://east.*"]}
    assert not decide_windows(read(by_server), SHOP, NOON, manual=False).allowed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schedule": "0 22 * *"}, "5 fields"),
        ({"schedule": "@daily"}, "5 fields"),
        ({"schedule": "0 25 * * *"}, "not possible"),
        ({"schedule": "0 0 30 2 *"}, "not possible"),
        ({"duration": "soon"}, "duration"),
        ({"duration": "0"}, "duration"),
        ({"time_zone": "Mars/Olympus"}, "not known"),
        ({"time_zone": "../etc/passwd"}, "not known"),
        ({"kind": "maybe"}, "allow or deny"),
        ({"applications": []}, "at least one"),
        ({"applications": ["[a"]}, "is not closed"),
        ({"description": "x" * 256}, "255"),
    ],
)
def test_a_bad_window_is_refused_when_saved_and_denies_when_it_is_there(change, says):
    windows, errors = read_windows([window(**change)])
    assert says in errors["windows.0"][0]
    if change.get("applications") != []:
        assert not decide_windows(windows, SHOP, NOON, manual=True).allowed


def test_a_window_twice_is_refused():
    _, errors = read_windows([window(), window()])
    assert errors == {"windows.1": ["is there twice"]}


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.lists(
            st.one_of(
                st.text(),
                st.dictionaries(
                    st.sampled_from(
                        ["kind", "schedule", "duration", "time_zone", "applications", "description"]
                    ),
                    st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())),
                ),
            )
        ),
    )
)
def test_any_document_gives_an_answer(docs):
    windows, errors = read_windows(docs)
    if docs and not isinstance(docs, str):
        assert errors
    assert decide_windows(windows, SHOP, NOON, manual=False).reason
