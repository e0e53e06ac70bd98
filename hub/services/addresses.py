"""Which Repository serves an address for a Project: its own, else the one for everybody (sources.md 2.6)."""

from __future__ import annotations

from django.db.models import Q

from hub.core.sources import normalise_url
from hub.models import Project, Repository
from hub.services.statements import Prepared

_SERVING = Prepared(
    lambda url, project: Repository.objects.filter(
        Q(project=project) | Q(project__isnull=True), normal_url=url
    ),
    "normal_url",
    "project",
)


def repository_for(url: str, project: Project) -> Repository | None:
    """The Repository of the Application's own Project, else the one for everybody; never another Project's."""
    rows = {row.project_id: row for row in _SERVING.rows(normalise_url(url), project.id)}
    return rows.get(project.id) or rows.get(None)
