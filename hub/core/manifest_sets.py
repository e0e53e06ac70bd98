"""ManifestSet: the ordered objects that a Render made, with a digest and a form for storage (sources.md 1, 6)."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from clusters.core.manifests import Manifest, ResourceKey, desired_hash, group_of, is_secret
from hub.core.sources.refs import SourceWarning

_FORMAT = 1
_MAX_UNPACKED = 256 * 1024 * 1024


class InvalidManifestSet(ValueError):
    """Stored bytes are no Manifest set."""


class Origin(NamedTuple):
    """Where an object was written: the number of its source (from 1) and the file, from the root."""

    source: int
    file: str


@dataclass(frozen=True, slots=True)
class ManifestSet:
    """Objects in order, one Origin for each. `digest` covers the objects alone; Secrets enter it keyed."""

    objects: tuple[Manifest, ...] = field(repr=False)
    origins: tuple[Origin, ...] = field(repr=False)
    digest: str
    warnings: tuple[SourceWarning, ...] = ()

    @property
    def holds_secret(self) -> bool:
        """Whether the stored form has to be encrypted."""
        return any(map(is_secret, self.objects))


def manifest_set(
    objects: Iterable[Manifest], origins: Iterable[Origin], key: bytes, warnings: Iterable[SourceWarning] = ()
) -> ManifestSet:
    """A set with its digest. `key` is the hub's: without it nobody can try out short Secret values."""
    found = tuple(objects)
    return ManifestSet(found, tuple(origins), digest_of(found, key), tuple(warnings))


def digest_of(objects: Sequence[Manifest], key: bytes) -> str:
    """Hex SHA-256 over the hash of each object, in order."""
    hashed = hashlib.sha256(f"manifest set {_FORMAT}\n".encode())
    for obj in objects:
        hashed.update(desired_hash(obj, key).encode())
    return hashed.hexdigest()


def join(sets: Sequence[ManifestSet], key: bytes) -> ManifestSet:
    """The sets of several sources in order; of objects with one key the last stays, with a warning RepeatedResource.

    Objects without a name (`generateName`) are all different.
    """
    last: dict[ResourceKey, int] = {}
    all_objects = [
        (obj, origin) for each in sets for obj, origin in zip(each.objects, each.origins, strict=True)
    ]
    repeated: dict[ResourceKey, None] = {}
    for position, (obj, _) in enumerate(all_objects):
        name = _key(obj)
        if name is None:
            continue
        if name in last:
            repeated[name] = None
        last[name] = position
    kept = [
        (obj, origin)
        for position, (obj, origin) in enumerate(all_objects)
        if (name := _key(obj)) is None or last[name] == position
    ]
    warnings = [warning for each in sets for warning in each.warnings]
    for name in repeated:
        origin = all_objects[last[name]][1]
        warnings.append(
            SourceWarning(
                "RepeatedResource", f"{name} appears more than once; the one in {origin.file} is used"
            )
        )
    return manifest_set([obj for obj, _ in kept], [origin for _, origin in kept], key, warnings)


def _key(obj: Manifest) -> ResourceKey | None:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        return None
    namespace = metadata.get("namespace")
    return ResourceKey(
        group_of(obj), str(obj.get("kind")), namespace if isinstance(namespace, str) else "", name
    )


def pack(manifests: ManifestSet) -> bytes:
    """The stored form: zlib over JSON with sorted keys. It holds Secrets as they are: see `holds_secret`."""
    data = {
        "format": _FORMAT,
        "digest": manifests.digest,
        "objects": manifests.objects,
        "origins": [list(origin) for origin in manifests.origins],
        "warnings": [[warning.code, warning.message] for warning in manifests.warnings],
    }
    return zlib.compress(orjson.dumps(data, option=orjson.OPT_SORT_KEYS), 6)


def unpack(stored: bytes) -> ManifestSet:
    """What `pack` made. Raises InvalidManifestSet."""
    try:
        opened = zlib.decompressobj()
        text = opened.decompress(stored, _MAX_UNPACKED)
        if opened.unconsumed_tail or not opened.eof:
            raise InvalidManifestSet("the stored set is cut off or too large")
        data = orjson.loads(text)
        if data["format"] != _FORMAT:
            raise InvalidManifestSet(f"format {data['format']} is not known")
        return ManifestSet(
            tuple(data["objects"]),
            tuple(Origin(int(source), str(file)) for source, file in data["origins"]),
            str(data["digest"]),
            tuple(SourceWarning(str(code), str(message)) for code, message in data["warnings"]),
        )
    except (zlib.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InvalidManifestSet(str(error)) from error
