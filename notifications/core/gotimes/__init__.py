"""Times and durations as Go has them: nanoseconds, layouts made of the reference time, and their methods.

May live here: `Time`, `Duration`, `Clock`, their texts, layouts and methods. May not: a clock; whoever needs the
present gets a `Clock` with it.

    parse_duration("1h30m") -> Duration                       ValueError
    parse_rfc3339("2026-01-02T15:04:05Z") -> Time             ValueError
    time.format(layout) -> str                                parse_time(layout, text, zone) -> Time   ValueError
    method(value, "Add", local) -> Func | None                value is a Time or a Duration
"""

from notifications.core.gotimes.layouts import LAYOUTS
from notifications.core.gotimes.methods import METHODS, method
from notifications.core.gotimes.parsing import parse_rfc3339, parse_time
from notifications.core.gotimes.values import (
    UNITS,
    Clock,
    Duration,
    GoEnum,
    Time,
    date,
    duration_text,
    from_unix,
    parse_duration,
)

__all__ = [
    "LAYOUTS",
    "METHODS",
    "UNITS",
    "Clock",
    "Duration",
    "GoEnum",
    "Time",
    "date",
    "duration_text",
    "from_unix",
    "method",
    "parse_duration",
    "parse_rfc3339",
    "parse_time",
]
