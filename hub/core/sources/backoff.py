"""When to look again: intervals, ladders and what servers ask for (sources.md 2.1, 2.6, 6, 7).

`factor` is the jitter of `hub.core.schedule.jitter`; now is an argument. Nothing here remembers anything.
The ordinary interval of a Repository is `hub.core.schedule.next_poll`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from hub.errors import SourceError

HINT_SPACING = timedelta(seconds=1)
LAG_LOOKS = (timedelta(seconds=2), timedelta(seconds=5), timedelta(seconds=15))
AFTER_REFUSAL = timedelta(minutes=10)
_FIRST, _LAST = 30.0, 1800.0
_ASKED_FLOOR, _ASKED_CAP = 5.0, 3600.0
_RENDER_LADDER = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))


def next_poll_for_hint(now: datetime, last_poll_at: datetime | None) -> datetime:
    """A Hint polls at once, or at the end of the second that a poll began: at most one listing a second."""
    return now if last_poll_at is None else max(now, last_poll_at + HINT_SPACING)


def parse_retry_after(text: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header (a number or an HTTP date), within 5 s and 1 h; None when unreadable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, IndexError, TypeError, OverflowError):
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, _ASKED_FLOOR), _ASKED_CAP)


def unavailable_wait(failures: int, factor: float = 1.0, asked: float | None = None) -> timedelta:
    """What a server asks for, else 30 s doubled per failure up to 30 min. `failures` from 1."""
    if asked is not None:
        return timedelta(seconds=min(max(asked, _ASKED_FLOOR), _ASKED_CAP))
    seconds = min(_FIRST * 2.0 ** min(max(failures - 1, 0), 10), _LAST)
    return timedelta(seconds=seconds * factor)


def wait_after(error: SourceError, failures: int, factor: float = 1.0) -> timedelta | None:
    """How long all Repositories of that host and credential wait, or None: go on with the ordinary interval."""
    if error.code == "AuthenticationFailed":
        return AFTER_REFUSAL
    if error.code in ("RateLimited", "RepositoryUnavailable"):
        return unavailable_wait(failures, factor, error.retry_after)
    return None


def back_off_key(host: str, credential_digest: str) -> str:
    """What waits together: one host seen with one credential."""
    return f"{host}/{credential_digest}"


def render_retry(attempts: int) -> timedelta:
    """After the surroundings failed a render: 30 s, 2 min, 10 min, then hourly. `attempts` from 1."""
    return _RENDER_LADDER[min(max(attempts, 1), len(_RENDER_LADDER)) - 1]
