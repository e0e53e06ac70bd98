"""/applications: what should run where. Documents in, summaries and status out."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.changes as changes
import hub.api.nudging as nudging
import hub.api.shapes as shapes
from hub.api.access import person
from hub.api.docs import documented
from hub.api.door import Door, document_of, etag, expected_generation, flag, merged, not_modified, rehearse
from hub.api.lists import Listing, bad, equals, one_of, prefix, since, truth
from hub.api.requests import actor
from hub.api.selectors import labels
from hub.core.sources import normalise_url
from hub.core.switches import is_automated
from hub.models import Application, SourceState, SyncOperation
from hub.reconcile.previewing import preview_deletion
from hub.services import applications, rights
from hub.services.documents import InvalidDocument

READONLY = ("generation", "status", "created_at", "updated_at", "deletion_requested_at", "dry_run")
SYNC = ("Synced", "OutOfSync", "Unknown")
HEALTH = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")
FULL_PAGE = 50
# Sources and conditions are short lists; JSON lists cannot be searched alike on both databases.
PLACES = range(4)


def summary(app: Application) -> dict[str, Any]:
    """At most about 600 bytes (AP5)."""
    return {
        "name": app.name,
        "project": app.project.name,
        "cluster": app.cluster.name,
        "namespace": app.destination_namespace,
        "sync": app.sync_status,
        "health": app.health_status,
        "phase": app.operation_phase,
        "auto_sync": is_automated(app.sync_policy),
        "revision": (app.revisions or [""])[0],
        "conditions": [str(condition.get("type", "")) for condition in app.conditions[:5]],
        "generation": app.generation,
        "updated_at": app.updated_at,
    }


def detail(app: Application) -> dict[str, Any]:
    return applications.document(app) | {
        "generation": app.generation,
        "created_at": app.created_at,
        "updated_at": app.updated_at,
        "deletion_requested_at": app.deletion_requested_at,
        "status": {
            "sync": app.sync_status,
            "health": app.health_status,
            "health_message": app.health_message,
            "phase": app.operation_phase,
            "conditions": app.conditions,
            "revisions": app.revisions,
            "synced_revisions": app.synced_revisions,
            "counts": app.counts,
            "gate": app.gate,
            "observed_generation": app.observed_generation,
            "status_at": app.status_at,
            "next_look_at": app.next_look_at,
        },
    }


def _repository(value: str) -> Q:
    """By address in any of its forms, or by the id of a Repository."""
    try:
        return Q(Exists(SourceState.objects.filter(application=OuterRef("pk"), repository=uuid.UUID(value))))
    except ValueError:
        known = SourceState.objects.filter(
            application=OuterRef("pk"), repository__normal_url=normalise_url(value)
        )
        return Q(Exists(known))


def _in_list(column: str, key: str = "") -> Any:
    end = f"__{key}" if key else ""

    def condition(value: str) -> Q:
        found = Q()
        for place in PLACES:
            found |= Q(**{f"{column}__{place}{end}": value})
        return found

    return condition


# What is not said about `enabled` counts as yes; a comparison with what is missing would be neither true nor false.
AUTOMATED = (
    Q(sync_policy__automated__isnull=False)
    & ~Q(sync_policy__automated=None)
    & (Q(sync_policy__automated__enabled__isnull=True) | Q(sync_policy__automated__enabled=True))
)
LIST = Listing(
    route="applications",
    sorts={"name": ("name",), "sync": ("sync_status", "name"), "health": ("health_status", "name")},
    default="name",
    show=summary,
    filters={
        "project": equals("project__name"),
        "cluster": equals("cluster__name"),
        "destination_namespace": equals("destination_namespace"),
        "repository": _repository,
        "path": _in_list("sources", "path"),
        "sync": one_of("sync_status", SYNC, "sync"),
        "health": one_of("health_status", HEALTH, "health"),
        "phase": one_of("operation_phase", SyncOperation.Phase.values, "phase"),
        "auto_sync": truth("auto_sync", AUTOMATED),
        "drifted": truth("drifted", Q(sync_status="OutOfSync")),
        "condition": _in_list("conditions", "type"),
        "selector": labels("labels"),
        "q": prefix("name"),
        "revision": _in_list("revisions"),
        "updated_since": since("updated_at", "updated_since"),
    },
    others=frozenset({"view"}),
)


def visible(request: Request) -> QuerySet[Application]:
    return rights.visible_applications(person(request)).select_related("project", "cluster")


def find(request: Request, name: str, action: str = "get") -> Application:
    """The Application, if the caller may do this to it. Raises NotFound or Forbidden."""
    app = visible(request).filter(name=name).first()
    if app is None:
        raise rights.NotFound("application")
    rights.demand(person(request), action, app.project, f"application {name}")
    return app


def demand_create(request: Request, document: dict[str, Any]) -> None:
    """The right to create in the Project that the document names; a hidden Project is a missing one (B3)."""
    name = document.get("project")
    project = (
        rights.visible_projects(person(request)).filter(name=name).first() if isinstance(name, str) else None
    )
    if name and project is None:
        raise InvalidDocument({"project": ["names no project that you may see"]})
    if project is not None:
        rights.demand(person(request), "create", project, f"applications in project {project.name}")


def may_create_somewhere(request: Request) -> None:
    """Whoever may create nothing anywhere learns nothing about documents either."""
    if not rights.owned_projects(person(request)).exists():
        raise rights.Forbidden("create", "applications")


class Applications(Door):
    @documented(
        "List applications",
        listing=LIST,
        item=shapes.ApplicationSummary,
        also={"view": "summary or full (50 rows)"},
    )
    def get(self, request: Request) -> Response:
        view = request.query_params.get("view", "summary")
        if view not in {"summary", "full"}:
            raise bad("view", "must be summary or full")
        rows = visible(request).defer("memory", "stages")
        if view == "full":
            return Response(LIST.answer(request, rows, show=detail, most=FULL_PAGE))
        return Response(LIST.answer(request, rows.only(*SUMMARY_COLUMNS)))

    @documented(
        "Create an application",
        body=shapes.ApplicationDocument,
        answer=shapes.Application,
        status=201,
        dry_run=True,
    )
    def post(self, request: Request) -> Response:
        document = document_of(request, READONLY)
        may_create_somewhere(request)
        demand_create(request, document)
        return _created(request, document, dry_run=self.dry_run)


SUMMARY_COLUMNS = (
    "name",
    "project__name",
    "cluster__name",
    "destination_namespace",
    "sync_status",
    "health_status",
    "operation_phase",
    "sync_policy",
    "revisions",
    "conditions",
    "generation",
    "updated_at",
)


DELETION_APPROVED = "argocd.argoproj.io/deletion-approved"


def _approves_deletions(document: dict[str, Any]) -> Any:
    annotations = document.get("annotations")
    return annotations.get(DELETION_APPROVED, "") if isinstance(annotations, dict) else ""


def _created(request: Request, document: dict[str, Any], *, dry_run: bool) -> Response:
    def create() -> dict[str, Any]:
        app = applications.create(actor(request), document)
        nudging.look([app.id])
        nudging.poll(_due_repositories(app))
        return detail(app)

    if dry_run:
        return Response(rehearse(create))
    answer = create()
    return Response(answer, status=201, headers=etag(answer["generation"]))


def _due_repositories(app: Application) -> list[uuid.UUID]:
    states = app.source_states.filter(repository__isnull=False, repository__next_poll_at__lte=timezone.now())
    return list(states.values_list("repository", flat=True).distinct())


class OneApplication(Door):
    @documented("One application with its status", answer=shapes.Application)
    def get(self, request: Request, name: str) -> Response:
        app = find(request, name)
        if not_modified(request, app.generation):
            return Response(status=304, headers=etag(app.generation))
        return Response(detail(app), headers=etag(app.generation))

    @documented(
        "Replace an application; with If-None-Match: * create it",
        body=shapes.ApplicationDocument,
        answer=shapes.Application,
        match=True,
        dry_run=True,
    )
    def put(self, request: Request, name: str) -> Response:
        if request.headers.get("If-None-Match") == "*":
            document = {"name": name, **document_of(request, READONLY)}
            may_create_somewhere(request)
            demand_create(request, document)
            if document["name"] != name:
                raise InvalidDocument({"name": ["differs from the address"]})
            return _created(request, document, dry_run=self.dry_run)
        return self._change(request, name)

    @documented(
        "Change an application (JSON merge patch)",
        body=shapes.ApplicationPatch,
        answer=shapes.Application,
        match=True,
        dry_run=True,
    )
    def patch(self, request: Request, name: str) -> Response:
        return self._change(request, name)

    def _change(self, request: Request, name: str) -> Response:
        app = find(request, name, "update")
        generation = expected_generation(
            request, app.generation, changes.since("application", name, app.generation)
        )
        document = merged(request, applications.document(app), READONLY)
        if _approves_deletions(document) != app.annotations.get(DELETION_APPROVED, ""):
            # The annotation confirms prunes, so it needs the right to delete (sync-semantics.md 4.2).
            rights.demand(person(request), "delete", app.project, f"application {name}")
        if document.get("project") != app.project.name:
            # Moving needs `update` on the old and `create` on the new Project (AC2, B2).
            demand_create(request, document)

        def change() -> dict[str, Any]:
            stored = applications.update(actor(request), app, document, expected_generation=generation)
            nudging.look([stored.id])
            nudging.poll(_due_repositories(stored))
            return detail(stored)

        if self.dry_run:
            return Response(rehearse(change))
        answer = change()
        return Response(answer, headers=etag(answer["generation"]))

    @documented(
        "Delete: ?mode=cascade deletes its objects first, ?mode=detach leaves them",
        answer=shapes.Application,
        status=202,
        dry_run=True,
        also={
            "mode": "cascade or detach; without it the application's on_delete",
            "propagation": "foreground (default) or background",
            "crds": "names of CustomResourceDefinitions that go, too, with commas between them: they stay otherwise",
        },
    )
    def delete(self, request: Request, name: str) -> Response:
        app = find(request, name, "delete")
        mode = request.query_params.get("mode", "") or app.on_delete
        crds = [crd for crd in request.query_params.get("crds", "").split(",") if crd]

        def remove() -> dict[str, Any]:
            propagation = request.query_params.get("propagation", "")
            applications.request_deletion(actor(request), app, mode, propagation=propagation, crds=crds)
            app.refresh_from_db()
            nudging.look([app.id])
            return detail(app)

        if self.dry_run:
            return Response(rehearse(remove) | {"deletion": preview_deletion(app, mode, crds)})
        return Response(remove(), status=202)


class Refresh(Door):
    @documented(
        "Ask the repositories now and compare; ?hard=true also renders anew",
        answer=shapes.ApplicationSummary,
        status=202,
        also={"hard": "true: forget what was rendered"},
    )
    def post(self, request: Request, name: str) -> Response:
        hard = flag(request, "hard")
        app = find(request, name, "sync" if hard else "get")
        applications.refresh(actor(request), app, hard=hard)
        nudging.poll(
            list(app.source_states.filter(repository__isnull=False).values_list("repository", flat=True))
        )
        nudging.look([app.id])
        return Response(summary(app), status=202)
