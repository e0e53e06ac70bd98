"""/projects: fences around Applications. Owners change the words and the members, the platform team the rules (PR18)."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.changes as changes
import hub.api.shapes as shapes
from hub.api.access import person
from hub.api.docs import documented
from hub.api.door import Door, document_of, etag, expected_generation, flag, merged, not_modified, rehearse
from hub.api.lists import Listing, prefix, truth
from hub.api.requests import actor
from hub.api.selectors import labels
from hub.errors import HubError
from hub.models import Project
from hub.services import fences, projects, rights

READONLY = ("generation", "archived", "created_at", "affected", "dry_run")


def summary(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "description": project.description,
        "labels": project.labels,
        "archived": project.archived,
        "generation": project.generation,
    }


def detail(project: Project) -> dict[str, Any]:
    return projects.document(project) | {
        "archived": project.archived,
        "generation": project.generation,
        "created_at": project.created_at,
    }


LIST = Listing(
    route="projects",
    sorts={"name": ("name",)},
    default="name",
    show=summary,
    filters={
        "q": prefix("name"),
        "selector": labels("labels"),
        "archived": truth("archived", Q(archived=True)),
    },
)


def find(request: Request, name: str, action: str = "get") -> Project:
    """The Project, if the caller may do this to it. Raises NotFound or Forbidden."""
    project = rights.visible_projects(person(request)).filter(name=name).first()
    if project is None:
        raise rights.NotFound("project")
    rights.demand(person(request), action, project, f"project {name}")
    return project


class Projects(Door):
    @documented("List projects", listing=LIST, item=shapes.ProjectSummary)
    def get(self, request: Request) -> Response:
        return Response(LIST.answer(request, rights.visible_projects(person(request))))

    @documented(
        "Create a project", body=shapes.ProjectDocument, answer=shapes.Project, status=201, dry_run=True
    )
    def post(self, request: Request) -> Response:
        if not person(request).is_superuser:
            raise rights.Forbidden("create", "projects")
        document = document_of(request, READONLY)

        def create() -> dict[str, Any]:
            return detail(projects.create(actor(request), document))

        if self.dry_run:
            return Response(rehearse(create))
        answer = create()
        return Response(answer, status=201, headers=etag(answer["generation"]))


class OneProject(Door):
    @documented("One project", answer=shapes.Project)
    def get(self, request: Request, name: str) -> Response:
        project = find(request, name)
        if not_modified(request, project.generation):
            return Response(status=304, headers=etag(project.generation))
        return Response(detail(project), headers=etag(project.generation))

    @documented(
        "Replace a project", body=shapes.ProjectDocument, answer=shapes.Project, match=True, dry_run=True
    )
    def put(self, request: Request, name: str) -> Response:
        return self._change(request, name)

    @documented(
        "Change a project (JSON merge patch)",
        body=shapes.ProjectPatch,
        answer=shapes.Project,
        match=True,
        dry_run=True,
    )
    def patch(self, request: Request, name: str) -> Response:
        return self._change(request, name)

    def _change(self, request: Request, name: str) -> Response:
        project = find(request, name, "update")
        generation = expected_generation(
            request, project.generation, changes.since("project", name, project.generation)
        )
        document = merged(request, projects.document(project), READONLY)
        widens = (document.get("rules") or {}) != project.rules
        if widens and not person(request).is_superuser:
            raise HubError(
                "forbidden",
                f"you may not change the rules of project {name}: that needs `clusters, update` and"
                " `repositories, update` on what is added",
                "ask a platform administrator",
                status=403,
            )
        affected = fences.would_break(project, document.get("rules") or {}) if widens else []

        def change() -> dict[str, Any]:
            stored = projects.update(
                actor(request),
                project,
                document,
                accept_invalid=flag(request, "accept_invalid") or self.dry_run,
                expected_generation=generation,
            )
            return detail(stored)

        if self.dry_run:
            return Response(rehearse(change) | {"affected": affected})
        answer = change()
        return Response(answer, headers=etag(answer["generation"]))

    @documented("Delete an empty project", status=204)
    def delete(self, request: Request, name: str) -> Response:
        project = find(request, name, "delete")
        if not person(request).is_superuser:
            raise rights.Forbidden("delete", f"project {name}", name)
        if self.dry_run:
            rehearse(lambda: {"deleted": projects.delete(actor(request), project)})
        else:
            projects.delete(actor(request), project)
        return Response(status=204)
