"""One attempt of one Delivery: claim, render once, walk the steps, write down how each ended (notifications.md 6)."""

from __future__ import annotations

import time
from datetime import datetime

import structlog
from django.db import transaction

import notifications.services.alarms as alarms
import notifications.services.claims as claims
import notifications.services.clock as clock
import notifications.services.counting as counting
import notifications.services.digests as digests
import notifications.services.folding as folding
import notifications.services.outcomes as outcomes
import notifications.services.pace as pace
import notifications.services.rendering as rendering
import notifications.services.silences as silences
import notifications.services.threads as threads
from notifications.channels.base import DeliveryError, Kind, Network
from notifications.core import schedule
from notifications.models import Attempt, Delivery, Destination, EventCopy
from notifications.models.config import State
from notifications.services.rendering import Line

log = structlog.get_logger(__name__)
# Shorter than the lease: nothing is written to the far side when somebody else may own the Delivery.
WRITE_WITHIN_S = 30.0
IN_A_ROW = 20
_AGAIN = (Delivery.Kind.STILL, Delivery.Kind.REMINDER)


def deliver(delivery_id: int) -> None:
    """One attempt. Does nothing when it is not due, not first in its lane, or in other hands.

    When it ends, what waited behind it in its lane gets its attempt too: nobody else will hint at it before the tick.
    """
    following: int | None = delivery_id
    for _ in range(IN_A_ROW):
        if following is None:
            return
        following = _delivered(following)


def _delivered(delivery_id: int) -> int | None:
    """One attempt; the id of the next in its lane when this one has ended."""
    now = clock.now()
    if claims.throttled(delivery_id, now):
        return None
    if not claims.claim(delivery_id, now) and not claims.take_over(delivery_id, now):
        return None
    row = Delivery.objects.select_related("event", "destination__service").get(pk=delivery_id)
    try:
        _guarded(row, now)
    except claims.Lost:
        # The lease lapsed meanwhile: the new owner decides, with what was written before each step.
        return None
    return claims.behind(row, clock.now())


def _guarded(row: Delivery, now: datetime) -> None:
    """An error of our own ends one attempt and not the worker; three of them end the Delivery, visibly."""
    try:
        attempt(row, now, time.monotonic() + WRITE_WITHIN_S)
    except claims.Lost:
        raise
    except Exception as error:
        log.exception("an attempt ended in an error of the hub itself", delivery=row.pk)
        index = _next_step(row)
        begun = index is not None and bool(row.steps[index]["started"])
        kind: Kind = "unsure" if begun else "unknown"
        ours = DeliveryError("internal", f"an error of the hub itself: {type(error).__name__}", kind=kind)
        tried = row.tries.filter(ended_at__isnull=True).last()
        outcomes.failed(row, None, index if begun else None, tried, ours, clock.now())


def due_deliveries(limit: int = 200) -> list[int]:
    """Ids for `deliver`, after what time alone has changed: alarms, ended silences. Touches only the database."""
    now = clock.now()
    alarms.tick(now)
    silences.close_ended(now)
    digests.flush(now)
    return claims.due(now, limit)


def attempt(row: Delivery, now: datetime, deadline: float) -> None:
    """Walk the steps of a claimed Delivery as far as they go. Raises claims.Lost."""
    if row.kind != Delivery.Kind.TEST and _hindered(row):
        return
    try:
        line = rendering.line(row.destination, deadline)
        if not row.steps and not _prepared(row, line, now):
            return
    except DeliveryError as error:
        outcomes.failed(row, None, None, None, error, now)
        return
    while (index := _next_step(row)) is not None:
        if row.steps[index]["started"]:
            going = _resolved(row, line, index)
        else:
            going = _walked(row, line, index)
        if not going:
            return


def _next_step(row: Delivery) -> int | None:
    return next((at for at, step in enumerate(row.steps) if not step["done"]), None)


def _hindered(row: Delivery) -> bool:
    """Held by a disabled Destination, or about an application that is gone."""
    destination = row.destination
    if _begun(row):
        return False
    if State.DISABLED in (destination.state, destination.service.state):
        why = destination if destination.state == State.DISABLED else destination.service
        claims.write(
            row,
            state=Delivery.State.HELD,
            lease_until=None,
            error_code=why.state_code,
            error=why.state_reason,
            attempts=max(row.attempts - 1, 0),
        )
        return True
    event = row.event
    if event is not None and row.app and not _tells_the_end(event) and not folding.is_carrier(row):
        gone = EventCopy.objects.filter(app=row.app, name="deleted", id__gt=event.id).exists()
        if gone:
            claims.write(
                row, state=Delivery.State.CANCELLED, lease_until=None, error="the application is deleted"
            )
            return True
    return False


def _tells_the_end(event: EventCopy) -> bool:
    """The end of an application: the event of the hub, or a look of an imported trigger at one that is on its way out."""
    metadata = (event.data.get("application") or {}).get("metadata") or {}
    return event.name == "deleted" or bool(metadata.get("deletionTimestamp"))


def _begun(row: Delivery) -> bool:
    index = _next_step(row)
    return index is not None and bool(row.steps[index]["started"])


def _prepared(row: Delivery, line: Line, now: datetime) -> bool:
    """Render and freeze; False when another first message of the same thread is on its way."""
    payload = row.payload
    event = row.event.data if row.event is not None else {}
    changes = {}
    if payload is None:
        folding.gather(row, line.channel)
        together = folding.message(row)
        message = together or rendering.message_of(
            event, row.templates, line.service, line.destination.recipient, now
        )
        if row.kind in _AGAIN:
            message = rendering.again(message)
        message = rendering.calling(message, row.mention)
        rendering.count_failure(row.templates, message, str(event.get("key", "")))
        payload = rendering.as_json(message)
        changes = {
            "rendered": "fallback" if message.fallback else "template",
            "rendered_why": message.fallback[:500],
            "remarks": [*row.remarks, *message.remarks],
            "thread": message.thread[:255],
        }
    message = rendering.from_json(payload)
    _resolve_channel(line)
    with transaction.atomic():
        key = message.thread if row.kind != Delivery.Kind.TEST else ""
        place = threads.place(line.destination, key, row.pk, now)
        if place.root and folding.newer_update(row, key):
            return False
        if place.busy:
            later = now + schedule.BACK_OFF[0]
            claims.release(row, later, counts=False, payload=payload, **changes)
            return False
        owed = rendering.owed(row, line, place.root, place.channel_id)
        steps = line.channel.prepare(message, line.destination.recipient, line.settings, owed)
        if not steps:
            raise DeliveryError("no_recipient", "nobody is named to send this to", kind="recipient")
        claims.write(row, payload=payload, steps=[rendering.stored(step) for step in steps], **changes)
    return True


def _resolve_channel(line: Line) -> None:
    """The id behind a name, once: without it nobody can be asked what arrived. The first answer tells it too."""
    if line.destination.external_id or not hasattr(line.channel, "resolve"):
        return
    try:
        found = line.channel.resolve(line.destination.recipient, line.settings, line.network)
    except DeliveryError as error:
        log.info("the channel id is not known yet", service=line.service.name, code=error.code)
        return
    if found:
        Destination.objects.filter(pk=line.destination.pk).update(external_id=found)
        line.destination.external_id = found


def _walked(row: Delivery, line: Line, index: int) -> bool:
    """One step: a token, the beginning written down, the request, the end written down."""
    now = clock.now()
    step = rendering.step_of(row.steps[index])
    wait = pace.take(pace.bucket_name(line.destination, step.pace), step.pace, now)
    if wait is not None and row.kind != Delivery.Kind.TEST:
        counting.count("hub_notifications_throttled_total", service=line.service.name)
        Destination.objects.filter(pk=line.destination.pk).update(throttled_until=wait)
        claims.release(row, wait, counts=False)
        return False
    steps = [*row.steps]
    steps[index] = {**steps[index], "started": now.isoformat()}
    with transaction.atomic():
        claims.write(row, steps=steps, lease_until=now + claims.LEASE)
        tried = Attempt.objects.create(delivery=row, number=row.attempts, step=step.name, started_at=now)
    # The lease was renewed with the step, so its time begins anew; a test has one time for everything.
    network = line.network if row.kind == Delivery.Kind.TEST else _network()
    begun = time.monotonic()
    try:
        receipt = line.channel.carry_out(step, line.settings, network, rendering.owed(row, line))
    except DeliveryError as error:
        return outcomes.failed(row, line, index, tried, error, clock.now())
    finally:
        spent = time.monotonic() - begun
        counting.took("hub_notifications_send_seconds", spent, service=line.service.name)
    outcomes.done(row, line, index, tried, receipt, clock.now())
    return True


def _resolved(row: Delivery, line: Line, index: int) -> bool:
    """A step that was begun and whose end nobody wrote down: ask, repeat what is harmless, or hold and show (6.4)."""
    now = clock.now()
    tried = row.tries.filter(ended_at__isnull=True).last()
    if row.unsure_since is None:
        if rendering.step_of(row.steps[index]).unsure != "ask":
            error = DeliveryError(
                "interrupted", "the worker ended before the answer was written down", kind="unsure"
            )
            outcomes.failed(row, line, index, tried, error, now)
            return False
        started = clock.moment(row.steps[index]["started"], now)
        claims.write(row, unsure_since=started)
    return _asked(row, line, index, tried)


def _asked(row: Delivery, line: Line, index: int, tried: Attempt | None) -> bool:
    step = rendering.step_of(row.steps[index])
    owed = rendering.owed(row, line)
    found = None
    error = DeliveryError("lost_answer", "the answer was lost; the far side was asked", kind="unsure")
    answer: schedule.Answer = "not_found"
    try:
        found = line.channel.ask(
            step, line.settings, rendering.network(time.monotonic() + WRITE_WITHIN_S), owed
        )
    except DeliveryError as refused:
        answer, error = "cannot_ask", refused
    now = clock.now()
    if found is not None:
        outcomes.done(row, line, index, tried, found, now)
        return True
    if answer == "not_found":
        claims.write(row, asks=row.asks + 1)
    following = schedule.after_question(answer, outcomes.case(row, row.steps[index]), now)
    outcomes.apply(row, line, index, tried, Attempt.Outcome.UNSURE, error, following, now)
    return False


def _network() -> Network:
    return rendering.network(time.monotonic() + WRITE_WITHIN_S)
