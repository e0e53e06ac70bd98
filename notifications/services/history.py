"""What people do with Deliveries afterwards: send again, mark as sent, cancel; and what is forgotten when."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

import notifications.services.claims as claims
import notifications.services.clock as clock
import notifications.services.delivering as delivering
import notifications.services.destinations as destinations
import notifications.services.operators as operators
import notifications.services.rendering as rendering
from notifications.errors import NotificationError
from notifications.models import Delivery, Destination, EventCopy, Silence, Thread, TriggerState
from notifications.models.config import State
from notifications.models.delivery import opaque
from notifications.services.keys import digest, stored_key

KEEP = timedelta(days=30)
KEEP_TROUBLE = timedelta(days=90)
KEEP_EVENTS = timedelta(days=90)
KEEP_THREADS = timedelta(days=90)
TEST_EVERY = timedelta(seconds=10)
TEST_WITHIN_S = 10.0
_ENDED = (Delivery.State.FAILED, Delivery.State.UNCONFIRMED, Delivery.State.SENT)
_TROUBLE = (Delivery.State.FAILED, Delivery.State.UNCONFIRMED)
_BATCH = 500


def resend(delivery_id: int, by: str) -> int:
    """A *new* Delivery of the same Message; the id of it. NotificationError when this one has not ended."""
    old = Delivery.objects.filter(pk=delivery_id, state__in=_ENDED).first()
    if old is None:
        raise NotificationError("not_ended", "only what failed, is unconfirmed or was sent can be sent again")
    now = clock.now()
    row = Delivery.objects.create(
        kind=Delivery.Kind.RESEND,
        destination_id=old.destination_id,
        event_id=old.event_id,
        dedupe=digest("resend", old.pk, opaque()),
        lane=old.lane,
        trigger=old.trigger,
        templates=old.templates,
        because=[*old.because, f"sent again by {by[:100]}"],
        app=old.app,
        episode=old.episode,
        thread=old.thread,
        payload=old.payload,
        rendered=old.rendered,
        rendered_why=old.rendered_why,
        remarks=old.remarks,
        resend_of=old,
        next_at=now,
        created_at=now,
    )
    return row.pk


def mark_sent(delivery_id: int, by: str) -> None:
    """Close an unconfirmed Delivery: a person saw that it arrived. NotificationError for any other state."""
    now = clock.now()
    changed = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.UNCONFIRMED).update(
        state=Delivery.State.SENT, sent_at=now, error_hint=f"marked as sent by {by[:100]}"
    )
    if not changed:
        raise NotificationError("not_unconfirmed", "only an unconfirmed delivery can be marked as sent")


def cancel(event_keys: Iterable[str], why: str) -> int:
    """What is still pending or held of these events is not sent any more (a request that is closed)."""
    waiting = Q(state=Delivery.State.PENDING) | Q(state=Delivery.State.HELD)
    rows = Delivery.objects.filter(waiting, event__key__in=[stored_key(key) for key in event_keys])
    return rows.update(state=Delivery.State.CANCELLED, error=why[:500])


@dataclass(frozen=True)
class Tested:
    """The answer of a test send: `ok`, or the classified error with its hint."""

    ok: bool
    delivery: int
    code: str = ""
    sentence: str = ""
    hint: str = ""


def send_test(destination_id: int, by: str) -> Tested:
    """A fixed text at once, outside dedupe and order; a success enables what was disabled.

    NotificationError `too_soon` within 10 s of the last test of this Destination.
    """
    now = clock.now()
    free = Q(tested_at__isnull=True) | Q(tested_at__lte=now - TEST_EVERY)
    if not Destination.objects.filter(free, pk=destination_id).update(tested_at=now):
        raise NotificationError("too_soon", "one test per 10 seconds", "wait a moment", permanent=False)
    destination = Destination.objects.select_related("service").get(pk=destination_id)
    row = _test_row(destination, by, now)
    try:
        delivering.attempt(row, now, time.monotonic() + TEST_WITHIN_S)
    except claims.Lost:
        return Tested(False, row.pk, "lost", "the test took longer than its lease")
    row.refresh_from_db()
    if row.state != Delivery.State.SENT:
        Delivery.objects.filter(pk=row.pk, state=Delivery.State.SENDING).update(state=Delivery.State.FAILED)
        return Tested(False, row.pk, row.error_code, row.error, row.error_hint)
    for what in (destination.service, destination):
        if what.state == State.DISABLED:
            destinations.enable(what, f"test by {by}")
    return Tested(True, row.pk)


def _test_row(destination: Destination, by: str, now: datetime) -> Delivery:
    message = rendering.test_message(destination, by)
    return Delivery.objects.create(
        kind=Delivery.Kind.TEST,
        destination=destination,
        dedupe=digest("test", opaque()),
        lane=digest("test", opaque()),
        because=[f"test by {by[:100]}"],
        payload=rendering.as_json(message),
        rendered="template",
        state=Delivery.State.SENDING,
        lease_until=now + claims.LEASE,
        fence=1,
        attempts=1,
        next_at=now,
        created_at=now,
    )


def tend() -> None:
    """Once an hour: what is held too long, what is older than its keep, a probe of what is disabled, the daily line."""
    now = clock.now()
    destinations.expire_held(now)
    prune(now)
    destinations.probe_disabled(now)
    operators.daily(now)


def prune(now: datetime) -> int:
    """Deliveries after 30 days, failed and unconfirmed after 90; events after 90; the number of rows removed."""
    on_the_way = Q(state__in=[Delivery.State.PENDING, Delivery.State.SENDING, Delivery.State.HELD])
    trouble = Q(state__in=_TROUBLE)
    old = (Q(created_at__lt=now - KEEP) & ~trouble) | Q(created_at__lt=now - KEEP_TROUBLE)
    removed = 0
    while ids := list(Delivery.objects.filter(old).exclude(on_the_way).values_list("id", flat=True)[:_BATCH]):
        with transaction.atomic():
            Delivery.objects.filter(pk__in=ids).delete()
        removed += len(ids)
    while ids := list(
        EventCopy.objects.filter(occurred_at__lt=now - KEEP_EVENTS, deliveries__isnull=True).values_list(
            "id", flat=True
        )[:_BATCH]
    ):
        EventCopy.objects.filter(pk__in=ids).delete()
        removed += len(ids)
    gone = EventCopy.objects.filter(name="deleted", received_at__lt=now - KEEP).values("app")
    TriggerState.objects.filter(app__in=gone).exclude(app="").delete()
    Silence.objects.filter(closed_at__lt=now - KEEP_EVENTS, suppressed__isnull=True).delete()
    Thread.objects.filter(used_at__lt=now - KEEP_THREADS).delete()
    return removed
