"""What happened (/events, /applications/{name}/events) and who did it (/audit)."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.shapes as shapes
from hub.api.access import person
from hub.api.applications import find
from hub.api.docs import documented
from hub.api.door import Door
from hub.api.lists import Listing, equals, one_of, prefix, since
from hub.models import Application, AuditEvent, Event
from hub.services import rights

SEVERITIES = ("info", "success", "warning", "error", "critical")


def event(row: Event) -> dict[str, Any]:
    return {
        "id": row.pk,
        "key": row.key,
        "name": row.name,
        "severity": row.severity,
        "summary": row.summary,
        "application": (row.data.get("app") or {}).get("name", ""),
        "project": row.project,
        "occurred_at": row.occurred_at,
        "resolves": row.data.get("resolves", ""),
    }


def _application(value: str) -> Q:
    """By name, like everywhere, or by the id that events of a removed application keep."""
    try:
        return Q(application=uuid.UUID(value))
    except ValueError:
        return Q(application__in=Application.objects.filter(name=value).values("id"))


EVENTS = Listing(
    route="events",
    sorts={"id": ("id",)},
    default="-id",
    show=event,
    filters={
        "name": equals("name"),
        "project": equals("project"),
        "severity": one_of("severity", SEVERITIES, "severity"),
        "application": _application,
        "since": since("occurred_at", "since"),
        "until": since("occurred_at", "until", "lt"),
    },
)


OF_ONE = replace(EVENTS, route="application_events")


def audited(row: AuditEvent) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at,
        "actor": {"kind": row.actor_kind, "name": row.actor_name},
        "via": row.via,
        "address": row.address,
        "request_id": row.request_id,
        "action": row.action,
        "resource": row.resource,
        "object": row.object_name,
        "project": row.project,
        "outcome": row.outcome,
        "code": row.code,
        "reason": row.reason,
        "before": row.before,
        "after": row.after,
        "level": row.level,
        "cwe": row.cwe,
    }


AUDIT = Listing(
    route="audit",
    sorts={"id": ("id",)},
    default="-id",
    show=audited,
    filters={
        "actor": equals("actor_name"),
        "action": equals("action"),
        "resource": equals("resource"),
        "object": equals("object_name"),
        "project": equals("project"),
        "outcome": one_of("outcome", ("done", "denied", "failed"), "outcome"),
        "via": equals("via"),
        "address": prefix("address"),
        "since": since("at", "since"),
        "until": since("at", "until", "lt"),
    },
)


class Events(Door):
    @documented("Events you may see, newest first", listing=EVENTS, item=shapes.Event)
    def get(self, request: Request) -> Response:
        return Response(EVENTS.answer(request, rights.visible_events(person(request))))


class ApplicationEvents(Door):
    @documented("Events of one application, newest first", listing=OF_ONE, item=shapes.Event)
    def get(self, request: Request, name: str) -> Response:
        rows = Event.objects.filter(application=find(request, name).id)
        return Response(OF_ONE.answer(request, rows))


class Audit(Door):
    @documented("Who did what; owners see their projects", listing=AUDIT, item=shapes.AuditEvent)
    def get(self, request: Request) -> Response:
        rows = AuditEvent.objects.all()
        if not person(request).is_superuser:
            owned = rights.owned_projects(person(request)).values("name")
            rows = rows.filter(project__in=owned)
        return Response(AUDIT.answer(request, rows))
