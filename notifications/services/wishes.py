"""Who wants to hear of an event: the wishes that the core resolves, from the rows and from the event itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from notifications.core.routing import Route, Routing, Sources, destinations_for
from notifications.models import Delivery
from notifications.services.configured import Configured
from notifications.services.owing import Owed


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
        natives=config.natives,
    )
    known = config.names(project_of(event))
    return destinations_for(event, sources, config.services, config.defaults, now, triggers=known)


def owed_to(
    routes: Sequence[Route],
    trigger: str,
    dedupe: str,
    templates: tuple[str, ...] = (),
    kind: str = Delivery.Kind.EVENT,
) -> list[Owed]:
    return [
        Owed(one.service.key, one.recipient, trigger, dedupe, templates, one.because, kind) for one in routes
    ]
