"""The Git gate: from a Repository and a ref to a Revision and its files. Nothing else of the house starts Git.

May live here: listing, fetching, reading objects, what commits say. May not: what files mean (`hub.render`),
when to look (`hub.core.schedule`), records (a `RepositoryAccess` is handed in). No working tree ever exists, so
nothing of a repository can run. Git runs through `guard.child` alone, with full commit ids, in a closed
environment. `root` is the folder of the mirrors (`settings.HUB_MIRROR_DIR`).
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
)
from hub.source.listing import poll
from hub.source.mirror import Mirror, ensure, mirror_folder, remove_mirror, repack
from hub.source.objects import close_all
from hub.source.tree import GitTree

__all__ = [
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
    "ensure",
    "mirror_folder",
    "obtain",
    "poll",
    "remove_mirror",
    "repack",
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


def obtain(
    access: RepositoryAccess,
    wanted: Sequence[Wanted],
    *,
    root: Path,
    table: RefTable | None = None,
    source_limits: SourceLimits = DEFAULT_LIMITS,
) -> Obtained:
    """List (unless a table is given), resolve, fetch what is missing; if a ref moved meanwhile, list once more.

    Raises SourceError.
    """
    extra = [each.target_revision for each in wanted if each.target_revision.startswith("refs/")]
    for attempt in (1, 2):
        refs = (
            table
            if table is not None and attempt == 1
            else poll(access, extra_refs=extra, source_limits=source_limits)
        )
        known = Mirror(access, mirror_folder(root, access), (), source_limits)
        found = tuple(
            resolve(
                refs, each.target_revision, each.tag_prefix, url=access.url, find_commits=known.find_commits
            )
            for each in wanted
        )
        try:
            return Obtained(refs, found, ensure(access, found, root=root, source_limits=source_limits))
        except RefMoved as error:
            moved = error
        except MirrorCorrupt as error:
            raise SourceError(
                "RepositoryUnavailable", f"the mirror cannot be built: {error}", permanent=False
            ) from error
    raise SourceError(
        "RepositoryUnavailable", f"the refs moved while they were fetched: {moved}", permanent=False
    ) from moved
