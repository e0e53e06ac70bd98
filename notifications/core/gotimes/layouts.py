"""Go layouts: the reference time `Mon Jan 2 15:04:05 MST 2006` written the way the result should look.

Source of the tokens: the documentation of Go's package `time`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

LAYOUTS = {
    "Layout": "01/02 03:04:05PM '06 -0700",
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": "2006-01-02T15:04:05Z07:00",
    "RFC3339Nano": "2006-01-02T15:04:05.999999999Z07:00",
    "Kitchen": "3:04PM",
    "Stamp": "Jan _2 15:04:05",
    "StampMilli": "Jan _2 15:04:05.000",
    "StampMicro": "Jan _2 15:04:05.000000",
    "StampNano": "Jan _2 15:04:05.000000000",
}
MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
TOKEN = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000"
    r"|-07:00|-0700|-07|PM|pm|002|__2|_2(?!006)|01|02|03|04|05|06|15|[.,]0+(?!\d)|[.,]9+(?!\d)|1|2|3|4|5"
)
LONGEST_LAYOUT = 256


def format_civil(civil: datetime, nanos: int, layout: str) -> str:
    """Wall-clock fields and nanoseconds by a layout; ValueError for a layout above 256 characters."""
    if len(layout) > LONGEST_LAYOUT:
        raise ValueError("a time layout of more than 256 characters")
    return TOKEN.sub(lambda found: _shown(found[0], civil, nanos), layout)


def _shown(token: str, civil: datetime, nanos: int) -> str:
    if token[0] in ".,":
        digits = f"{nanos:09d}"[: len(token) - 1]
        if token[1] == "0":
            return token[0] + digits
        digits = digits.rstrip("0")
        return token[0] + digits if digits else ""
    if token[0] in "Z-":
        return _offset(token, civil)
    hour = civil.hour % 12 or 12
    half = "PM" if civil.hour >= 12 else "AM"
    plain = {
        "January": MONTHS[civil.month - 1], "Jan": MONTHS[civil.month - 1][:3],
        "Monday": DAYS[civil.weekday()], "Mon": DAYS[civil.weekday()][:3],
        "MST": _zone_name(civil), "2006": f"{civil.year:04d}", "06": f"{civil.year % 100:02d}",
        "01": f"{civil.month:02d}", "1": str(civil.month), "02": f"{civil.day:02d}", "2": str(civil.day),
        "_2": f"{civil.day:2d}", "002": f"{civil.timetuple().tm_yday:03d}", "__2": f"{civil.timetuple().tm_yday:3d}",
        "15": f"{civil.hour:02d}", "03": f"{hour:02d}", "3": str(hour), "04": f"{civil.minute:02d}",
        "4": str(civil.minute), "05": f"{civil.second:02d}", "5": str(civil.second), "PM": half, "pm": half.lower(),
    }  # fmt: skip
    return plain[token]


def _zone_name(civil: datetime) -> str:
    """The abbreviation; a zone that has none shows its offset, as Go does."""
    name = civil.tzname() or "UTC"
    return (
        _offset("-0700" if (civil.utcoffset() or timedelta()).seconds % 3600 else "-07", civil)
        if (name.startswith("UTC") and name != "UTC")
        else name
    )


def _offset(token: str, civil: datetime) -> str:
    seconds = int((civil.utcoffset() or timedelta()).total_seconds())
    if token[0] == "Z" and not seconds:
        return "Z"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    parts = [f"{seconds // 3600:02d}", f"{seconds // 60 % 60:02d}", f"{seconds % 60:02d}"]
    shape = token[1:]
    if ":" in shape:
        return sign + ":".join(parts[: shape.count(":") + 1])
    return sign + "".join(parts[: len(shape) // 2])
