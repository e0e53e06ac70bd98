"""Who runs the hub hears of what waits for a person: at once of what is switched off, once a day of the rest (6.4, 6.6)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

import notifications.services.owing as owing
from guard.redact import redact
from notifications.models import Delivery, Destination, EventCopy, Service
from notifications.models.config import State
from notifications.services.owing import Owed

DAY = timedelta(days=1)


def tell(
    key: str,
    name: str,
    severity: str,
    summary: str,
    places: QuerySet[Destination],
    now: datetime,
    *,
    project: str = "",
    resolves: str = "",
) -> None:
    """An event of this room, once per key, to those of `places` that are marked for operators."""
    text = redact(summary, limit=500)
    event = {
        "id": key,
        "key": key,
        "name": name,
        "occurred_at": now.isoformat(),
        "severity": severity,
        "summary": text,
        "project": {"name": project},
        "resolves": resolves,
        "episode": resolves or key,
    }
    copy, made = EventCopy.objects.get_or_create(
        key=key[:255],
        defaults={
            "name": name,
            "project": project,
            "severity": severity,
            "summary": text,
            "data": event,
            "occurred_at": now,
            "received_at": now,
        },
    )
    if not made:
        return
    owed = [
        Owed(
            str(one.service_id),
            one.recipient,
            f"event:{name}",
            key,
            (),
            ("operators",),
            Delivery.Kind.OPERATORS,
        )
        for one in places.filter(operators=True).select_related("service")
    ]
    owing.owe(copy, owed, now)


def daily(now: datetime) -> None:
    """One line a day, if anything waits for a person; nothing when all is well."""
    since = now - DAY
    unconfirmed = Delivery.objects.filter(state=Delivery.State.UNCONFIRMED).count()
    failed = Delivery.objects.filter(state=Delivery.State.FAILED, created_at__gte=since).count()
    off = (
        Destination.objects.filter(Q(state=State.DISABLED) | Q(service__state=State.DISABLED)).count()
        + Service.objects.filter(state=State.DISABLED, destinations__isnull=True).count()
    )
    parts = [
        f"{number} {what}"
        for number, what in (
            (unconfirmed, "unconfirmed"),
            (failed, "failed since yesterday"),
            (off, "destinations switched off"),
        )
        if number
    ]
    if parts:
        day = now.date().isoformat()
        summary = f"Deliveries that need a person: {', '.join(parts)}"
        tell(
            f"operators/daily/{day}",
            "deliveries-need-attention",
            "warning",
            summary,
            Destination.objects.all(),
            now,
        )
