"""The history of what was told: /notifications/deliveries and /notifications/destinations (notifications.md 6.6)."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.nudging as nudging
from hub.api.access import administrators_only, person
from hub.api.docs import documented
from hub.api.door import Door
from hub.api.lists import Listing, equals, one_of, since
from hub.api.requests import actor
from hub.api.shapes import notifications as shapes
from hub.services import notifying, rights
from notifications.models import Delivery, Destination
from notifications.services import rendering


def summary(row: Delivery) -> dict[str, Any]:
    event = row.event
    return {
        "id": row.pk,
        "state": row.state,
        "kind": row.kind,
        "destination": str(row.destination),
        "event": event.name if event is not None else "",
        "application": ((event.data.get("app") or {}).get("name") or "") if event is not None else "",
        "project": event.project if event is not None else "",
        "trigger": row.trigger,
        "because": row.because,
        "attempts": row.attempts,
        "error_code": row.error_code,
        "error": row.error,
        "error_hint": row.error_hint,
        "created_at": row.created_at,
        "sent_at": row.sent_at,
    }


def detail(row: Delivery) -> dict[str, Any]:
    """With the payload as it was sent, secrets and tokens hidden."""
    steps = [{"name": step["name"], "request": step["request"], "done": step["done"]} for step in row.steps]
    return summary(row) | {
        "event_key": row.event.key if row.event is not None else "",
        "rendered": row.rendered,
        "rendered_why": row.rendered_why,
        "remarks": row.remarks,
        "steps": rendering.shown(steps),
        "tries": list(
            row.tries.values("number", "step", "started_at", "ended_at", "outcome", "code", "answer")
        ),
        "silence": row.silence_id,
        "folded_into": row.folded_into_id,
        "resend_of": row.resend_of_id,
    }


DELIVERIES = Listing(
    route="deliveries",
    sorts={"id": ("id",)},
    default="-id",
    show=summary,
    filters={
        "state": one_of("state", Delivery.State.values, "state"),
        "kind": one_of("kind", Delivery.Kind.values, "kind"),
        "event": equals("event__name"),
        "event_key": equals("event__key"),
        "application": equals("event__data__app__name"),
        "project": equals("event__project"),
        "service": equals("destination__service__name"),
        "recipient": equals("destination__recipient"),
        "trigger": equals("trigger"),
        "since": since("created_at", "since"),
        "until": since("created_at", "until", "lt"),
    },
)


def find(request: Request, number: int) -> Delivery:
    row = notifying.visible_deliveries(person(request)).filter(pk=number).first()
    if row is None:
        raise rights.NotFound("delivery")
    return row


class Deliveries(Door):
    @documented("Deliveries you may see, newest first", listing=DELIVERIES, item=shapes.DeliverySummary)
    def get(self, request: Request) -> Response:
        return Response(DELIVERIES.answer(request, notifying.visible_deliveries(person(request))))


class OneDelivery(Door):
    @documented("One delivery: what was sent and how each try ended", answer=shapes.Delivery)
    def get(self, request: Request, number: int) -> Response:
        return Response(detail(find(request, number)))


class Resend(Door):
    @documented("Send a delivery that has ended again, as a new one", answer=shapes.Resent, status=201)
    def post(self, request: Request, number: int) -> Response:
        made = notifying.resend(actor(request), person(request), find(request, number))
        nudging.deliver([made])
        return Response({"id": made}, status=201)


class MarkSent(Door):
    @documented("Close an unconfirmed delivery: you saw that it arrived", answer=shapes.Delivery)
    def post(self, request: Request, number: int) -> Response:
        notifying.mark_sent(actor(request), person(request), find(request, number))
        return Response(detail(find(request, number)))


def destination(row: Destination) -> dict[str, Any]:
    off = row if row.state != "ok" else row.service
    return {
        "id": row.pk,
        "service": row.service.name,
        "recipient": row.recipient,
        "state": off.state,
        "reason": off.state_reason,
        "operators": row.operators,
        "throttled_until": row.throttled_until,
    }


DESTINATIONS = Listing(
    route="destinations",
    sorts={"id": ("id",)},
    default="id",
    show=destination,
    filters={"service": equals("service__name"), "recipient": equals("recipient")},
)


def find_destination(request: Request, number: int) -> Destination:
    administrators_only(request)
    row = Destination.objects.select_related("service").filter(pk=number).first()
    if row is None:
        raise rights.NotFound("destination")
    return row


class Destinations(Door):
    @documented("Where messages go", listing=DESTINATIONS, item=shapes.NotificationDestination)
    def get(self, request: Request) -> Response:
        administrators_only(request)
        return Response(DESTINATIONS.answer(request, Destination.objects.select_related("service")))


class TestDestination(Door):
    @documented("Send a fixed text now; one per 10 seconds", answer=shapes.Tested)
    def post(self, request: Request, number: int) -> Response:
        tested = notifying.send_test(actor(request), find_destination(request, number))
        return Response(
            {
                "ok": tested.ok,
                "delivery": tested.delivery,
                "code": tested.code,
                "message": tested.sentence,
                "hint": tested.hint,
            }
        )


class EnableDestination(Door):
    @documented("Switch it on again; what was held goes out", answer=shapes.Enabled)
    def post(self, request: Request, number: int) -> Response:
        return Response({"resumed": notifying.enable(actor(request), find_destination(request, number))})
