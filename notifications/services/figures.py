"""Figures for a scrape, read from the rows; labels never hold the name of an application, a recipient or a person."""

from __future__ import annotations

from django.db.models import Count, Min

import notifications.services.clock as clock
import notifications.services.counting as counting
from notifications.models import Delivery, Destination, Service
from notifications.models.config import State

Figure = tuple[str, dict[str, str], float]
# Name -> (type of Prometheus, what it says).
METRICS = {
    "argocd_notifications_deliveries_total": ("counter", "Deliveries that ended"),
    "argocd_notifications_trigger_eval_total": (
        "counter",
        "Conditions of imported triggers that were judged",
    ),
    "hub_notifications_events_total": ("counter", "Events dispatched"),
    "hub_notifications_dispatch_seconds": ("histogram", "From an event to its deliveries"),
    "hub_notifications_deliveries": ("gauge", "Deliveries by state, as long as they are kept"),
    "hub_notifications_oldest_pending_seconds": ("gauge", "Age of what waits longest"),
    "hub_notifications_delivery_seconds": ("histogram", "From what happened to the message that was sent"),
    "hub_notifications_send_seconds": ("histogram", "One request to the far side"),
    "hub_notifications_attempts_total": ("counter", "Requests by how they ended"),
    "hub_notifications_throttled_total": ("counter", "Times that the pace or the far side said to wait"),
    "hub_notifications_template_errors_total": ("counter", "Messages that a template could not make"),
    "hub_notifications_trigger_errors_total": ("counter", "Judgements that ended in an error"),
    "hub_notifications_suppressed_total": ("counter", "Deliveries that were not to be sent, by why"),
    "hub_notifications_folded_total": ("counter", "Deliveries said by another one"),
    "hub_notifications_destination_disabled": ("gauge", "Destinations and services that are switched off"),
    "hub_notifications_unconfirmed": ("gauge", "Deliveries of which nobody knows whether they arrived"),
}


def figures() -> list[Figure]:
    """All (name, labels, value) under the names of notifications.md 11: gauges read from the rows, and the counters."""
    return [*_gauges(), *counting.series()]


def _gauges() -> list[Figure]:
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
