"""When two scalars are one: quantities, durations, times (sync-semantics.md 6.1 item 3)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40}))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?",
    re.ASCII,
)
_SUFFIXES = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DURATION_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}


def same_scalar(a: Any, b: Any, form: str) -> bool:
    """Whether two values of a scalar type are equal to the server. Values that do not parse compare as they are."""
    if type(a) is type(b) and a == b:
        return True
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if form == "quantity":
        left, right = quantity(a), quantity(b)
    elif form == "duration":
        left, right = duration(a), duration(b)
    elif form == "time":
        return _same_time(a, b)
    elif form == "allocated" and 0 in (a, b):
        return True
    else:
        return isinstance(a, int | float) and isinstance(b, int | float) and a == b
    return left is not None and left == right


def quantity(value: Any) -> Fraction | None:
    """The exact number of a quantity: `1000m` and 1 are 1. None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(value))
    if not match:
        return None
    number, suffix, exponent = match.groups()
    result = Fraction(number if number[-1] != "." else number + "0")
    if suffix in _BINARY:
        return result * Fraction(1024 ** _BINARY[suffix])
    power = int(exponent) if exponent else _SUFFIXES.get(suffix or "", 0)
    scale: Fraction = Fraction(10) ** power
    return result * scale


def duration(value: Any) -> Fraction | None:
    """Seconds of a Go duration such as `1h0m30s`; None when it is none."""
    if not isinstance(value, str) or len(value) > 100:
        return None
    sign = -1 if value[:1] == "-" else 1
    text = value.lstrip("+-") if value[:1] in "+-" else value
    if text == "0":
        return Fraction(0)
    parts = list(_DURATION_PART.finditer(text))
    if not parts or sum(len(part.group()) for part in parts) != len(text):
        return None
    return sign * sum((Fraction(part.group(1)) * _UNITS[part.group(2)] for part in parts), Fraction(0))


def _same_time(a: Any, b: Any) -> bool:
    try:
        left, right = datetime.fromisoformat(str(a)), datetime.fromisoformat(str(b))
        return left - right == timedelta(0)
    except (ValueError, TypeError):
        return False
