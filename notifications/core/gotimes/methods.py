"""The methods of a Time and of a Duration that expressions and templates may call (notifications.md 3.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any

from notifications.core.gotimes.layouts import DAYS, MONTHS
from notifications.core.gotimes.values import ZERO_NS, Duration, GoEnum, Time, duration_text
from notifications.core.govalues import Func, kind_of


def _taking(
    kind: type, say: str, act: Callable[[Any, Any], object]
) -> Callable[[Any], Callable[[object], object]]:
    def bind(receiver: Any) -> Callable[[object], object]:
        def call(given: object) -> object:
            if not isinstance(given, kind):
                raise ValueError(f"needs {say}, not {kind_of(given)}")
            return act(receiver, given)

        return call

    return bind


def _weekday(time: Time) -> GoEnum:
    day = (time.civil().weekday() + 1) % 7
    return GoEnum(day, DAYS[(day - 1) % 7])


_PLAIN: dict[tuple[type, str], Callable[[Any], object]] = {
    (Time, "Unix"): lambda time: time.ns // 10**9,
    (Time, "UTC"): lambda time: time.shown_in(UTC),
    (Time, "Year"): lambda time: time.civil().year,
    (Time, "Month"): lambda time: GoEnum(time.civil().month, MONTHS[time.civil().month - 1]),
    (Time, "Day"): lambda time: time.civil().day,
    (Time, "Hour"): lambda time: time.civil().hour,
    (Time, "Minute"): lambda time: time.civil().minute,
    (Time, "Second"): lambda time: time.civil().second,
    (Time, "Weekday"): _weekday,
    (Time, "IsZero"): lambda time: time.ns == ZERO_NS,
    (Duration, "Seconds"): lambda span: span.ns / 10**9,
    (Duration, "Minutes"): lambda span: span.ns / (60 * 10**9),
    (Duration, "Hours"): lambda span: span.ns / (3600 * 10**9),
    (Duration, "Milliseconds"): lambda span: int(span.ns / 10**6),
    (Duration, "String"): duration_text,
}
_WITH_ONE: dict[tuple[type, str], Callable[[Any], Callable[[object], object]]] = {
    (Time, "Add"): _taking(Duration, "a duration", lambda time, span: Time(time.ns + span.ns, time.zone)),
    (Time, "Sub"): _taking(Time, "a time", lambda time, other: Duration(time.ns - other.ns)),
    (Time, "Before"): _taking(Time, "a time", lambda time, other: time.ns < other.ns),
    (Time, "After"): _taking(Time, "a time", lambda time, other: time.ns > other.ns),
    (Time, "Equal"): _taking(Time, "a time", lambda time, other: time.ns == other.ns),
    (Time, "Format"): _taking(str, "a layout", lambda time, layout: time.format(layout)),
    (Time, "Truncate"): _taking(Duration, "a duration", lambda time, step: time.truncate(step)),
}


METHODS = frozenset(name for _, name in (*_PLAIN, *_WITH_ONE)) | {"Local"}


def method(value: object, name: str, local: tzinfo) -> Func | None:
    """The bound method, or None when the value has no such method. Calls raise ValueError with a sentence.

    `local` is the zone that `.Local` shows the time in.
    """
    key = (type(value), name)
    if key in _PLAIN:
        plain = _PLAIN[key]
        return Func(name, lambda: plain(value), 0, 0)
    if key in _WITH_ONE:
        return Func(name, _WITH_ONE[key](value), 1, 1)
    if key == (Time, "Local"):
        assert isinstance(value, Time)
        return Func(name, lambda: value.shown_in(local), 0, 0)
    return None
