"""Taking a Delivery and writing to it: one conditional UPDATE, a lease, and a fence that every later write names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from notifications.models import Delivery

LEASE = timedelta(seconds=60)
# Of one Destination at a time, so that a busy one does not starve the others.
TURNS = 25
_BUSY = (Delivery.State.PENDING, Delivery.State.SENDING)


class Lost(Exception):
    """Somebody else owns the Delivery now: nothing that this attempt knows may be written."""


def _unblocked(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    earlier = Delivery.objects.filter(lane=OuterRef("lane"), id__lt=OuterRef("id"), state__in=_BUSY)
    return rows.filter(~Exists(earlier))


def claim(delivery_id: int, now: datetime) -> bool:
    """Take a pending Delivery that is due and first in its lane."""
    rows = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.PENDING, next_at__lte=now)
    return bool(
        _unblocked(rows)
        .order_by()
        .update(
            state=Delivery.State.SENDING,
            lease_until=now + LEASE,
            fence=F("fence") + 1,
            attempts=F("attempts") + 1,
        )
    )


def throttled(delivery_id: int, now: datetime) -> bool:
    """Nothing can leave for its Destination yet: a claim now would only freeze what may still be folded."""
    rows = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.PENDING)
    return rows.filter(destination__throttled_until__gt=now).exists()


def take_over(delivery_id: int, now: datetime) -> bool:
    """Take one whose lease lapsed: its worker died, or its question is due."""
    return bool(
        Delivery.objects.filter(pk=delivery_id, state=Delivery.State.SENDING, lease_until__lte=now).update(
            lease_until=now + LEASE, fence=F("fence") + 1
        )
    )


def write(row: Delivery, **changes: Any) -> None:
    """A fenced write of the attempt; the row in hand follows. Raises Lost."""
    changed = Delivery.objects.filter(pk=row.pk, fence=row.fence, state=Delivery.State.SENDING).update(
        **changes
    )
    if not changed:
        raise Lost(str(row.pk))
    for name, value in changes.items():
        setattr(row, name, value)


def release(row: Delivery, next_at: datetime, *, counts: bool, **changes: Any) -> None:
    """Give it back, in one statement, to be tried at `next_at`. `counts` False: this was no attempt."""
    attempts = row.attempts if counts else max(row.attempts - 1, 0)
    given = {"next_at": next_at, "lease_until": None, "attempts": attempts, **changes}
    write(row, state=Delivery.State.PENDING, **given)


def behind(row: Delivery, now: datetime) -> int | None:
    """What waits next in the lane of a Delivery that has ended."""
    if row.state in _BUSY:
        return None
    waiting = Delivery.objects.filter(lane=row.lane, state=Delivery.State.PENDING, next_at__lte=now)
    return waiting.order_by("id").values_list("id", flat=True).first()


def due(now: datetime, limit: int) -> list[int]:
    """Ids to try now: first in their lane, oldest first, Destinations in turn, and leases that lapsed."""
    lapsed = Delivery.objects.filter(state=Delivery.State.SENDING, lease_until__lte=now).order_by(
        "lease_until", "id"
    )
    found = list(lapsed.values_list("id", flat=True)[:limit])
    open_ = Q(destination__throttled_until__isnull=True) | Q(destination__throttled_until__lte=now)
    rows = Delivery.objects.filter(open_, state=Delivery.State.PENDING, next_at__lte=now)
    turns = _unblocked(rows).annotate(
        turn=Window(RowNumber(), partition_by=F("destination_id"), order_by=F("id").asc())
    )
    pending = turns.filter(turn__lte=TURNS).order_by("turn", "id").values_list("id", flat=True)
    return found + list(pending[: limit - len(found)]) if len(found) < limit else found
