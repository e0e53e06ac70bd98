"""Durations as people write them: `1h30m`, `30m`, `250ms`, `0`, or plain seconds."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)", re.ASCII)
_PLAIN = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_LIMIT = 64


def parse_duration(text: object) -> float | None:
    """Seconds, or None if the text is no duration. Total: never raises.

    >>> parse_duration("1h30m"), parse_duration("250ms"), parse_duration("90"), parse_duration("soon")
    (5400.0, 0.25, 90.0, None)
    """
    value = str(text).strip() if isinstance(text, str | int) and not isinstance(text, bool) else ""
    if not value or len(value) > _LIMIT:
        return None
    if _PLAIN.fullmatch(value):
        return float(value)
    parts = list(_PART.finditer(value))
    if not parts or "".join(part.group() for part in parts) != value:
        return None
    return sum(float(part.group(1)) * _UNITS[part.group(2)] for part in parts)


def say_duration(seconds: float) -> str:
    """A duration for people, in its two largest units: `40 s`, `30 min`, `1 h 5 min`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"
