"""Who wants to hear of an event: the wishes that the core resolves, from the rows and from the event itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from notifications.core.routing import NativeSubscription, Route, Routing, Sources, destinations_for
from notifications.core.routing.subscriptions import split_recipient
from notifications.models import Delivery
from notifications.services.configured import Configured
from notifications.services.owing import Owed

_NOT_SHOWN = (Delivery.State.SILENCED, Delivery.State.CANCELLED)


def project_of(event: Mapping[str, Any]) -> str:
    """The name of the project, from its own part or from the application's."""
    project, app = event.get("project") or {}, event.get("app") or {}
    return str(project.get("name") or app.get("project") or "")


def route(event: Mapping[str, Any], config: Configured, now: datetime) -> Routing:
    """Every wish for this event, resolved."""
    app, project = event.get("app") or {}, event.get("project") or {}
    view = (event.get("project_view") or {}).get("metadata") or {}
    sources = Sources(
        app_annotations=app.get("annotations") or {},
        project_annotations=project.get("annotations") or view.get("annotations") or {},
        globals=config.globals,
        natives=(*config.natives, *_addressed(event)),
    )
    known = config.names(project_of(event))
    return destinations_for(event, sources, config.services, config.defaults, now, triggers=known)


def _addressed(event: Mapping[str, Any]) -> list[NativeSubscription]:
    """Destinations that the emitter named (`destinations`, texts `service:recipient`), as one wish for this event."""
    named = event.get("destinations")
    places = tuple(split_recipient(str(one)) for one in named) if isinstance(named, list) else ()
    if not places:
        return []
    return [NativeSubscription("of the emitter", places, events=(str(event.get("name", "")),))]


def followers(event: Mapping[str, Any], taken: Sequence[Owed]) -> list[Owed]:
    """Who was sent the card of an Approval is told what became of it: the votes, its end, the result.

    `taken` are the Messages that are owed anyway; one Destination gets one.
    """
    number = (event.get("approval") or {}).get("request")
    if not number or event.get("name") == "sync-started":
        return []
    uid = str((event.get("app") or {}).get("uid") or "")[:64]
    rows = Delivery.objects.filter(
        event__app=uid, event__name="approval-requested", event__data__approval__request=number
    ).exclude(state__in=_NOT_SHOWN)
    places = rows.order_by("id").values_list("destination__service_id", "destination__recipient")
    had = {(one.service, one.recipient) for one in taken}
    return [
        Owed(service, recipient, "", f"follow/{event['key']}", (), ("was sent the card",))
        for service, recipient in dict.fromkeys((str(service), recipient) for service, recipient in places)
        if (service, recipient) not in had
    ]


def owed_to(
    routes: Sequence[Route],
    trigger: str,
    dedupe: str,
    templates: tuple[str, ...] = (),
    kind: str = Delivery.Kind.EVENT,
) -> list[Owed]:
    return [
        Owed(
            one.service.key,
            one.recipient,
            trigger,
            dedupe,
            templates,
            one.because,
            kind,
            mention=one.mention,
            digest=one.digest,
        )
        for one in routes
    ]
