"""/repositories: where manifests come from. Credentials go in and never come out."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.changes as changes
import hub.api.nudging as nudging
import hub.api.shapes as shapes
from hub.api.access import administrators_only, person
from hub.api.docs import documented
from hub.api.door import Door, document_of, etag, expected_generation, not_modified, rehearse
from hub.api.lists import Listing, one_of
from hub.api.requests import actor
from hub.core.sources import normalise_url, shown
from hub.models import Project, Repository
from hub.services import repositories, rights
from hub.services.documents import InvalidDocument

STATES = ("Unknown", "Connected", "Failed")
READONLY = [
    "id",
    "credential_kind",
    "state",
    "error",
    "refs_count",
    "checked_at",
    "next_poll_at",
    "generation",
    "created_at",
    "dry_run",
]


def summary(repository: Repository) -> dict[str, Any]:
    return {
        "id": str(repository.id),
        "url": shown(repository.url),
        "project": repository.project.name if repository.project else "",
        "credential_kind": repository.credential_kind,
        "state": repository.state,
        "error": _error(repository),
        "checked_at": repository.checked_at,
        "generation": repository.generation,
    }


def _error(repository: Repository) -> dict[str, str] | None:
    if not repository.error_code:
        return None
    return {"code": repository.error_code, "message": repository.error_message}


def detail(repository: Repository) -> dict[str, Any]:
    refs = (repository.refs or {}).get("refs") or {}
    return summary(repository) | {
        "username": repository.username,
        "known_hosts": repository.known_hosts,
        "ca_pem": repository.ca_pem,
        "client_certificate_pem": repository.client_certificate_pem,
        "refs_count": len(refs),
        "next_poll_at": repository.next_poll_at,
        "created_at": repository.created_at,
    }


def _project_filter(value: str) -> Q:
    return Q(project__name=value)


LIST = Listing(
    route="repositories",
    sorts={"url": ("url", "id")},
    default="url",
    show=summary,
    filters={
        "project": _project_filter,
        "state": one_of("state", STATES, "state"),
        "url": lambda value: Q(normal_url=normalise_url(value)),
        "q": lambda value: Q(url__icontains=value[:200]),
    },
)


def find(request: Request, key: uuid.UUID, action: str = "get") -> Repository:
    """The Repository, if the caller may do this to it. Raises NotFound or Forbidden."""
    rows = rights.visible_repositories(person(request)).select_related("project")
    repository = rows.filter(id=key).first()
    if repository is None:
        raise rights.NotFound("repository")
    rights.demand(person(request), action, repository.project, f"repository {shown(repository.url)}")
    return repository


def demand_project(request: Request, document: dict[str, Any], what: str) -> None:
    """The caller may make this in the Project it names; without one it is for the platform team."""
    name = document.get("project")
    if not name:
        return administrators_only(request)
    project = (
        rights.visible_projects(person(request)).filter(name=name).first() if isinstance(name, str) else None
    )
    if project is None:
        raise InvalidDocument({"project": ["names no project that you may see"]})
    return rights.demand(person(request), "create", project, what)


class Repositories(Door):
    @documented("List repositories", listing=LIST, item=shapes.RepositorySummary)
    def get(self, request: Request) -> Response:
        rows = rights.visible_repositories(person(request)).select_related("project").defer("refs")
        return Response(LIST.answer(request, rows))

    @documented(
        "Register a repository",
        body=shapes.RepositoryDocument,
        answer=shapes.Repository,
        status=201,
        dry_run=True,
    )
    def post(self, request: Request) -> Response:
        document = document_of(request, tuple(READONLY))
        demand_project(request, document, "repositories of this project")
        stored: list[Repository] = []

        def create() -> dict[str, Any]:
            stored.append(repositories.create(actor(request), document))
            return detail(stored[-1])

        if self.dry_run:
            return Response(rehearse(create))
        answer = create()
        nudging.poll([stored[0].id])
        return Response(answer, status=201, headers=etag(stored[0].generation))


class OneRepository(Door):
    @documented("One repository", answer=shapes.Repository)
    def get(self, request: Request, key: uuid.UUID) -> Response:
        repository = find(request, key)
        if not_modified(request, repository.generation):
            return Response(status=304, headers=etag(repository.generation))
        return Response(detail(repository), headers=etag(repository.generation))

    @documented(
        "Change a repository; an absent credential is kept, null removes it",
        body=shapes.RepositoryPatch,
        answer=shapes.Repository,
        match=True,
        dry_run=True,
    )
    def patch(self, request: Request, key: uuid.UUID) -> Response:
        repository = find(request, key, "update")
        document = document_of(request, tuple(READONLY))
        generation = expected_generation(
            request, repository.generation, changes.since("repository", repository.url, repository.generation)
        )
        moved: Project | None = repository.project
        if "project" in document and (document["project"] or "") != (moved.name if moved else ""):
            demand_project(request, document, "repositories of this project")

        def change() -> dict[str, Any]:
            return detail(
                repositories.update(actor(request), repository, document, expected_generation=generation)
            )

        if self.dry_run:
            return Response(rehearse(change))
        answer = change()
        nudging.poll([repository.id])
        return Response(answer, headers=etag(answer["generation"]))

    @documented("Remove a repository that no application uses", status=204)
    def delete(self, request: Request, key: uuid.UUID) -> Response:
        repository = find(request, key, "delete")
        if self.dry_run:
            rehearse(lambda: {"deleted": repositories.delete(actor(request), repository)})
        else:
            repositories.delete(actor(request), repository)
        return Response(status=204)


class RepositoryProbe(Door):
    @documented("Poll it now", answer=shapes.RepositorySummary, status=202)
    def post(self, request: Request, key: uuid.UUID) -> Response:
        repository = find(request, key, "update")
        repositories.poll_now(actor(request), repository)
        nudging.poll([repository.id])
        return Response(summary(repository), status=202)
