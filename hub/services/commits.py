"""What a commit says of itself, from the mirror that the pass read: nothing here asks the network (notifications.md 3.4)."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings

import hub.source as source
from hub.core.sources import RefTable
from hub.errors import SourceError
from hub.models import Application, Repository

_TAGS = "refs/tags/"
log = structlog.get_logger(__name__)


def describe(app: Application, revisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The revisions of an event with author, message (first line), date and tags, where the commit is at hand."""
    if not revisions:
        return []
    states = app.source_states.select_related("repository__project").order_by("index")
    repositories = {state.index: state.repository for state in states}
    return [
        {**one, **_said(repositories.get(at), str(one.get("sha", "")))} for at, one in enumerate(revisions)
    ]


def as_commits(revisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What `repo.GetCommitMetadata` answers from."""
    known = [one for one in revisions if one.get("author")]
    return [
        {
            "sha": one["sha"],
            "message": one["message"],
            "author": f"{one['author']} <{one['author_email']}>",
            "date": one["date"],
            "tags": one["tags"],
        }
        for one in known
    ]


def _said(repository: Repository | None, sha: str) -> dict[str, Any]:
    commit = _read(repository, sha) if repository is not None and len(sha) >= 40 else None
    if repository is None or commit is None:
        return {}
    refs = RefTable.from_json(repository.refs).refs if repository.refs else {}
    tags = sorted(
        name.removeprefix(_TAGS) for name, at in refs.items() if at == sha and name.startswith(_TAGS)
    )
    return {
        "author": commit.author.name,
        "author_email": commit.author.email,
        "message": commit.subject[:500],
        "date": commit.author.at.isoformat() if commit.author.at else "",
        "tags": tags[:20],
    }


def _read(repository: Repository, sha: str) -> source.Commit | None:
    try:
        return _commit(repository.id, sha)
    except SourceError as error:
        # An event without the author is better than none: the mirror is on another machine, or being rebuilt.
        log.info("a commit cannot be read", repository=str(repository.id), sha=sha, error=error.code)
        return None


@functools.lru_cache(maxsize=512)
def _commit(repository_id: uuid.UUID, sha: str) -> source.Commit:
    """A commit never changes, so it is read once per process."""
    access = Repository.objects.select_related("project").get(id=repository_id).access()
    mirror = source.Mirror(access, source.mirror_folder(settings.HUB_MIRROR_DIR, access), ())
    if not mirror.folder.is_dir() or not mirror.has(sha):
        raise SourceError("RevisionNotFound", f"{sha} is not in the mirror here")
    return source.commit_of(mirror, sha)
