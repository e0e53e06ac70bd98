"""When what is gathered for a digest goes out (notifications.md 6.5).

read_digest(form) -> Digest | None        ConfigError        {every: 1h} or {daily: "09:00", zone: Europe/Berlin}, all
flush_at(digest, now) -> datetime         the end of the window that `now` is in
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from notifications.core.gotimes import parse_duration
from notifications.errors import ConfigError

_KNOWN = {"every", "daily", "zone", "all"}
_LEAST, _MOST = timedelta(minutes=1), timedelta(days=7)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_HINT = 'for example every: 1h, or daily: "09:00" with zone: Europe/Berlin'


@dataclass(frozen=True)
class Digest:
    """`every` is a span, or zero and then `daily` a time of day in `zone`. `everything`: errors wait for it, too."""

    every: timedelta = timedelta(0)
    daily: time = time(9)
    zone: str = "UTC"
    everything: bool = False


def read_digest(form: object) -> Digest | None:
    """None for no digest. ConfigError says what is wrong."""
    if not form:
        return None
    if not isinstance(form, Mapping) or set(form) - _KNOWN or ("every" in form) == ("daily" in form):
        raise ConfigError("shape", "a digest has either every or daily", _HINT)
    zone, everything = form.get("zone", "UTC"), form.get("all", False)
    if not isinstance(everything, bool):
        raise ConfigError("shape", "all is true or false")
    return Digest(_every(form.get("every")), _daily(form.get("daily")), _zone(zone), everything)


def _every(value: Any) -> timedelta:
    if value is None:
        return timedelta(0)
    try:
        span = timedelta(microseconds=parse_duration(str(value)).ns // 1000)
    except ValueError:
        span = timedelta(0)
    if not _LEAST <= span <= _MOST:
        raise ConfigError("shape", "every is a duration from 1m to 7 days", _HINT)
    return span


def _daily(value: Any) -> time:
    found = _CLOCK.fullmatch(str(value)) if value is not None else None
    if value is not None and found is None:
        raise ConfigError("shape", "daily is a time of day", _HINT)
    return time(int(found[1]), int(found[2])) if found is not None else time(9)


def _zone(value: Any) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, TypeError, OSError):
        raise ConfigError("shape", "there is no such time zone", _HINT) from None


def flush_at(digest: Digest, now: datetime) -> datetime:
    """The same for all that falls into one window, so that it goes out together."""
    if digest.every:
        start = datetime(2000, 1, 1, tzinfo=UTC)
        return start + ((now - start) // digest.every + 1) * digest.every
    zone = ZoneInfo(digest.zone)
    today = now.astimezone(zone).date()
    due = datetime.combine(today, digest.daily, zone)
    if due <= now:
        due = datetime.combine(today + timedelta(days=1), digest.daily, zone)
    return due.astimezone(UTC)
