"""Threads as rows: which message is the root of a grouping key, and who is about to post the first one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from notifications.models import Delivery, Destination, Thread

ANEW_AFTER = timedelta(days=30)
_BUSY = (Delivery.State.PENDING, Delivery.State.SENDING)


@dataclass(frozen=True)
class Place:
    """Where a message goes. `busy`: somebody else's first message of this key is on its way."""

    root: str = ""
    channel_id: str = ""
    busy: bool = False


def place(destination: Destination, key: str, delivery_id: int, now: datetime) -> Place:
    """The root of the key, or the right to post it. Call inside the transaction that stores the steps."""
    if not key:
        return Place()
    row, _ = Thread.objects.select_for_update().get_or_create(
        service_id=destination.service_id,
        channel=destination.recipient,
        key=key[:255],
        defaults={"used_at": now},
    )
    if row.root and now - row.used_at <= ANEW_AFTER:
        Thread.objects.filter(pk=row.pk).update(used_at=now)
        return Place(row.root, row.channel_id)
    other = row.claimed_by if row.claimed_by != delivery_id else None
    if other is not None and Delivery.objects.filter(pk=other, state__in=_BUSY).exists():
        return Place(busy=True)
    Thread.objects.filter(pk=row.pk).update(root="", claimed_by=delivery_id, used_at=now)
    return Place()


def rooted(destination: Destination, key: str, ts: str, channel_id: str, now: datetime) -> None:
    """The first message is out: everything later of this key belongs to it."""
    if key and ts:
        Thread.objects.filter(
            service_id=destination.service_id, channel=destination.recipient, key=key[:255]
        ).update(root=ts, channel_id=channel_id, claimed_by=None, used_at=now)


def forget(destination: Destination, key: str) -> None:
    """The root is gone: the next message of this key becomes a new one."""
    Thread.objects.filter(
        service_id=destination.service_id, channel=destination.recipient, key=key[:255]
    ).update(root="", claimed_by=None)
