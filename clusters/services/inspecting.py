"""What people look at in a cluster: one object, lists of a few namespaces, an object's Events, a container's log.

Nothing is cached or watched: this is asked when a person looks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

import clusters.errors as errors
from clusters.core.connection import Connection
from clusters.core.discovery import KindInfo
from clusters.core.manifests import Manifest, ResourceKey
from clusters.errors import ClusterError
from clusters.kube import loop, requests
from clusters.kube.gate import gate_of
from clusters.kube.requests import Gate
from clusters.kube.tuning import tuning
from clusters.kube.watch import lines

Kind = tuple[str, str]
# Of these only names and owners are of interest: their contents stay where they are.
_METADATA_ONLY = frozenset({("", "Secret"), ("", "ConfigMap")})
LONGEST_LOG = 5_000
_LOG_BYTES = 16 * 1024 * 1024
_QUIET_LOG = 3600.0
_EVENTS_LIVE, _EVENTS_PAUSE = 300, 1.0


@dataclass(slots=True)
class Lists:
    """Objects by key (of Secrets and ConfigMaps the metadata), and why a kind could not be listed."""

    objects: dict[ResourceKey, Manifest] = field(default_factory=dict)
    errors: dict[Kind, ClusterError] = field(default_factory=dict)


def list_in(
    connection: Connection, kinds: Iterable[Kind], namespaces: Collection[str], *, metadata_only: bool = False
) -> Lists:
    """All objects of these namespaced kinds in these namespaces (those that the Connection permits), one LIST each."""
    return loop.run(_list_in(connection, list(kinds), namespaces, metadata_only))


async def _list_in(
    connection: Connection, kinds: list[Kind], namespaces: Collection[str], metadata_only: bool
) -> Lists:
    gate, found = gate_of(connection), Lists()
    permitted = [space for space in namespaces if not connection.namespaces or space in connection.namespaces]
    await asyncio.gather(
        *(
            _list_one(gate, found, kind, space, metadata_only or kind in _METADATA_ONLY)
            for kind in kinds
            for space in permitted
        )
    )
    return found


async def _list_one(gate: Gate, found: Lists, kind: Kind, namespace: str, metadata_only: bool) -> None:
    try:
        info: KindInfo = await gate.catalogue.find(*kind)
        items, _ = await requests.list_space(gate, info, namespace, metadata_only=metadata_only)
    except ClusterError as error:
        found.errors[kind] = error
        return
    for seen in items:
        # A metadata-only list calls everything PartialObjectMetadata.
        found.objects[seen.key] = {**seen.manifest(), "apiVersion": info.api_version, "kind": info.kind}


def events_of(connection: Connection, obj: Manifest) -> list[Manifest]:
    """The core Events that speak of this very object (by uid), newest last. Raises ClusterError."""
    return loop.run(_events_of(connection, obj))


async def _events_of(connection: Connection, obj: Manifest) -> list[Manifest]:
    path, query = await _events_path(connection, obj)
    events, _ = await _list_events(connection, path, query)
    return events


async def _events_path(connection: Connection, obj: Manifest) -> tuple[str, dict[str, str]]:
    metadata = obj["metadata"]
    info = await gate_of(connection).catalogue.find("", "Event")
    path = requests.path_of(info, str(metadata.get("namespace") or "default"))
    return path, {"fieldSelector": f"involvedObject.uid={metadata['uid']}"}


async def _list_events(
    connection: Connection, path: str, query: dict[str, str]
) -> tuple[list[Manifest], str]:
    """Events, newest last, and the version of their list."""
    url = f"{path}?{urlencode({**query, 'limit': '500'})}"
    answer = await gate_of(connection).session.request(
        "GET", url, verb="list", user=connection.impersonate_user
    )
    body = answer.json()
    version = str((body.get("metadata") or {}).get("resourceVersion") or "")
    return sorted(body.get("items") or (), key=_moment), version


def _moment(event: Manifest) -> str:
    for name in ("lastTimestamp", "eventTime", "firstTimestamp"):
        if event.get(name):
            return str(event[name])
    return str(event["metadata"].get("creationTimestamp") or "")


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which lines of which container. `tail` lines at most, from the end; `since` seconds ago; `previous`: of the
    container before its last restart."""

    pod: ResourceKey
    container: str = ""
    tail: int = 500
    since: int | None = None
    follow: bool = False
    previous: bool = False
    timestamps: bool = False

    def query(self) -> dict[str, str]:
        asked: dict[str, Any] = {"tailLines": min(self.tail, LONGEST_LOG), "container": self.container}
        asked["sinceSeconds"] = self.since
        asked |= {name: "true" for name in ("follow", "previous", "timestamps") if getattr(self, name)}
        if not self.follow:
            asked["limitBytes"] = _LOG_BYTES
        return {name: str(value) for name, value in asked.items() if value not in (None, "")}


class Stream:
    """Something being read, chunk by chunk, from any event loop or thread; the reader sets the pace."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self._first: bytes | None = None

    async def open(self) -> None:
        """Wait until the cluster agrees. Raises ClusterError, so that a door can still refuse."""
        self._first = await self._next()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        chunk = self._first
        while chunk is not None:
            if chunk:
                yield chunk
            chunk = await self._next()

    async def _next(self) -> bytes | None:
        return await asyncio.wrap_future(loop.submit(anext_or_none(self._chunks)))

    async def close(self) -> None:
        await asyncio.wrap_future(loop.submit(self._chunks.aclose()))


class Log(Stream):
    """The log of a container."""

    def __init__(self, connection: Connection, asked: LogRequest) -> None:
        super().__init__(_chunks(connection, asked))


class EventFeed(Stream):
    """The core Events of one object, those that are there and then each as it comes; `say` makes a chunk of one."""

    def __init__(self, connection: Connection, obj: Manifest, say: Callable[[Manifest], bytes]) -> None:
        super().__init__(_told(connection, obj, say))


async def anext_or_none(chunks: Any) -> bytes | None:
    try:
        found: bytes = await anext(chunks)
    except StopAsyncIteration:
        return None
    return found


async def _chunks(connection: Connection, asked: LogRequest) -> Any:
    """An empty chunk first, as soon as the cluster agreed; then what comes. Runs on the loop of the gate."""
    gate = gate_of(connection)
    path = await requests.path_to(gate, asked.pod, subresource="log")
    opened = gate.session.stream(
        f"{path}?{urlencode(asked.query())}",
        verb="log",
        accept="*/*",
        user=connection.impersonate_user,
        silence=_QUIET_LOG,
    )
    async with opened as response:
        yield b""
        with contextlib.suppress(errors.Unavailable):  # a log that breaks off has ended
            async for chunk in response.content.iter_any():
                yield chunk


async def _told(connection: Connection, obj: Manifest, say: Callable[[Manifest], bytes]) -> Any:
    """List, then watch from there; listed anew when the version lapsed. Each version of an Event is told once."""
    path, query = await _events_path(connection, obj)
    told: dict[str, str] = {}
    while True:
        events, version = await _list_events(connection, path, query)
        yield b""
        for event in events:
            if chunk := _new(told, event, say):
                yield chunk
        more = {**query, "watch": "1", "resourceVersion": version, "timeoutSeconds": str(_EVENTS_LIVE)}
        opened = gate_of(connection).session.stream(
            f"{path}?{urlencode(more)}",
            verb="watch",
            user=connection.impersonate_user,
            silence=2 * _EVENTS_LIVE,
        )
        try:
            async with opened as response:
                async for line in lines(response):
                    change = orjson.loads(line)
                    if change["type"] not in ("ADDED", "MODIFIED"):
                        break  # gone, or the version lapsed: the next list tells
                    if chunk := _new(told, change["object"], say):
                        yield chunk
        except errors.Gone:
            pass
        except errors.Unavailable:
            return  # the cluster is away: whoever looks asks again
        await tuning().sleep(_EVENTS_PAUSE)


def _new(told: dict[str, str], event: Manifest, say: Callable[[Manifest], bytes]) -> bytes:
    metadata = event["metadata"]
    uid, version = str(metadata.get("uid")), str(metadata.get("resourceVersion"))
    if told.get(uid) == version:
        return b""
    told[uid] = version
    return say(event)
