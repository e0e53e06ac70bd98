"""The Git gate: from a Repository and a ref to a Revision and its files. Nothing else of the house starts Git.

May live here: listing, fetching, reading objects, what commits say. May not: what files mean (`hub.render`),
when to look (`hub.core.schedule`), records (a `RepositoryAccess` is handed in). No working tree ever exists, so
nothing of a repository can run. Git runs through `guard.child` alone, with full commit ids, in a closed
environment. `export` (files for Helm, Kustomize and plugins, sources.md 2.5) comes with the first such program.
`root` is the folder of the mirrors (`settings.HUB_MIRROR_DIR`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.core.sources import DEFAULT_LIMITS, RefTable, RepositoryAccess, Resolution, SourceLimits, resolve
from hub.errors import SourceError
from hub.source.failures import MirrorCorrupt, RefMoved
from hub.source.history import (
    Commit,
    Person,
    authors_between,
    changed_paths,
    commit_of,
    commits_between,
    diff_paths,
    is_ancestor,
)
from hub.source.listing import poll
from hub.source.mirror import Mirror, ensure, mirror_folder, remove_mirror, repack
from hub.source.objects import close_all
from hub.source.throttle import Busy
from hub.source.tree import GitTree
from hub.source.upkeep import discard, is_night, mirrors, tidy

__all__ = [
    "Busy",
    "Commit",
    "GitTree",
    "Mirror",
    "MirrorCorrupt",
    "Obtained",
    "Person",
    "RefMoved",
    "Wanted",
    "authors_between",
    "changed_paths",
    "close_all",
    "commit_of",
    "commits_between",
    "diff_paths",
    "discard",
    "ensure",
    "is_ancestor",
    "is_night",
    "mirror_folder",
    "mirrors",
    "obtain",
    "obtain_each",
    "poll",
    "remove_mirror",
    "repack",
    "tidy",
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A targetRevision as a Source writes it."""

    target_revision: str
    tag_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Obtained:
    """What `obtain` found: the RefTable it used, one Resolution per Wanted, and the mirror that holds them."""

    table: RefTable
    resolutions: tuple[Resolution, ...]
    mirror: Mirror


@dataclass(frozen=True, slots=True)
class ObtainedEach:
    """What `obtain_each` found: per Wanted its Resolution, or why there is none (always permanent)."""

    table: RefTable
    outcomes: tuple[Resolution | SourceError, ...]
    mirror: Mirror


def obtain(
    access: RepositoryAccess,
    wanted: Sequence[Wanted],
    *,
    root: Path,
    table: RefTable | None = None,
    source_limits: SourceLimits = DEFAULT_LIMITS,
    patient: bool = True,
) -> Obtained:
    """List (unless a table is given), resolve, fetch what is missing; if a ref moved meanwhile, list once more.

    Raises SourceError, also when only one of `wanted` does not exist.
    """
    found = obtain_each(access, wanted, root=root, table=table, source_limits=source_limits, patient=patient)
    resolutions = []
    for outcome in found.outcomes:
        if isinstance(outcome, SourceError):
            raise outcome
        resolutions.append(outcome)
    return Obtained(found.table, tuple(resolutions), found.mirror)


def obtain_each(
    access: RepositoryAccess,
    wanted: Sequence[Wanted],
    *,
    root: Path,
    table: RefTable | None = None,
    source_limits: SourceLimits = DEFAULT_LIMITS,
    patient: bool = True,
) -> ObtainedEach:
    """As `obtain`, with one fetch for all that exist; a target that does not is told in its place.

    Raises SourceError for what concerns the whole Repository (unreachable, refused, mirror not writable); Busy, at once
    unless `patient`, while another fetch of the mirror is under way.
    """
    extra = [each.target_revision for each in wanted if each.target_revision.startswith("refs/")]
    refs = table or poll(access, extra_refs=extra, source_limits=source_limits)
    nothing = Mirror(access, mirror_folder(root, access), (), source_limits)

    def outcomes_now() -> tuple[Resolution | SourceError, ...]:
        return tuple(_outcome(refs, each, nothing) for each in wanted)

    outcomes = outcomes_now()
    try:
        return ObtainedEach(refs, outcomes, _ensure(nothing, outcomes, root, patient))
    except RefMoved:
        refs = poll(access, extra_refs=extra, source_limits=source_limits)
        outcomes = outcomes_now()
    except SourceError as error:
        if error.code != "RevisionNotFound":
            raise
    outcomes = tuple(_alone(nothing, outcome, root, patient) for outcome in outcomes)
    return ObtainedEach(refs, outcomes, _ensure(nothing, outcomes, root, patient))


def _outcome(refs: RefTable, wanted: Wanted, mirror: Mirror) -> Resolution | SourceError:
    try:
        return resolve(
            refs,
            wanted.target_revision,
            wanted.tag_prefix,
            url=mirror.access.url,
            find_commits=mirror.find_commits,
        )
    except SourceError as error:
        return error


def _ensure(
    mirror: Mirror, outcomes: Sequence[Resolution | SourceError], root: Path, patient: bool
) -> Mirror:
    good = [each for each in outcomes if isinstance(each, Resolution)]
    if not good:
        return mirror
    return ensure(mirror.access, good, root=root, source_limits=mirror.limits, patient=patient)


def _alone(
    mirror: Mirror, outcome: Resolution | SourceError, root: Path, patient: bool
) -> Resolution | SourceError:
    """Fetch one Revision by itself, so that the one that cannot be had is known."""
    try:
        _ensure(mirror, [outcome], root, patient)
    except RefMoved as error:
        raise SourceError(
            "RepositoryUnavailable", f"the refs moved while they were fetched: {error}", permanent=False
        ) from error
    except SourceError as error:
        if error.code != "RevisionNotFound":
            raise
        return error
    return outcome
