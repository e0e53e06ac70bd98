"""The directory tool: plain YAML and JSON files of one folder (sources.md 4.3)."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, NamedTuple

import orjson

from clusters.core import manifests
from clusters.core.manifests import Manifest, ManifestError
from hub.core.manifest_sets import Origin
from hub.core.sources import DirectoryOptions, SourceLimits, SourceWarning, limit_error
from hub.core.sources.inputs import ListingInput, listing_digest
from hub.core.sources.trees import File, Tree
from hub.errors import SourceError

DuplicateKeys = Literal["error", "warn"]

_EXTENSIONS = (".yaml", ".yml", ".json", ".jsonnet")
_PARSED_BYTES = 32 * 1024 * 1024


class Parsed(NamedTuple):
    """What the files of a directory source gave."""

    objects: list[Manifest]
    origins: list[Origin]
    warnings: list[SourceWarning]


def list_files(tree: Tree, path: str, options: DirectoryOptions) -> tuple[list[File], ListingInput]:
    """The files a directory source reads, and the input they are. Raises SourceError."""
    include, exclude = options.include_glob, options.exclude_glob

    def ignored(name: str) -> bool:
        return exclude is not None and exclude.matches(_text(name))

    def wanted(name: str) -> bool:
        if not options.all_extensions and not name.endswith(_EXTENSIONS):
            return False
        return not ignored(name) and (include is None or include.matches(_text(name)))

    found = tree.listing(path, recurse=options.recurse, wanted=wanted, ignored=ignored)
    folder = tree.entry(path)
    shortcut = folder.id if folder and not found.linked else ""
    return found.files, ListingInput(path, options, listing_digest(found.files), shortcut)


def _text(name: str) -> str:
    """Patterns work on text; a name that is not UTF-8 is matched with its odd bytes replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_files(
    tree: Tree,
    path: str,
    files: Sequence[File],
    *,
    source_number: int,
    limits: SourceLimits,
    duplicate_keys: DuplicateKeys = "error",
) -> Parsed:
    """The objects of listed files, in order. Raises SourceError: InvalidManifest, LimitExceeded, ToolMissing, ..."""
    found = Parsed([], [], [])
    bounds = manifests.Limits(
        file_bytes=limits.max_file_bytes,
        object_bytes=limits.max_object_bytes,
        documents=limits.max_documents,
        objects=limits.max_objects,
    )
    for file, data in zip(
        files,
        tree.contents(files, file_limit=limits.max_file_bytes, total_limit=limits.max_bytes),
        strict=True,
    ):
        whole = _text(f"{path}/{file.path}" if path else file.path)
        if whole.endswith(".jsonnet"):
            raise SourceError(
                "ToolMissing", f"{whole}: Jsonnet is not supported yet", "exclude the file for now"
            )
        objects, warnings = _parsed(whole, data, duplicate_keys, bounds)
        found.objects.extend(objects)
        found.origins.extend([Origin(source_number, whole)] * len(objects))
        found.warnings.extend(warnings)
        if len(found.objects) > limits.max_objects:
            raise limit_error("the source holds more objects", f"{limits.max_objects:,}", "max_objects")
    return found


def _parsed(
    path: str, data: bytes, duplicate_keys: DuplicateKeys, bounds: manifests.Limits
) -> tuple[list[Manifest], list[SourceWarning]]:
    """The manifests of one file; what was parsed once is kept as JSON under the digest of its content."""
    kind = f"{path.endswith('.json')} {duplicate_keys} {bounds}"
    key = hashlib.sha256(kind.encode() + b"\0" + data).digest()
    kept = _kept.get(key)
    if kept is not None:
        objects: list[Manifest] = orjson.loads(kept)
        return objects, []
    try:
        file = manifests.manifests_of_file(path, data, duplicate_keys=duplicate_keys, limits=bounds)
    except ManifestError as error:
        raise SourceError(error.code, str(error), error.hint) from error
    if not file.warnings:
        _kept.put(key, manifests.canonical_json(list(file.objects)))
    return list(file.objects), [SourceWarning(warning.code, str(warning)) for warning in file.warnings]


class _Kept:
    """JSON by digest, least recently used out first. Content is the key, so no Repository can speak for another."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._entries: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        with self._lock:
            if key in self._entries or len(value) > self._limit // 4:
                return
            self._entries[key] = value
            self._used += len(value) + 200
            while self._used > self._limit:
                _, freed = self._entries.popitem(last=False)
                self._used -= len(freed) + 200


_kept = _Kept(_PARSED_BYTES)
