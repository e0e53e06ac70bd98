"""Native triggers and their alarms (notifications.md 3.2, examples 23 and 24)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications.core.gotimes import Clock
from notifications.core.triggers import Alarm, observe, read_native, tick, wants
from notifications.errors import ConfigError

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def event(name: str, minutes: float = 0, **more: Any) -> dict[str, Any]:
    occurred = NOW + timedelta(minutes=minutes)
    return {
        "id": f"{name}-{minutes}",
        "key": f"k-{minutes}",
        "name": name,
        "occurred_at": occurred.isoformat(),
        **more,
    }


def told(rule_text: dict[str, Any], *steps: tuple[float, dict[str, Any] | None]) -> list[str]:
    """What a sequence of events and ticks (None) tells, as `kind name`."""
    rule = read_native({"name": "x", "on": ["health-degraded"], **rule_text})
    alarm: Alarm | None = None
    heard: list[str] = []
    for minutes, seen in steps:
        now = NOW + timedelta(minutes=minutes)
        if seen is not None:
            result = observe(rule, alarm, seen, now)
        else:
            assert alarm is not None
            result = tick(rule, alarm, now)
        alarm = result.alarm
        heard += [f"{tell.kind} {tell.event['name']}" for tell in result.tells]
    return heard


DOWN, UP = "health-degraded", "health-recovered"


def test_short_trouble_stays_silent() -> None:
    steps = [(0, event(DOWN, 0, episode=1)), (2, None), (4, event(UP, 4, episode=1)), (6, None), (60, None)]
    assert told({"for": "5m"}, *steps) == []


def test_long_trouble_is_told_when_due_and_its_end_too() -> None:
    steps = [(0, event(DOWN, 0, episode=1)), (4.9, None), (5, None), (6, None), (9, event(UP, 9, episode=1))]
    assert told({"for": "5m"}, *steps) == [f"opening {DOWN}", f"recovery {UP}"]


def test_an_opening_that_is_seen_late_is_told_at_once() -> None:
    assert told({"for": "5m"}, (7, event(DOWN, 0, episode=1))) == [f"opening {DOWN}"]


def test_without_for_the_opening_is_told_at_once() -> None:
    steps = [(0, event(DOWN, 0, episode=1)), (1, event(UP, 1, episode=1)), (2, event(UP, 2, episode=1))]
    assert told({}, *steps) == [f"opening {DOWN}", f"recovery {UP}"]


def test_recovery_must_last() -> None:
    steps = [
        (0, event(DOWN, 0, episode=1)),
        (1, event(UP, 1, episode=1)),
        (2, event(DOWN, 2, episode=2)),
        (9, None),
    ]
    assert told({"clear_for": "2m"}, *steps) == [f"opening {DOWN}"]
    steps = [(0, event(DOWN, 0, episode=1)), (1, event(UP, 1, episode=1)), (2, None), (3, None), (4, None)]
    assert told({"clear_for": "2m"}, *steps) == [f"opening {DOWN}", f"recovery {UP}"]


def test_recover_false_tells_no_end() -> None:
    steps = [(0, event(DOWN, 0, episode=1)), (1, event(UP, 1, episode=1)), (2, event(DOWN, 2, episode=2))]
    assert told({"recover": False}, *steps) == [f"opening {DOWN}"] * 2


def test_the_same_event_twice_is_told_once() -> None:
    down = event(DOWN, 0, episode=1)
    assert told({}, (0, down), (0, down)) == [f"opening {DOWN}"]


def test_another_diff_of_the_same_episode_is_told_in_the_same_alarm() -> None:
    rule = read_native({"name": "d", "on": ["drift-detected"]})
    first = observe(rule, None, event("drift-detected", 0, episode=4), NOW)
    second = observe(rule, first.alarm, event("drift-detected", 1, episode=4), NOW)
    assert [tell.episode for tell in (*first.tells, *second.tells)] == ["4", "4"]


def test_resolves_names_the_event_that_ends() -> None:
    rule = read_native({"name": "f", "on": ["sync-failed"]})
    opened = observe(rule, None, event("sync-failed", 0), NOW)
    other = observe(rule, opened.alarm, event("sync-succeeded", 1, resolves="sync-failed-99"), NOW)
    assert other.tells == ()
    ended = observe(rule, opened.alarm, event("sync-succeeded", 2, resolves="sync-failed-0"), NOW)
    assert [tell.kind for tell in ended.tells] == ["recovery"]


def test_an_event_without_an_end_makes_no_alarm() -> None:
    rule = read_native({"name": "s", "on": ["sync-succeeded"]})
    result = observe(rule, None, event("sync-succeeded"), NOW)
    assert result.alarm is None
    assert len(result.tells) == 1


def test_when_narrows_and_on_may_be_read_as_true() -> None:
    rule = read_native({"name": "x", True: [DOWN], "when": "event.cluster.labels.tier == 'prod'"})
    for tier, expected in (("prod", True), ("dev", False)):
        seen = event(DOWN, cluster={"labels": {"tier": tier}})
        assert wants(rule, seen, {"event": seen}, Clock(NOW)) is expected
    assert wants(rule, event(UP), {}, Clock(NOW)) is False


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"repeat": "often"}, "repeat is a duration"),
        ({"max_repeats": 1000}, "max_repeats is a number from 0 to 100"),
        ({"max_repeats": True}, "max_repeats is a number"),
        ({"on": []}, "needs event names"),
        ({"on": "x"}, "on is a list"),
        ({"name": ""}, "needs a name"),
        ({"for": "soon"}, "for is a duration"),
        ({"for": "-5m"}, "between 0 and 30 days"),
        ({"recover": "yes"}, "recover is true or false"),
        ({"when": "a ="}, "when: assignment"),
        ({"colour": 1}, "unknown key 'colour'"),
    ],
)
def test_a_rule_that_cannot_be_read_says_why(rule: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_native({"name": "x", "on": [DOWN], **rule})
    assert says in str(caught.value)


def test_what_stays_open_is_reminded_of_and_not_for_ever() -> None:
    rule = read_native({"name": "x", "on": [DOWN], "repeat": "4h", "max_repeats": 2})
    alarm = observe(rule, None, event(DOWN), NOW).alarm
    numbers = []
    for hour in range(24):
        assert alarm is not None
        told = tick(rule, alarm, NOW + timedelta(hours=hour))
        numbers += [(hour, tell.kind, tell.number) for tell in told.tells]
        alarm = told.alarm
    assert numbers == [(4, "reminder", 1), (8, "reminder", 2)]
    assert alarm is not None
    assert observe(rule, alarm, event(UP, resolves=f"{DOWN}-0"), NOW).alarm.state == "closed"  # type: ignore[union-attr]
