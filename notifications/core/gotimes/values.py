"""The values: `Duration` and `Time` are counts of nanoseconds; a Time also knows in which zone it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import ClassVar

from notifications.core.gotimes.layouts import format_civil

UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZERO_NS = int((datetime(1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()) * 10**9
_LAST_NS = int((datetime(9999, 12, 30, tzinfo=UTC) - EPOCH).total_seconds()) * 10**9
_LONGEST = 2**63 - 1
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


class GoEnum(int):
    """A month or a weekday: a number that prints as its name, as Go's types do."""

    name: str

    def __str__(self) -> str:
        return self.name

    def __new__(cls, number: int, name: str) -> GoEnum:
        made = super().__new__(cls, number)
        made.name = name
        return made


@dataclass(frozen=True, order=True)
class Duration:
    """Nanoseconds, within Go's 64 bits (about 292 years); ValueError beyond."""

    ns: int
    KIND: ClassVar[str] = "a duration"

    def __post_init__(self) -> None:
        if abs(self.ns) > _LONGEST:
            raise ValueError("a duration longer than 292 years")

    def __str__(self) -> str:
        return duration_text(self)


@dataclass(frozen=True, order=True)
class Time:
    """An instant (nanoseconds since 1970 UTC, years 1 to 9999) and the zone it is shown in; compared by instant."""

    ns: int
    zone: tzinfo = field(default=UTC, compare=False)
    KIND: ClassVar[str] = "a time"

    def __post_init__(self) -> None:
        if not ZERO_NS <= self.ns <= _LAST_NS:
            raise ValueError("a time outside the years 1 to 9999")

    @classmethod
    def of(cls, when: datetime) -> Time:
        """From an aware datetime; its zone is kept."""
        past = when - EPOCH
        return cls((past.days * 86400 + past.seconds) * 10**9 + past.microseconds * 1000, when.tzinfo or UTC)

    def civil(self) -> datetime:
        """Wall-clock fields in the time's zone, cut to whole seconds."""
        moment = EPOCH + timedelta(seconds=self.ns // 10**9)
        try:
            return moment.astimezone(self.zone)
        except OverflowError:
            return moment

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def format(self, layout: str) -> str:
        """By a Go layout, in its own zone; ValueError for a layout above 256 characters."""
        return format_civil(self.civil(), self.ns % 10**9, layout)

    def shown_in(self, zone: tzinfo) -> Time:
        return Time(self.ns, zone)

    def truncate(self, step: Duration) -> Time:
        """Rounded down to a multiple of `step` since the year 1, as Go counts."""
        return self if step.ns <= 0 else Time(self.ns - (self.ns - ZERO_NS) % step.ns, self.zone)


@dataclass(frozen=True)
class Clock:
    """The present, given from outside, and the zone that `Local` means (`HUB_NOTIFICATIONS_TIME_ZONE`)."""

    now: datetime
    local: tzinfo = UTC

    def time(self) -> Time:
        return Time.of(self.now).shown_in(self.local)


def from_unix(seconds: int, zone: tzinfo = UTC) -> Time:
    return Time(seconds * 10**9, zone)


def date(year: int, month: int, day: int, zone: tzinfo) -> Time:
    return Time.of(datetime(year, month, day, tzinfo=zone))


def parse_duration(text: str) -> Duration:
    """`300ms`, `-1.5h`, `2h45m`; ValueError for anything else. A bare 0 is a duration, other bare numbers are not."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return Duration(0)
    if not rest or len(rest) > 64:
        raise ValueError(f"not a duration: {text[:40]!r}")
    at, total = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise ValueError(f"not a duration: {text[:40]!r}")
        whole, _, decimals = part[1].partition(".")
        unit = UNITS[part[2]]
        total += int(whole or "0") * unit
        total += int(decimals or "0") * unit // 10 ** len(decimals)
        at = part.end()
    return Duration(sign * total)


def duration_text(value: Duration) -> str:
    """As Go prints it: `0s`, `1.5ms`, `1h5m0s`."""
    if not value.ns:
        return "0s"
    sign, ns = ("-", -value.ns) if value.ns < 0 else ("", value.ns)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 10**6)):
        if ns < size * 1000:
            return f"{sign}{_decimal(ns, size)}{unit}"
    minutes, rest = divmod(ns, UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 10**9)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else sign + text


def _decimal(count: int, size: int) -> str:
    whole, rest = divmod(count, size)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).rjust(len(str(size)) - 1, '0').rstrip('0')}"
