"""Deliveries come into being here and nowhere else: unique per (telling, Destination), in their lane, silenced or held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import notifications.services.counting as counting
import notifications.services.silences as silences
from notifications.core import schedule
from notifications.core.digests import Digest, flush_at
from notifications.core.events import episode_of
from notifications.core.templates import thread_of
from notifications.models import Delivery, Destination, EventCopy
from notifications.models.config import State
from notifications.services.keys import digest


@dataclass(frozen=True)
class Owed:
    """One Message that one Destination should get. `dedupe` is the same however often this is computed."""

    service: str
    recipient: str
    trigger: str
    dedupe: str
    templates: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    kind: str = Delivery.Kind.EVENT
    episode: str = ""
    mention: str = ""
    digest: Digest | None = None
    # Goes out with what is gathered until then.
    gathered_until: datetime | None = None


def destinations(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Destination]:
    """The rows of (service, recipient), made when they are new."""
    wanted = list(dict.fromkeys((service, recipient[:500]) for service, recipient in pairs))
    Destination.objects.bulk_create(
        [Destination(service_id=service, recipient=recipient) for service, recipient in wanted],
        ignore_conflicts=True,
    )
    rows = Destination.objects.select_related("service").filter(
        service_id__in={service for service, _ in wanted},
        recipient__in={recipient for _, recipient in wanted},
    )
    found = {(str(row.service_id), row.recipient): row for row in rows}
    return {pair: found[pair] for pair in wanted if pair in found}


def owe(copy: EventCopy, owed: Sequence[Owed], now: datetime) -> None:
    """Insert the Deliveries of one event; those that exist stay as they are."""
    if not owed:
        return
    rows = destinations((one.service, one.recipient) for one in owed)
    active = silences.active(now)
    made = []
    for one in owed:
        destination = rows.get((one.service, one.recipient[:500]))
        if destination is not None:
            made.append(_delivery(copy, one, destination, active, now))
    Delivery.objects.bulk_create(made, ignore_conflicts=True)
    for row in made:
        if row.state != Delivery.State.PENDING:
            counting.count("hub_notifications_suppressed_total", why=row.error_code or row.state)


def _delivery(
    copy: EventCopy, one: Owed, destination: Destination, active: Sequence[Any], now: datetime
) -> Delivery:
    state, code, sentence, silence, due = Delivery.State.PENDING, "", "", None, now
    if schedule.is_expired(copy.occurred_at, copy.received_at):
        state, code = Delivery.State.FAILED, "expired"
        sentence = "the event was older than a day when it was dispatched"
    elif State.DISABLED in (destination.state, destination.service.state):
        state = Delivery.State.HELD
        code = destination.state_code or destination.service.state_code
        sentence = destination.state_reason or destination.service.state_reason
    else:
        silence = silences.matching(active, copy, destination)
        state = Delivery.State.SILENCED if silence is not None else state
        if silence is None and one.digest is not None and (one.digest.everything or not _urgent(copy)):
            state, due = Delivery.State.DIGESTED, flush_at(one.digest, now)
        elif silence is None and one.gathered_until is not None:
            state, due = Delivery.State.DIGESTED, one.gathered_until
    episode = one.episode or episode_of(copy.data)
    return Delivery(
        kind=one.kind,
        destination=destination,
        event=copy,
        dedupe=digest(one.dedupe),
        lane=digest(destination.pk, copy.app or episode or copy.key),
        trigger=one.trigger[:300],
        templates=list(one.templates),
        because=list(one.because),
        app=copy.app,
        episode=episode[:255],
        thread="" if one.templates else thread_of({**copy.data, "episode": episode})[:255],
        state=state,
        error_code=code,
        error=sentence[:500],
        silence=silence,
        mention=one.mention[:200],
        next_at=due,
        created_at=now,
    )


def _urgent(copy: EventCopy) -> bool:
    """Errors do not wait for a digest, and what asks for an answer neither."""
    asks = any(copy.data.get(name) for name in ("approval", "buttons", "card"))
    return asks or copy.severity in ("error", "critical")
