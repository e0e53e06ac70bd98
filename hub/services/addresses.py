"""Which Repository serves an address for a Project: its own, else the one for everybody (sources.md 2.6)."""

from __future__ import annotations

import uuid

from django.db.models import Q, QuerySet

from hub.core.sources import RefTable, normalise_url, resolve
from hub.errors import SourceError
from hub.models import Project, Repository
from hub.services.statements import Prepared

_PLACES = ("normal_url", "project")


def _at(url: str, project: uuid.UUID) -> QuerySet[Repository]:
    return Repository.objects.filter(Q(project=project) | Q(project__isnull=True), normal_url=url)


_LISTED = Prepared(_at, *_PLACES)
# The refs of a large repository are megabytes.
_SERVING = Prepared(lambda url, project: _at(url, project).defer("refs"), *_PLACES)


def repository_for(url: str, project: Project, *, with_refs: bool = False) -> Repository | None:
    """The Repository of the Application's own Project, else the one for everybody; never another Project's."""
    rows = (_LISTED if with_refs else _SERVING).rows(normalise_url(url), project.id)
    by_owner = {row.project_id: row for row in rows}
    return by_owner.get(project.id) or by_owner.get(None)


def listed_commit(repository: Repository | None, target: str, tag_prefix: str) -> tuple[str, str]:
    """(commit, ref) that a target means by the refs that were listed last; nothing when they alone do not tell."""
    if repository is None or not repository.refs:
        return "", ""
    try:
        found = resolve(RefTable.from_json(repository.refs), target, tag_prefix)
    except SourceError:
        return "", ""
    return (found.sha, found.ref[:255]) if found.ref.startswith("refs/") else ("", "")
