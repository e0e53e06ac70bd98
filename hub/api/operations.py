"""Syncs and what became of them: /applications/{name}/sync and friends, /operations."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.nudging as nudging
import hub.api.shapes as shapes
from hub.api.access import person
from hub.api.applications import find
from hub.api.docs import documented
from hub.api.door import Door, document_of, rehearse
from hub.api.lists import Listing, equals, one_of, since
from hub.api.requests import actor
from hub.errors import HubError
from hub.models import SyncOperation
from hub.models.operation import UNFINISHED
from hub.services import operations, rights


def summary(operation: SyncOperation) -> dict[str, Any]:
    return {
        "id": str(operation.id),
        "number": operation.number,
        "application": operation.application.name,
        "project": operation.application.project.name,
        "kind": operation.kind,
        "phase": operation.phase,
        "initiator": operation.initiator,
        "revisions": operation.revisions,
        "message": operation.message,
        "attempt": operation.attempt,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "finished_at": operation.finished_at,
    }


def detail(operation: SyncOperation) -> dict[str, Any]:
    return summary(operation) | {
        "request": operation.request,
        "plan_digest": operation.plan_digest,
        "results": operation.results,
        "wait": operation.wait,
        "retry_at": operation.retry_at,
        "terminate_requested": operation.terminate_requested,
        "confirmed": operation.confirmed,
    }


HISTORY = Listing(
    route="history",
    sorts={"number": ("number",)},
    default="-number",
    show=summary,
    filters={"phase": one_of("phase", SyncOperation.Phase.values, "phase")},
)
LIST = Listing(
    route="operations",
    sorts={"created_at": ("created_at", "id")},
    default="-created_at",
    show=summary,
    filters={
        "application": equals("application__name"),
        "project": equals("application__project__name"),
        "phase": one_of("phase", SyncOperation.Phase.values, "phase"),
        "kind": one_of("kind", SyncOperation.Kind.values, "kind"),
        "actor": equals("initiator__name"),
        "since": since("created_at", "since"),
    },
)


def rows(request: Request) -> Any:
    joined = rights.visible_operations(person(request)).select_related("application__project")
    return joined.defer("plan", "progress", "application__memory", "application__stages")


def needed_right(request: dict[str, Any]) -> list[str]:
    """What a sync needs besides `sync`: another Revision, Replace, Force or another choice of hooks override the
    Application (AC2, sync-semantics.md 12 rule 6)."""
    asked = ("revisions", "force", "skip_hooks", "run_all_hooks", "sync_options")
    overrides = any(request.get(name) for name in asked) or request.get("strategy") == "apply"
    return ["sync", "override"] if overrides else ["sync"]


class Sync(Door):
    @documented(
        "Sync now; an equal unfinished request is joined",
        body=shapes.SyncRequest,
        answer=shapes.Operation,
        status=202,
        dry_run=True,
    )
    def post(self, request: Request, name: str) -> Response:
        app = find(request, name, "sync")
        values = operations.read_request(document_of(request) if request.data else {})
        for action in needed_right(values):
            rights.demand(person(request), action, app.project, f"application {name}")

        def ask() -> dict[str, Any]:
            operation, _ = operations.request(actor(request), app, values)
            nudging.look([app.id])
            return detail(operation)

        return Response(rehearse(ask)) if self.dry_run else Response(ask(), status=202)


class Takeover(Door):
    @documented(
        "Take over what Argo CD, another hub or another application owns and this one wants",
        body=shapes.TakeoverRequest,
        answer=shapes.Operation,
        status=202,
        dry_run=True,
    )
    def post(self, request: Request, name: str) -> Response:
        app = find(request, name, "sync")
        rights.demand(person(request), "override", app.project, f"application {name}")
        values = operations.read_takeover(document_of(request) if request.data else {})

        def ask() -> dict[str, Any]:
            operation = operations.takeover(actor(request), app, values)
            nudging.look([app.id])
            return detail(operation)

        return Response(rehearse(ask)) if self.dry_run else Response(ask(), status=202)


class Running(Door):
    @documented("The operation that runs or waits", answer=shapes.Operation)
    def get(self, request: Request, name: str) -> Response:
        app = find(request, name)
        found = rows(request).filter(application=app, phase__in=UNFINISHED).order_by("number").first()
        if found is None:
            raise HubError("no_operation", f"no operation of {name} is running", status=404)
        return Response(detail(found))

    @documented("Terminate it", answer=shapes.Operation, status=202)
    def delete(self, request: Request, name: str) -> Response:
        app = find(request, name, "sync")
        operation = operations.terminate(actor(request), app)
        nudging.look([app.id])
        return Response(detail(operation), status=202)


class Confirm(Door):
    @documented(
        "Confirm the prune, deletion or hook decision that waits",
        body=shapes.Confirmation,
        answer=shapes.Operation,
        status=202,
    )
    def post(self, request: Request, name: str) -> Response:
        app = find(request, name, "delete")
        document = document_of(request)
        digest, choice = document.get("digest", ""), document.get("choice", "")
        if (
            not isinstance(digest, str)
            or not isinstance(choice, str)
            or not digest
            or set(document) - {"digest", "choice"}
        ):
            raise HubError(
                "invalid", "the body is {digest, choice?}, both texts", "digest: see /operation, wait"
            )
        operation = operations.confirm(actor(request), app, digest, choice)
        nudging.look([app.id])
        return Response(detail(operation), status=202)


class History(Door):
    @documented("Operations of one application, newest first", listing=HISTORY, item=shapes.OperationSummary)
    def get(self, request: Request, name: str) -> Response:
        app = find(request, name)
        return Response(HISTORY.answer(request, rows(request).filter(application=app)))


class Operations(Door):
    @documented("Operations of every application you may see", listing=LIST, item=shapes.OperationSummary)
    def get(self, request: Request) -> Response:
        return Response(LIST.answer(request, rows(request)))


class OneOperation(Door):
    @documented("One operation with its results", answer=shapes.Operation)
    def get(self, request: Request, key: uuid.UUID) -> Response:
        found = rows(request).filter(id=key).first()
        if found is None:
            raise rights.NotFound("operation")
        return Response(detail(found))
