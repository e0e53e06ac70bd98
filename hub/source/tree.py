"""The files of one Revision, read from a mirror without a checkout; links are resolved here (sources.md 2.4, 2.5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from hub.core.sources import SourceLimits, limit_error
from hub.core.sources.limits import megabytes
from hub.core.sources.trees import Entry, File, Listing
from hub.errors import SourceError
from hub.source.failures import MirrorCorrupt
from hub.source.objects import Folder, ObjectMissing, Objects, TooLarge

_MAX_HOPS = 16
_MAX_PARENTS = 5_000
_MAX_LINK_BYTES = 4096
_T = TypeVar("_T")
_LFS = b"version https://git-lfs.github.com/spec/"


class _Found(NamedTuple):
    """Where a walk ended: the entry, its real path (no links in it), the ids of the links it went through."""

    entry: Entry
    path: tuple[str, ...]
    links: tuple[str, ...]


class _Visit(NamedTuple):
    """A folder that a listing still has to read: its path as listed and as it really is."""

    shown: str
    real: tuple[str, ...]
    id: str
    links: tuple[str, ...]
    depth: int


@dataclass(frozen=True)
class GitTree:
    """`hub.core.sources.trees.Tree` over one commit of a mirror."""

    commit: str
    id: str
    objects: Objects
    limits: SourceLimits
    heal: Callable[[], None]
    _parents: dict[tuple[str, ...], Folder] = field(default_factory=dict, compare=False, repr=False)

    def entry(self, path: str) -> Entry | None:
        parts = _parts(path)
        folder = self._parents.get(tuple(parts[:-1])) if parts else None
        if folder is not None and parts[-1] != "..":
            entry = folder.get(parts[-1])
            if entry is None or entry.kind != "link":
                return entry
        found = self._walk(parts, path)
        if folder is None and parts and ".." not in parts:
            self._remember(parts[:-1], path)
        return found.entry if found else None

    def _remember(self, parents: list[str], shown: str) -> None:
        """Keep the folder that was just asked about: its other files are asked about next."""
        found = self._walk(parents, shown)
        if found and found.entry.kind == "folder" and len(self._parents) < _MAX_PARENTS:
            self._parents[tuple(parents)] = self.folders([found.entry.id])[0]

    def read(self, path: str, limit: int) -> bytes:
        entry = self.entry(path)
        if entry is None:
            raise _missing(path, self.commit)
        if entry.kind != "file":
            raise _wrong_kind(path, entry)
        return next(self.contents([File(path, entry.id)], file_limit=limit, total_limit=limit))

    def listing(
        self, path: str, *, recurse: bool, wanted: Callable[[str], bool], ignored: Callable[[str], bool]
    ) -> Listing:
        start = self._walk(_parts(path), path)
        if start is None:
            raise _missing(path, self.commit)
        if start.entry.kind != "folder":
            raise _wrong_kind(path, start.entry)
        return _Lister(self, path, recurse, wanted, ignored).run(
            _Visit("", start.path, start.entry.id, start.links, 0)
        )

    def contents(self, files: Sequence[File], *, file_limit: int, total_limit: int) -> Iterator[bytes]:
        ids = [file.id for file in files]
        try:
            found = self._healing(lambda: list(self.objects.read(ids, each=file_limit, together=total_limit)))
        except TooLarge as error:
            raise _too_large(error.size, file_limit, total_limit) from error
        for file, raw in zip(files, found, strict=True):
            if raw.content.startswith(_LFS):
                raise SourceError(
                    "LFSPointer", f"{file.path} is a Git LFS pointer", "LFS is not supported yet"
                )
            yield raw.content

    def folders(self, ids: Sequence[str]) -> list[Folder]:
        try:
            return self._healing(lambda: self.objects.folders(ids, self.limits.max_tree_object_bytes))
        except TooLarge as error:
            limit = megabytes(self.limits.max_tree_object_bytes)
            raise limit_error(
                f"a folder is {megabytes(error.size)}", limit, "max_tree_object_bytes"
            ) from error

    def _healing(self, work: Callable[[], _T]) -> _T:
        """What is reachable from a fetched commit is there; if not, the mirror is built again, once."""
        try:
            return work()
        except (MirrorCorrupt, ObjectMissing):
            self.heal()
        try:
            return work()
        except (MirrorCorrupt, ObjectMissing) as error:
            raise SourceError(
                "RepositoryUnavailable", f"the mirror cannot be read: {error}", permanent=False
            ) from error

    def _walk(self, parts: Sequence[str], shown: str, base: tuple[str, ...] = ()) -> _Found | None:
        """Follow `parts` from the folder `base` (a real path), through links, never out of the tree."""
        pending, real, links = [*base, *parts], list[str](), list[str]()
        stack = [Entry("folder", self.id)]
        while pending:
            part = pending.pop(0)
            if part == "..":
                if not real:
                    raise _out_of_bounds(shown)
                real.pop()
                stack.pop()
                continue
            if stack[-1].kind != "folder":
                return None
            entry = self.folders([stack[-1].id])[0].get(part)
            if entry is None:
                return None
            if entry.kind == "link":
                links.append(entry.id)
                if len(links) > _MAX_HOPS:
                    raise _out_of_bounds(shown)
                pending = [*self._target(entry, shown), *pending]
            elif entry.kind == "submodule" and pending:
                raise SourceError("SubmoduleNotSupported", f"{'/'.join([*real, part])} is a submodule")
            else:
                real.append(part)
                stack.append(entry)
        return _Found(stack[-1], tuple(real), tuple(links))

    def _target(self, link: Entry, shown: str) -> list[str]:
        try:
            raw = self._healing(lambda: self.objects.one(link.id, _MAX_LINK_BYTES))
        except TooLarge as error:
            raise _out_of_bounds(shown) from error
        text = raw.content.decode("utf-8", "surrogateescape")
        if text.startswith("/") or not text:
            raise _out_of_bounds(shown)
        return _parts(text)


class _Lister:
    """One listing with its caps: entries, seconds, depth, path length."""

    def __init__(
        self,
        tree: GitTree,
        base: str,
        recurse: bool,
        wanted: Callable[[str], bool],
        ignored: Callable[[str], bool],
    ) -> None:
        self.tree = tree
        self.base = base
        self.recurse = recurse
        self.wanted = wanted
        self.ignored = ignored
        self.entries = 0
        self.linked = False
        self.deadline = time.monotonic() + tree.limits.max_listing_seconds
        self.files: list[File] = []
        self.next: list[_Visit] = []

    def run(self, start: _Visit) -> Listing:
        level = [start]
        while level:
            self.next = []
            for first in range(0, len(level), 200):
                part = level[first : first + 200]
                for visit, folder in zip(part, self.tree.folders([visit.id for visit in part]), strict=True):
                    self._folder(visit, folder)
            level = self.next
        files = sorted(self.files, key=lambda file: file.path.encode("utf-8", "surrogateescape"))
        return Listing(files, self.linked)

    def _folder(self, visit: _Visit, folder: Folder) -> None:
        limits = self.tree.limits
        self.entries += len(folder)
        if self.entries > limits.max_entries:
            raise limit_error("the source lists more entries", f"{limits.max_entries:,}", "max_entries")
        if time.monotonic() > self.deadline:
            raise limit_error(
                "listing takes longer", f"{limits.max_listing_seconds:g} s", "max_listing_seconds"
            )
        for name, entry in folder.items():
            path = f"{visit.shown}/{name}" if visit.shown else name
            if entry.kind == "folder":
                self._enter(path, (*visit.real, name), entry.id, visit.links, visit.depth)
            elif entry.kind == "file":
                self._take(path, entry.id, visit.links)
            elif entry.kind == "link":
                self._link(path, name, visit)
            elif self.recurse and not self.ignored(path):
                raise SourceError("SubmoduleNotSupported", f"{_join(self.base, path)} is a submodule")

    def _link(self, path: str, name: str, visit: _Visit) -> None:
        if not self.wanted(path) and (not self.recurse or self.ignored(path)):
            return
        self.linked = True
        found = self.tree._walk([name], _join(self.base, path), visit.real)
        if found is None:
            if self.wanted(path):
                raise SourceError(
                    "PathNotFound", f"{_join(self.base, path)} points to a file that does not exist"
                )
            return
        links = visit.links + found.links
        if found.entry.kind == "file":
            self._take(path, found.entry.id, links)
        elif found.entry.kind == "folder" and self.recurse:
            if visit.real[: len(found.path)] == found.path:
                raise _out_of_bounds(_join(self.base, path))
            self._enter(path, found.path, found.entry.id, links, visit.depth)
        elif found.entry.kind == "submodule" and self.recurse:
            raise SourceError("SubmoduleNotSupported", f"{_join(self.base, path)} is a submodule")

    def _enter(
        self, path: str, real: tuple[str, ...], tree_id: str, links: tuple[str, ...], depth: int
    ) -> None:
        if not self.recurse:
            return
        limits = self.tree.limits
        if depth + 1 > limits.max_depth:
            raise limit_error("folders are nested deeper", str(limits.max_depth), "max_depth")
        self._check_length(path)
        self.next.append(_Visit(path, real, tree_id, links, depth + 1))

    def _take(self, path: str, blob_id: str, links: tuple[str, ...]) -> None:
        if not self.wanted(path):
            return
        self._check_length(path)
        self.files.append(File(path, blob_id, links))

    def _check_length(self, path: str) -> None:
        limits = self.tree.limits
        raw = _join(self.base, path).encode("utf-8", "surrogateescape")
        if len(raw) > limits.max_path_bytes:
            raise limit_error("a path is longer", f"{limits.max_path_bytes:,} B", "max_path_bytes")
        if len(raw.rpartition(b"/")[2]) > limits.max_name_bytes:
            raise limit_error("a file name is longer", f"{limits.max_name_bytes} B", "max_name_bytes")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _join(base: str, path: str) -> str:
    return f"{base}/{path}" if base else path


def _too_large(size: int, file_limit: int, total_limit: int) -> SourceError:
    if size > file_limit:
        return limit_error(f"a manifest file is {megabytes(size)}", megabytes(file_limit), "max_file_bytes")
    return limit_error(
        f"manifest files are more than {megabytes(total_limit)}", megabytes(total_limit), "max_bytes"
    )


def _missing(path: str, commit: str) -> SourceError:
    return SourceError("PathNotFound", f'path "{path}" does not exist at {commit[:7]}', "check path")


def _wrong_kind(path: str, entry: Entry) -> SourceError:
    if entry.kind == "submodule":
        return SourceError("SubmoduleNotSupported", f"{path} is a submodule")
    return SourceError("PathNotFound", f'path "{path}" is a {entry.kind}', "name a folder")


def _out_of_bounds(path: str) -> SourceError:
    return SourceError(
        "OutOfBoundsPath", f"{path} points outside the repository", "links must stay inside the repository"
    )
