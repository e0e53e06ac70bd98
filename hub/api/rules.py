"""Triggers and templates to look at and to try out; nothing here sends anything (notifications.md 11)."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.access import administrators_only, person
from hub.api.docs import documented
from hub.api.door import Door, document_of
from hub.api.lists import Listing, bad, equals
from hub.api.requests import actor
from hub.api.shapes import notifications as shapes
from hub.errors import HubError
from hub.services import notifying, rights
from notifications import services as notifications
from notifications.core import catalogue
from notifications.models import EventCopy, Template, Trigger
from notifications.services import configured


def rule(row: Any) -> dict[str, Any]:
    return {
        "name": row.name,
        "project": row.project,
        "kind": row.kind,
        "enabled": getattr(row, "enabled", True),
        "text": row.text,
        "errors": row.errors,
        "last_error": row.last_error,
        "last_error_event": row.last_error_event,
    }


def _listing(route: str) -> Listing:
    return Listing(
        route=route,
        sorts={"name": ("name", "id")},
        default="name",
        show=rule,
        filters={"project": equals("project"), "kind": equals("kind")},
    )


TRIGGERS, TEMPLATES = _listing("triggers"), _listing("templates")


def _text(document: dict[str, Any], name: str, *, required: bool = True) -> str:
    value = document.get(name) or ""
    if not isinstance(value, str) or (required and not value):
        raise HubError("invalid", f"{name} must be text", "see /api/v1/docs", status=422)
    return value


def _event(request: Request, key: str) -> EventCopy:
    row = notifying.visible_copies(person(request)).filter(key=key).first()
    if row is None:
        raise rights.NotFound("event")
    return row


def _is_known(request: Request, model: Any, name: str, of_catalogue: Any) -> bool:
    rows = model.objects.filter(notifying.of_projects(person(request)), name=name)
    return rows.exists() or name in of_catalogue


class Triggers(Door):
    @documented("Triggers that were written or imported", listing=TRIGGERS, item=shapes.Rule)
    def get(self, request: Request) -> Response:
        rows = Trigger.objects.filter(notifying.of_projects(person(request)))
        return Response(TRIGGERS.answer(request, rows))


class TryTrigger(Door):
    @documented("What a trigger says of a stored event", body=shapes.OfEvent, answer=shapes.Judged)
    @notifying.translated
    def post(self, request: Request, name: str) -> Response:
        known = {**catalogue.default_triggers(), **catalogue.default_native()}
        if not _is_known(request, Trigger, name, known):
            raise rights.NotFound("trigger")
        event = _event(request, _text(document_of(request), "event"))
        config = configured.load()
        found = config.rule(name, event.project)
        if found is None or found.trigger is None:
            raise found.problem if found and found.problem else rights.NotFound("trigger")
        answers = notifications.try_trigger(found.trigger, event.data, config.context)
        return Response(
            {
                "conditions": [
                    {
                        "condition": one.condition,
                        "result": one.result,
                        "once_per": one.once_per,
                        "error": one.error,
                    }
                    for one in answers
                ]
            }
        )


class Templates(Door):
    @documented("Templates that were written or imported", listing=TEMPLATES, item=shapes.Rule)
    def get(self, request: Request) -> Response:
        rows = Template.objects.filter(notifying.of_projects(person(request)))
        return Response(TEMPLATES.answer(request, rows))


class Render(Door):
    @documented(
        "What a template would send for a stored event", body=shapes.RenderRequest, answer=shapes.Rendered
    )
    @notifying.translated
    def post(self, request: Request, name: str) -> Response:
        if not _is_known(request, Template, name, catalogue.default_templates()):
            raise rights.NotFound("template")
        document = document_of(request)
        event = _event(request, _text(document, "event"))
        service, recipient = _text(document, "service"), _text(document, "recipient", required=False)
        shown = notifications.preview_stored(event.key, [name], service, recipient)
        return Response({"steps": shown.steps, "remarks": shown.remarks, "fallback": shown.fallback})


class Explain(Door):
    @documented(
        "Who gets a stored event, why, why not",
        answer=shapes.Explained,
        also={"event": "its key", "recipient": "service, or service:name"},
    )
    @notifying.translated
    def get(self, request: Request) -> Response:
        key = request.query_params.get("event", "")
        if not key:
            raise bad("event", "is needed: the key of a stored event", "GET /api/v1/events lists keys")
        event = _event(request, key)
        recipient = request.query_params.get("recipient", "")
        return Response({"lines": notifications.explain(event.key, recipient)})


class Import(Door):
    @documented(
        "Take over a configuration of argocd-notifications",
        body=shapes.ImportRequest,
        answer=shapes.ImportReport,
        dry_run=True,
    )
    def post(self, request: Request) -> Response:
        administrators_only(request)
        document = document_of(request)
        config, secret = document.get("config_map"), document.get("secret") or {}
        if not isinstance(config, dict) or not isinstance(secret, dict):
            raise HubError("invalid", "config_map and secret are objects", "see /api/v1/docs", status=422)
        project = _text(document, "project", required=False)
        report = notifying.import_config(actor(request), config, secret, project, dry_run=self.dry_run)
        lines = [
            {
                "outcome": one.outcome,
                "key": one.key,
                "line": one.line,
                "message": one.sentence,
                "hint": one.hint,
            }
            for one in report
        ]
        return Response({"lines": lines, "dry_run": self.dry_run})
