"""What a tree of files offers to those who render it; `hub.source` reads Git, tests may read a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

Kind = Literal["file", "folder", "link", "submodule"]


class Entry(NamedTuple):
    """One entry of a folder. `id` is the Git object id: equal ids mean equal content."""

    kind: Kind
    id: str
    executable: bool = False


class File(NamedTuple):
    """One file of a listing. `path` is relative to the listed folder; `links` are the ids of links on the way."""

    path: str
    id: str
    links: tuple[str, ...] = ()


class Listing(NamedTuple):
    """The files found, and whether a link was followed on the way (then equal tree ids prove nothing)."""

    files: list[File]
    linked: bool


class Tree(Protocol):
    """The files of one Revision, by path from the root, `/` between the parts, "" for the root.

    Links inside the tree are followed; one that leads out of it raises SourceError OutOfBoundsPath, an entry that
    is a submodule SubmoduleNotSupported, a limit LimitExceeded.
    """

    @property
    def commit(self) -> str:
        """The full commit id."""
        ...

    @property
    def id(self) -> str:
        """The id of the root tree."""
        ...

    def entry(self, path: str) -> Entry | None:
        """What lies at a path after all links are followed, or None."""
        ...

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file. Raises SourceError: PathNotFound, LFSPointer, LimitExceeded above `limit` bytes."""
        ...

    def listing(
        self, path: str, *, recurse: bool, wanted: Callable[[str], bool], ignored: Callable[[str], bool]
    ) -> Listing:
        """The wanted files below a folder in byte order of their path. Links that are `ignored` are not followed."""
        ...

    def contents(self, files: Sequence[File], *, file_limit: int, total_limit: int) -> Iterator[bytes]:
        """The contents of listed files, in order, read together."""
        ...
