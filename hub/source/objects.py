"""Git objects by id: one long-lived `cat-file --batch` per mirror, trees parsed here and kept by id (sources.md 2.4)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from guard.child import ChildFailed, Turn, Worker
from hub.core.sources import is_full_id
from hub.core.sources.trees import Entry, Kind
from hub.errors import SourceError
from hub.source.failures import MirrorCorrupt
from hub.source.process import READ_S, batch

Folder = dict[str, Entry]

_CACHE_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 320  # what one parsed entry occupies, measured
_COMMITS = 1024
_MAX_WORKERS = 32
_IDS_PER_ROUND = 500  # their requests fit into a pipe, so neither side waits for the other
_KINDS: dict[bytes, tuple[Kind, bool]] = {
    b"100644": ("file", False),
    b"100664": ("file", False),
    b"100755": ("file", True),
    b"40000": ("folder", False),
    b"120000": ("link", False),
    b"160000": ("submodule", False),
}


class Raw(NamedTuple):
    """One object as Git keeps it."""

    id: str
    type: str
    content: bytes


class TooLarge(Exception):
    """An object (or all of one request together) is larger than allowed. `size` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes")
        self.size = size


class ObjectMissing(Exception):
    """The mirror has no object of that id."""


class _FolderCache:
    """Parsed trees by (mirror, id), least recently used out first, bounded by what they occupy."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._kept: OrderedDict[tuple[str, str], tuple[Folder, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, mirror: str, tree_id: str) -> Folder | None:
        with self._lock:
            found = self._kept.get((mirror, tree_id))
            if found is None:
                return None
            self._kept.move_to_end((mirror, tree_id))
            return found[0]

    def put(self, mirror: str, tree_id: str, folder: Folder) -> None:
        size = _ENTRY_BYTES * (len(folder) + 1)
        with self._lock:
            if (mirror, tree_id) in self._kept or size > self._limit:
                return
            self._kept[mirror, tree_id] = (folder, size)
            self._used += size
            while self._used > self._limit:
                _, (_, freed) = self._kept.popitem(last=False)
                self._used -= freed


_folders = _FolderCache(_CACHE_BYTES)
_commits: OrderedDict[tuple[Path, str], Raw] = OrderedDict()
_workers: OrderedDict[Path, Worker] = OrderedDict()
_workers_lock = threading.Lock()


def _worker(folder: Path) -> Worker:
    with _workers_lock:
        worker = _workers.pop(folder, None) or batch(folder)
        _workers[folder] = worker
        spare = [_workers.popitem(last=False)[1] for _ in range(len(_workers) - _MAX_WORKERS)]
    for old in spare:
        old.close()
    return worker


def forget(folder: Path) -> None:
    """End the reader of a mirror that is about to be replaced, and what it is known to hold."""
    with _workers_lock:
        worker = _workers.pop(folder, None)
        for known in [key for key in _commits if key[0] == folder]:
            del _commits[known]
    if worker:
        worker.close()


def close_all() -> None:
    """End every reader; for the end of a process and of a test."""
    with _workers_lock:
        workers = list(_workers.values())
        _workers.clear()
        _commits.clear()
    for worker in workers:
        worker.close()


class Objects:
    """Reads the objects of one mirror. Safe for threads; readers are shared by all threads of a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.requests = 0

    def read(self, ids: Sequence[str], *, each: int, together: int) -> Iterator[Raw]:
        """The objects in the order of `ids`. Raises ObjectMissing, TooLarge, MirrorCorrupt."""
        if not all(map(is_full_id, ids)):
            raise ObjectMissing("not a full object id")
        left = together
        for start in range(0, len(ids), _IDS_PER_ROUND):
            found = self._round(ids[start : start + _IDS_PER_ROUND], each, left)
            left -= sum(len(raw.content) for raw in found)
            yield from found

    def _round(self, ids: Sequence[str], each: int, together: int) -> list[Raw]:
        self.requests += len(ids)
        found: list[Raw] = []
        missing = ""
        try:
            with _worker(self._folder).turn(READ_S) as turn:
                turn.write("".join(f"{each_id}\n" for each_id in ids).encode())
                for wanted in ids:
                    raw = _one(turn, wanted, each, together)
                    if raw is None:
                        missing = missing or wanted
                    else:
                        together -= len(raw.content)
                        found.append(raw)
        except ChildFailed as error:
            if error.timed_out:
                raise SourceError(
                    "RepositoryUnavailable", "reading the mirror took too long", permanent=False
                ) from error
            words = error.stderr.decode("utf-8", "replace")[-300:]
            raise MirrorCorrupt(f"{error.reason} {words}".strip()) from error
        if missing:
            raise ObjectMissing(missing)
        return found

    def one(self, object_id: str, limit: int) -> Raw:
        """One object. Raises ObjectMissing, TooLarge, MirrorCorrupt."""
        return next(self.read([object_id], each=limit, together=limit))

    def commit(self, sha: str, limit: int) -> Raw:
        """As `one`; every application of a Repository asks for the same few commits, so those are kept."""
        with _workers_lock:
            known = _commits.get((self._folder, sha))
        if known is not None:
            return known
        found = self.one(sha, limit)
        if found.type == "commit":
            with _workers_lock:
                _commits[self._folder, sha] = found
                while len(_commits) > _COMMITS:
                    _commits.popitem(last=False)
        return found

    def folders(self, ids: Sequence[str], limit: int) -> list[Folder]:
        """Parsed trees in the order of `ids`; those not kept are read together."""
        name = str(self._folder)
        known = {tree_id: _folders.get(name, tree_id) for tree_id in ids}
        unknown = [tree_id for tree_id, folder in known.items() if folder is None]
        for raw in self.read(unknown, each=limit, together=4 * limit):
            if raw.type != "tree":
                raise MirrorCorrupt(f"{raw.id} is no tree")
            parsed = known[raw.id] = parse_tree(raw)
            _folders.put(name, raw.id, parsed)
        return [folder for tree_id in ids if (folder := known[tree_id]) is not None]


def _one(turn: Turn, wanted: str, each: int, together: int) -> Raw | None:
    """Read one answer. Leaving early by an exception ends the child, so nothing large is ever read."""
    header = turn.read_line(256).decode("ascii", "replace").split(" ")
    if len(header) == 2 and header[1] == "missing":
        return None
    if len(header) != 3 or header[0] != wanted or not header[2].isdigit():
        raise MirrorCorrupt(f"unexpected answer for {wanted}")
    size = int(header[2])
    if size > each or size > together:
        raise TooLarge(size)
    content = turn.read(size + 1)
    return Raw(wanted, header[1], content[:-1])


def parse_tree(raw: Raw) -> Folder:
    """A raw tree object: `<mode> <name>\\0<id>` in a row. Raises MirrorCorrupt, SourceError for hostile names."""
    folder: Folder = {}
    content, width, position = raw.content, len(raw.id) // 2, 0
    while position < len(content):
        end = content.find(b"\0", position)
        mode, _, name = content[position:end].partition(b" ")
        position = end + 1 + width
        if end < 0 or position > len(content):
            raise MirrorCorrupt(f"{raw.id} is no tree")
        kind, executable = _KINDS.get(mode.lstrip(b"0") or b"0", ("file", False))
        if name in (b"", b".", b"..") or b"/" in name or name.lower() == b".git":
            raise SourceError(
                "OutOfBoundsPath", "a folder holds an entry with a forbidden name (., .., .git or /)"
            )
        folder[name.decode("utf-8", "surrogateescape")] = Entry(
            kind, content[end + 1 : position].hex(), executable
        )
    return folder
