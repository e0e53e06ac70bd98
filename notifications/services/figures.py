"""Figures for a scrape, read from the rows; labels never hold the name of an application, a recipient or a person."""

from __future__ import annotations

from django.db.models import Count, Min

import notifications.services.clock as clock
from notifications.models import Delivery, Destination, Service
from notifications.models.config import State

Figure = tuple[str, dict[str, str], float]


def figures() -> list[Figure]:
    """Gauges (name, labels, value) under the names of notifications.md 11; four queries."""
    found: list[Figure] = []
    counted = (
        Delivery.objects.values_list("destination__service__name", "state").annotate(Count("id")).order_by()
    )
    for service, state, count in counted:
        found.append(("hub_notifications_deliveries", {"service": service, "state": state}, float(count)))
        if state == Delivery.State.UNCONFIRMED:
            found.append(("hub_notifications_unconfirmed", {"service": service}, float(count)))
    now = clock.now()
    pending = Delivery.objects.filter(state=Delivery.State.PENDING).values_list("destination__service__name")
    for service, oldest in pending.annotate(Min("created_at")).order_by():
        age = max((now - oldest).total_seconds(), 0.0)
        found.append(("hub_notifications_oldest_pending_seconds", {"service": service}, age))
    disabled = dict(
        Destination.objects.filter(state=State.DISABLED)
        .values_list("service__name")
        .annotate(Count("id"))
        .order_by()
    )
    for name, state in Service.objects.values_list("name", "state"):
        off = disabled.get(name, 0) + (state == State.DISABLED)
        found.append(("hub_notifications_destination_disabled", {"service": name}, float(off)))
    return found
