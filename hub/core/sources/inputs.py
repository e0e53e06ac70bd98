"""Input set: everything a Render can have read, recorded while it read (sources.md 3). Pure values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from hub.core.sources.spec import DirectoryOptions
from hub.core.sources.trees import File

ABSENT = "absent"


class FileInput(NamedTuple):
    """A path from the root and the object id found there, or `absent`."""

    path: str
    id: str


class ListingInput(NamedTuple):
    """A filtered file list. `tree` is the folder's tree id, where an equal id proves an equal list:
    empty if a link was followed."""

    path: str
    options: DirectoryOptions
    digest: str
    tree: str = ""


@dataclass(frozen=True, slots=True)
class InputSet:
    """`commit` is set only for revision-sensitive sources: then every commit is another input."""

    files: tuple[FileInput, ...] = ()
    listings: tuple[ListingInput, ...] = ()
    commit: str = ""

    @property
    def key(self) -> str:
        """Hex SHA-256. The tree id of a listing is a shortcut and no part of it: a README does not count."""
        parts = [
            [list(file) for file in sorted(self.files)],
            [_listing(each)[:-1] for each in sorted(self.listings, key=lambda one: one.path)],
            self.commit,
        ]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()

    def as_json(self) -> list[list[Any]]:
        rows: list[list[Any]] = [["file", *file] for file in sorted(self.files)]
        rows += [["listing", *_listing(each)] for each in self.listings]
        return [*rows, ["commit", self.commit]] if self.commit else rows

    @staticmethod
    def from_json(rows: Sequence[Sequence[Any]]) -> InputSet:
        """What `as_json` made. Raises ValueError or TypeError for anything else."""
        files = tuple(FileInput(str(row[1]), str(row[2])) for row in rows if row[0] == "file")
        listings = tuple(
            ListingInput(
                str(path), DirectoryOptions(bool(recurse), include, exclude, bool(everything)), digest, tree
            )
            for kind, path, recurse, include, exclude, everything, digest, tree in (
                row for row in rows if row[0] == "listing"
            )
            if kind
        )
        commits = [str(row[1]) for row in rows if row[0] == "commit"]
        return InputSet(files, listings, commits[0] if commits else "")


def _listing(each: ListingInput) -> list[Any]:
    options = each.options
    return [
        each.path,
        options.recurse,
        options.include,
        options.exclude,
        options.all_extensions,
        each.digest,
        each.tree,
    ]


def listing_digest(files: Iterable[File]) -> str:
    """What counts of a file list: paths, blob ids, and the links that were followed."""
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(
            "\x00".join((file.path, file.id, *file.links)).encode("utf-8", "surrogateescape") + b"\n"
        )
    return hashed.hexdigest()
