"""Who wants what, and what is silent for a time: /notifications/subscriptions and /notifications/silences."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.access import person
from hub.api.docs import documented
from hub.api.door import Door, document_of, rehearse
from hub.api.lists import Listing, equals
from hub.api.requests import actor
from hub.api.shapes import notifications as shapes
from hub.errors import HubError
from hub.services import notifying, rights
from notifications.models import Silence, Subscription
from notifications.services import subscribing

SUBSCRIPTIONS = Listing(
    route="subscriptions",
    sorts={"name": ("name",)},
    default="name",
    show=subscribing.document,
    filters={"owner": equals("owner")},
)


def find(request: Request, name: str) -> Subscription:
    row = notifying.visible_subscriptions(person(request)).filter(name=name).first()
    if row is None:
        raise rights.NotFound("subscription")
    return row


class Subscriptions(Door):
    @documented("Subscriptions you may see", listing=SUBSCRIPTIONS, item=shapes.Subscription)
    def get(self, request: Request) -> Response:
        return Response(SUBSCRIPTIONS.answer(request, notifying.visible_subscriptions(person(request))))

    @documented("Subscribe", body=shapes.Subscription, answer=shapes.Subscription, status=201, dry_run=True)
    def post(self, request: Request) -> Response:
        def create() -> dict[str, Any]:
            return subscribing.document(
                notifying.subscribe(actor(request), person(request), document_of(request))
            )

        return Response(rehearse(create)) if self.dry_run else Response(create(), status=201)


class OneSubscription(Door):
    @documented("One subscription", answer=shapes.Subscription)
    def get(self, request: Request, name: str) -> Response:
        return Response(subscribing.document(find(request, name)))

    @documented("Replace a subscription", body=shapes.Subscription, answer=shapes.Subscription, dry_run=True)
    def put(self, request: Request, name: str) -> Response:
        row = find(request, name)

        def change() -> dict[str, Any]:
            document = {**document_of(request), "name": row.name}
            return subscribing.document(notifying.subscribe(actor(request), person(request), document, row))

        return Response(rehearse(change) if self.dry_run else change())

    @documented("Unsubscribe", status=204)
    def delete(self, request: Request, name: str) -> Response:
        notifying.unsubscribe(actor(request), person(request), find(request, name))
        return Response(status=204)


def silence(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "matcher": row.matcher,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "author": row.author,
        "reason": row.reason,
        "suppressed": row.held_back,
    }


SILENCES = Listing(
    route="silences",
    sorts={"id": ("id",)},
    default="-id",
    show=silence,
    filters={"project": equals("matcher__project"), "application": equals("matcher__app")},
)


def _silences(request: Request) -> Any:
    return notifying.visible_silences(person(request)).annotate(held_back=Count("suppressed"))


def _moment(document: dict[str, Any], name: str, otherwise: datetime | None = None) -> datetime:
    value = document.get(name) or otherwise
    try:
        moment = value if isinstance(value, datetime) else parse_datetime(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise HubError("invalid", f"{name} is a time with its zone", "2027-01-31T12:00:00Z", status=422)
    return moment


class Silences(Door):
    @documented("Silences you may see, newest first", listing=SILENCES, item=shapes.Silence)
    def get(self, request: Request) -> Response:
        return Response(SILENCES.answer(request, _silences(request)))

    @documented(
        "Be silent for a time; what is still true at its end is told then",
        body=shapes.NewSilence,
        answer=shapes.Silence,
        status=201,
    )
    def post(self, request: Request) -> Response:
        document = document_of(request)
        known = ("matcher", "starts_at", "ends_at", "reason")
        if unknown := sorted(set(document) - set(known)):
            raise HubError("invalid", f"{unknown[0][:40]} is not a field here", f"known: {', '.join(known)}")
        matcher, reason = document.get("matcher"), document.get("reason")
        if not isinstance(matcher, dict) or not isinstance(reason, str) or not reason.strip():
            raise HubError(
                "invalid", "a silence needs a matcher and a reason", "see /api/v1/docs", status=422
            )
        begin, end = _moment(document, "starts_at", timezone.now()), _moment(document, "ends_at")
        row = notifying.silence(actor(request), person(request), matcher, begin, end, reason.strip())
        return Response(silence(_silences(request).get(pk=row.pk)), status=201)


class OneSilence(Door):
    @documented("One silence", answer=shapes.Silence)
    def get(self, request: Request, number: int) -> Response:
        return Response(silence(self._find(request, number)))

    @documented("End a silence now", status=204)
    def delete(self, request: Request, number: int) -> Response:
        notifying.end_silence(actor(request), person(request), self._find(request, number))
        return Response(status=204)

    def _find(self, request: Request, number: int) -> Silence:
        row: Silence | None = _silences(request).filter(pk=number).first()
        if row is None:
            raise rights.NotFound("silence")
        return row
