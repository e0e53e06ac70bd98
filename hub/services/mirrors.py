"""The mirrors of this host: packed once a day, kept for what is tracked and deployed, removed with their Repository."""

from __future__ import annotations

import uuid

import structlog
from django.conf import settings
from django.db import close_old_connections

import hub.source as source
from hub.errors import SourceError
from hub.models import Application, Repository, SourceState, SyncOperation

log = structlog.get_logger(__name__)


def tend() -> None:
    """Tidy up after killed processes; once a day also pack what has grown and remove what nobody has any more."""
    root = settings.HUB_MIRROR_DIR
    source.tidy(root)
    if not source.is_night(root):
        return
    for name in source.mirrors(root):
        try:
            _tend(name)
        except (SourceError, source.MirrorCorrupt) as error:
            # The next poll that needs it builds it again; the others are tended all the same.
            log.warning("a mirror could not be tended", mirror=name, error=str(error)[:300])


def _tend(name: str) -> None:
    root = settings.HUB_MIRROR_DIR
    named = _id(name)
    if named is None:
        return  # not made by us: never touched
    repository = Repository.objects.select_related("project").filter(id=named).first()
    if repository is None:
        source.discard(root, name)
        return
    commits, refs = _deployed(repository), _tracked(repository)
    mirror = source.Mirror(
        repository.access(), source.mirror_folder(root, repository.access()), (), settings.HUB_SOURCE_LIMITS
    )
    close_old_connections()
    mirror.keep(commits, refs)
    if mirror.packs() > 1:
        source.repack(mirror)


def _id(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None


def _tracked(repository: Repository) -> set[str]:
    return set(repository.source_states.exclude(ref_name="").values_list("ref_name", flat=True))


def _deployed(repository: Repository) -> set[str]:
    """Every commit that is wanted, deployed, held, or named by the history of an Application that reads it."""
    found = set[str]()
    for wanted, revision in SourceState.objects.filter(repository=repository).values_list(
        "wanted", "revision"
    ):
        found |= {wanted, revision}
    apps = Application.objects.filter(source_states__repository=repository)
    for revisions, synced, pin in apps.values_list("revisions", "synced_revisions", "pin").iterator():
        found |= {*revisions, *synced, *(pin or {}).get("revisions", ())}
    history = SyncOperation.objects.filter(application__in=apps).order_by()
    for revisions in history.values_list("revisions", flat=True).iterator():
        found.update(revisions)
    return {sha for sha in found if isinstance(sha, str) and sha}
