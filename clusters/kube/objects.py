"""Objects as they come off the wire: metadata typed, the rest left as JSON text until somebody wants it.

managedFields are about half of an object and are dropped here (api-server-facts.md 5). What is kept is a copy of
its own: nothing refers to the big buffers of a list or a watch.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from clusters.core.manifests import TRACKING_ANNOTATION, Manifest, ResourceKey

_COMPRESS_FROM = 2048


class Meta(msgspec.Struct):
    """The part of `metadata` that is looked at without decoding the object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""
    annotations: dict[str, str] | None = None


class ListMeta(msgspec.Struct):
    resourceVersion: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """One page of a LIST; items carry neither apiVersion nor kind."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


class Event(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


@dataclass(slots=True)
class Seen:
    """One object as last seen. `owner` is the first part of its tracking id, empty without one."""

    key: ResourceKey
    uid: str
    resource_version: str
    owner: str
    raw: bytes
    compressed: bool = False

    def manifest(self) -> Manifest:
        """The object as a new dict, without managedFields."""
        value: Manifest = orjson.loads(zlib.decompress(self.raw) if self.compressed else self.raw)
        return value

    @property
    def size(self) -> int:
        return len(self.raw)


_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_meta = msgspec.json.Decoder(Meta)
_page = msgspec.json.Decoder(Page)
_event = msgspec.json.Decoder(Event)
_encode = msgspec.json.Encoder().encode


def read_page(body: bytes) -> Page:
    return _page.decode(body)


def read_event(line: bytes) -> Event:
    return _event.decode(line)


def read_meta(raw: msgspec.Raw) -> Meta:
    return _meta.decode(_parts.decode(raw)["metadata"])


def read_object(raw: msgspec.Raw | bytes, group: str, kind: str, api_version: str) -> Seen:
    """An object of a known kind from its JSON text. msgspec.DecodeError when it is none."""
    parts = _parts.decode(raw)
    metadata = _parts.decode(parts["metadata"])
    meta = _meta.decode(parts["metadata"])
    metadata.pop("managedFields", None)
    whole: dict[str, Any] = {"apiVersion": api_version, "kind": kind, **parts, "metadata": metadata}
    return _seen(meta, _encode(whole), group, kind)


def seen_of(obj: Manifest) -> Seen:
    """The same from a dict (the answer of a write)."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    group = obj["apiVersion"].rpartition("/")[0]
    meta = msgspec.convert(metadata, Meta)
    return _seen(meta, orjson.dumps({**obj, "metadata": metadata}), group, obj["kind"])


def _seen(meta: Meta, raw: bytes, group: str, kind: str) -> Seen:
    compressed = len(raw) >= _COMPRESS_FROM
    return Seen(
        key=ResourceKey(group, kind, meta.namespace, meta.name),
        uid=meta.uid,
        resource_version=meta.resourceVersion,
        owner=owner_of(meta.annotations),
        raw=zlib.compress(raw, 1) if compressed else raw,
        compressed=compressed,
    )


def owner_of(annotations: dict[str, str] | None) -> str:
    """Whom the tracking id names: its text before the first colon (sync-semantics.md 5.1)."""
    return (annotations or {}).get(TRACKING_ANNOTATION, "").partition(":")[0]
