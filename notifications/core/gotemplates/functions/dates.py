"""Dates with Go layouts. The present comes with the Surroundings."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notifications.core.gotemplates.functions.registry import Row, Surroundings, whole
from notifications.core.gotimes import (
    UNITS,
    Duration,
    Time,
    duration_text,
    from_unix,
    parse_rfc3339,
    parse_time,
)
from notifications.core.govalues import is_number, kind_of


def _time(value: Any, zone: tzinfo) -> Time:
    """A time, Unix seconds, or a text in RFC 3339 (Sprig would silently take the present for a text)."""
    if isinstance(value, Time):
        return value.shown_in(zone)
    if isinstance(value, int) and not isinstance(value, bool):
        return from_unix(value, zone)
    if isinstance(value, str):
        return parse_rfc3339(value).shown_in(zone)
    raise ValueError(f"needs a time, not {kind_of(value)}")


def zone_named(name: str) -> tzinfo:
    """A zone of the IANA table; ValueError for a name that is not in it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"does not know the time zone {name[:40]!r}") from None


def _date(world: Surroundings, layout: str, value: Any) -> str:
    return _time(value, world.clock.local).format(layout)


def _date_in_zone(layout: str, value: Any, zone: str) -> str:
    return _time(value, zone_named(zone)).format(layout)


def _ago(world: Surroundings, value: Any) -> str:
    past = world.clock.time().ns - _time(value, world.clock.local).ns
    second = UNITS["s"]
    return duration_text(Duration((past + second // 2) // second * second))


def _duration(seconds: Any) -> str:
    if not is_number(seconds) and not isinstance(seconds, str):
        raise ValueError(f"needs seconds, not {kind_of(seconds)}")
    return duration_text(Duration(whole(seconds) * UNITS["s"]))


def _unix(world: Surroundings, value: Any) -> str:
    return str(_time(value, world.clock.local).ns // UNITS["s"])


TABLE = (
    Row("now", "", lambda world: world.clock.time(), surrounded=True),
    Row("date", "sv", _date, "raw", surrounded=True),
    Row("dateInZone", "svs", _date_in_zone, "raw"),
    Row("ago", "v", _ago, "raw", surrounded=True),
    Row("duration", "v", _duration, "raw"),
    Row(
        "toDate",
        "ss",
        lambda world, layout, text: parse_time(layout, text, world.clock.local),
        "raw",
        surrounded=True,
    ),
    Row("unixEpoch", "v", _unix, "raw", surrounded=True),
)
