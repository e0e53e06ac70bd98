"""Which files and documents are manifests: the rules of a directory source and of program output (sources.md 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clusters.core.manifests.build import DuplicateKeys
from clusters.core.manifests.canonical import canonical_json
from clusters.core.manifests.documents import Value, decode, read_values
from clusters.core.manifests.errors import DEFAULT_LIMITS, Limits, ManifestError, ManifestWarning
from clusters.core.manifests.keys import Manifest, metadata_map

SKIP_MARKER = b"+argocd:skip-file-rendering"


@dataclass(frozen=True, slots=True)
class FileManifests:
    """The objects of one file, lists expanded; `skipped` says why a file holds none."""

    objects: tuple[Manifest, ...] = field(default=(), repr=False)
    warnings: tuple[ManifestWarning, ...] = ()
    skipped: str = ""


def manifests_of_file(
    path: str, data: bytes, *, duplicate_keys: DuplicateKeys = "error", limits: Limits = DEFAULT_LIMITS
) -> FileManifests:
    """The manifests of one file of a directory source; not for `.jsonnet`. Raises ManifestError.

    A YAML file that does not look like manifests (a value file, a template) is skipped, never an error.
    """
    if len(data) > limits.file_bytes:
        message = f"is {len(data):,} bytes long, limit {limits.file_bytes:,} (HUB_MANIFEST_MAX_BYTES)"
        raise ManifestError(message, code="LimitExceeded", path=path)
    if SKIP_MARKER in data:
        return FileManifests(skipped="carries the marker +argocd:skip-file-rendering")
    if path.endswith(".json"):
        return _json_file(path, data, duplicate_keys, limits)
    try:
        values, warnings = read_values(data, path=path, duplicate_keys=duplicate_keys, limits=limits)
    except ManifestError as error:
        if error.code == "LimitExceeded" or _looks_like_manifests(data, path):
            raise
        return FileManifests(skipped="is no manifest")
    if not any(_has_kind(v.value) for v in values) and not _looks_like_manifests(data, path):
        return FileManifests(skipped="is no manifest" if values else "is empty")
    return FileManifests(_objects(values, path, limits), tuple(warnings))


def manifests_of_output(
    data: bytes, *, path: str = "", duplicate_keys: DuplicateKeys = "warn", limits: Limits = DEFAULT_LIMITS
) -> FileManifests:
    """The manifests a program printed: every document must be one. Raises ManifestError."""
    values, warnings = read_values(data, path=path, duplicate_keys=duplicate_keys, limits=limits)
    return FileManifests(_objects(values, path, limits), tuple(warnings))


def expand_lists(obj: Manifest) -> list[Manifest]:
    """An object whose top-level `items` is a list stands for its items (one level). Raises ManifestError."""
    items = obj.get("items")
    if isinstance(items, list):
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict) or not item.get("kind"):
                raise ManifestError(f"item {number} of {obj.get('kind') or 'the list'} has no kind")
            if isinstance(item.get("items"), list):
                raise ManifestError(f"item {number} of {obj.get('kind') or 'the list'} is itself a list")
        return items
    if "items" in obj and items is None and "spec" not in obj and "status" not in obj:
        return []
    return [obj]


def text_problem(obj: Manifest) -> str:
    """The sentence about a label or annotation that is not text (null counts as empty text); empty when all are."""
    metadata = obj.get("metadata")
    for name in ("labels", "annotations"):
        written = metadata.get(name) if isinstance(metadata, dict) else None
        if written is not None and not isinstance(written, dict):
            return f"metadata.{name} must be a map, found {_shape(written)}"
        for key, value in metadata_map(obj, name).items():
            if value is not None and not isinstance(value, str):
                return f"metadata.{name}.{key} must be text, found {_shape(value)}"
    return ""


def _json_file(path: str, data: bytes, duplicate_keys: DuplicateKeys, limits: Limits) -> FileManifests:
    values, warnings = read_values(data, path=path, duplicate_keys=duplicate_keys, limits=limits)
    if len(values) != 1 or not isinstance(values[0].value, dict):
        raise ManifestError("a JSON file must hold exactly one object", path=path, line=1)
    if not {"apiVersion", "kind", "metadata"} & values[0].value.keys():
        return FileManifests(skipped="is no manifest")
    return FileManifests(_objects(values, path, limits), tuple(warnings))


def _objects(values: Iterable[Value], path: str, limits: Limits) -> tuple[Manifest, ...]:
    objects: list[Manifest] = []
    for item in values:
        if problem := _document_problem(item):
            raise ManifestError(problem, path=path, line=item.line, document=item.number)
        try:
            found = expand_lists(item.value)
        except ManifestError as error:
            raise ManifestError(error.message, path=path, line=item.line, document=item.number) from None
        for obj in found:
            if problem := text_problem(obj) or _size_problem(obj, limits):
                code = "LimitExceeded" if "HUB_" in problem else "InvalidManifest"
                raise ManifestError(problem, code=code, path=path, line=item.line, document=item.number)
        objects += found
        if len(objects) > limits.objects:
            message = f"holds more than {limits.objects:,} objects (HUB_MAX_OBJECTS)"
            raise ManifestError(message, code="LimitExceeded", path=path, line=item.line)
    return tuple(objects)


def _document_problem(item: Value) -> str:
    if not isinstance(item.value, dict):
        return f"document {item.number} is {_shape(item.value)}, not an object"
    missing = next((name for name in ("kind", "apiVersion") if not isinstance(item.value.get(name), str)), "")
    return f"document {item.number} has no {missing}" if missing else ""


def _size_problem(obj: Manifest, limits: Limits) -> str:
    size = len(canonical_json(obj))
    if size <= limits.object_bytes:
        return ""
    name = (obj.get("metadata") or {}).get("name", "")
    return f"{obj.get('kind')} {name} is {size:,} bytes long, limit {limits.object_bytes:,} (HUB_OBJECT_MAX_BYTES)"


def _looks_like_manifests(data: bytes, path: str) -> bool:
    try:
        text = decode(data, path)
    except ManifestError:
        text = data.decode(errors="replace")
    return "apiVersion:" in text and "kind:" in text and "metadata:" in text


def _has_kind(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("apiVersion")) and bool(value.get("kind"))


def _shape(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"number {value}"
    return "a list" if isinstance(value, list) else "a map" if isinstance(value, dict) else "a single value"
