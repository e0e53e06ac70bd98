"""The one clock of the room: the database's, so that two machines never disagree about a lease or a due time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from notifications.core.gotimes import Clock


def now() -> datetime:
    """The present by the database, not by the start of the transaction."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT clock_timestamp()")
            present: datetime = cursor.fetchone()[0]
            return present.astimezone(UTC)
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


def moment(text: object, missing: datetime) -> datetime:
    """An RFC 3339 text as a time; `missing` when it cannot be read."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return missing
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def seen(at: datetime) -> Clock:
    """The clock that expressions and templates see."""
    return Clock(at, ZoneInfo(settings.HUB_NOTIFICATIONS_TIME_ZONE))
