"""Destinations and Services that are switched off and on again, and who hears of it (notifications.md 6.6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

import notifications.services.clock as clock
import notifications.services.configured as configured
import notifications.services.operators as operators
import notifications.services.rendering as rendering
from guard.redact import redact
from notifications.channels import channel_of
from notifications.channels.base import DeliveryError
from notifications.models import Delivery, Destination, EventCopy, Service
from notifications.models.config import State

PROBE_EVERY = timedelta(hours=1)


def disable(what: Destination | Service, error: DeliveryError, by: str, now: datetime) -> None:
    """At once: state, what is pending becomes held, operators are told elsewhere. Call inside a transaction."""
    sentence = f"{error.sentence} ({error.hint})" if error.hint else error.sentence
    fields: dict[str, Any] = {
        "state": State.DISABLED,
        "state_code": error.code[:64],
        "state_reason": redact(sentence, limit=500),
        "state_by": by[:100],
        "state_since": now,
    }
    if isinstance(what, Destination):
        # The name may mean another channel by the time somebody has mended it.
        fields["external_id"] = ""
    model: Any = type(what)
    changed = model.objects.filter(pk=what.pk).exclude(state=State.DISABLED).update(**fields)
    if not changed:
        return
    for name, value in fields.items():
        setattr(what, name, value)
    _deliveries(what).filter(state=Delivery.State.PENDING).update(
        state=Delivery.State.HELD, error_code=error.code[:64], error=fields["state_reason"]
    )
    _tell_operators(
        what, "destination-disabled", "error", f"{what} is disabled: {fields['state_reason']}", now
    )


def enable(what: Destination | Service, by: str, now: datetime | None = None) -> list[int]:
    """Switch it on; held Deliveries become pending, or `expired` when they waited too long. Returns their ids."""
    now = now or clock.now()
    with transaction.atomic():
        model: Any = type(what)
        changed = model.objects.filter(pk=what.pk, state=State.DISABLED).update(
            state=State.OK, state_code="", state_reason="", state_by=by[:100], state_since=now
        )
        what.refresh_from_db(fields=["state", "state_code", "state_reason", "state_by", "state_since"])
        if changed:
            _tell_operators(what, "destination-enabled", "success", f"{what} is enabled again", now)
        return _resume(what, now)


def _resume(what: Destination | Service, now: datetime) -> list[int]:
    held = _deliveries(what).filter(state=Delivery.State.HELD)
    free = held.exclude(Q(destination__state=State.DISABLED) | Q(destination__service__state=State.DISABLED))
    resumed = []
    for pk, created, hold_for in free.order_by("id").values_list(
        "id", "created_at", "destination__hold_for_s"
    ):
        late = now - created > timedelta(seconds=hold_for)
        fields: dict[str, Any] = (
            {"state": Delivery.State.FAILED, "error_code": "expired", "error": "it was held for too long"}
            if late
            else {"state": Delivery.State.PENDING, "next_at": now, "error_code": "", "error": ""}
        )
        if Delivery.objects.filter(pk=pk, state=Delivery.State.HELD).update(**fields) and not late:
            resumed.append(pk)
    return resumed


def expire_held(now: datetime) -> None:
    """What is held longer than its Destination's `hold_for` becomes a visible failure."""
    for destination in Destination.objects.filter(deliveries__state=Delivery.State.HELD).distinct():
        Delivery.objects.filter(
            destination=destination,
            state=Delivery.State.HELD,
            created_at__lt=now - timedelta(seconds=destination.hold_for_s),
        ).update(state=Delivery.State.FAILED, error_code="expired", error="it was held for too long")


def _deliveries(what: Destination | Service) -> Any:
    if isinstance(what, Service):
        return Delivery.objects.filter(destination__service=what)
    return Delivery.objects.filter(destination=what)


def _tell_operators(
    what: Destination | Service, name: str, severity: str, summary: str, now: datetime
) -> None:
    """An event of this room, to the other Destinations marked for operators, never through the one it is about."""
    service = what if isinstance(what, Service) else what.service
    place = f"{'service' if isinstance(what, Service) else 'destination'}/{what.pk}"
    key = f"{place}/{name}/{now.isoformat()}"
    resolves = ""
    if name == "destination-enabled":
        last = EventCopy.objects.filter(name="destination-disabled", key__startswith=f"{place}/").first()
        resolves = last.key if last is not None else ""
    others = Destination.objects.all()
    others = others.exclude(service=what) if isinstance(what, Service) else others.exclude(pk=what.pk)
    operators.tell(key, name, severity, summary, others, now, project=service.project, resolves=resolves)


def probe_disabled(now: datetime) -> None:
    """Once an hour, a cheap call that changes nothing: a Service whose credentials work again is enabled."""
    due = Q(probed_at__isnull=True) | Q(probed_at__lte=now - PROBE_EVERY)
    for service in Service.objects.filter(due, state=State.DISABLED)[:20]:
        if not Service.objects.filter(due, pk=service.pk).update(probed_at=now):
            continue
        try:
            channel = channel_of(service.type)
            if hasattr(channel, "probe"):
                channel.probe(configured.settings_of(service.settings), rendering.network())
                enable(service, "probe")
        except DeliveryError:
            # Still refused: it stays off, and the next hour asks again.
            continue
