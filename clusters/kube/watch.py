"""One watch request: lines of a long answer as events, whatever their size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp
import msgspec
import orjson

import clusters.errors as errors
from clusters.core.discovery import KindInfo
from clusters.kube.answers import Answer, error_of
from clusters.kube.objects import Event, Meta, Seen, read_event, read_meta, read_object
from clusters.kube.requests import Gate, path_of
from clusters.kube.tuning import tuning

INITIAL_END = "k8s.io/initial-events-end"


@dataclass(slots=True)
class Opened:
    """The server took the watch."""


@dataclass(slots=True)
class Bookmark:
    """How far the stream is. `initial_end`: everything that exists has been sent."""

    version: str
    initial_end: bool


@dataclass(slots=True)
class Change:
    """`type` is ADDED, MODIFIED or DELETED; a DELETED object is the last one that matched the selector."""

    type: str
    seen: Seen


async def watch(
    gate: Gate,
    info: KindInfo,
    namespace: str = "",
    *,
    selector: str = "",
    version: str = "",
    initial: bool = False,
) -> AsyncIterator[Opened | Bookmark | Change]:
    """Events from `version` on, or (`initial`) first all that exists, then a Bookmark with initial_end, then events.

    Ends when the server ends it (300 to 600 s). Gone: list anew. Any other ClusterError: the connection is lost,
    events so far are good.
    """
    query = {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(_lifetime()),
    } | ({"labelSelector": selector} if selector else {})
    if initial:
        query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    else:
        query["resourceVersion"] = version
    path = f"{path_of(info, namespace)}?{urlencode(query)}"
    async with gate.session.stream(path, verb="watch") as response:
        yield Opened()
        try:
            async for line in lines(response):
                yield _read(line, info)
                gate.session.heard()
        except (msgspec.DecodeError, KeyError) as problem:
            raise errors.Unavailable(
                f"the watch of {info.kind} sent something unreadable: {problem}"
            ) from None


def _lifetime() -> int:
    numbers = tuning()
    return int(numbers.watch_least + (numbers.watch_most - numbers.watch_least) * numbers.jitter())


async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a stream; they can be megabytes, so chunks are gathered and joined once."""
    begun: list[bytes] = []
    async for chunk in response.content.iter_any():
        if b"\n" not in chunk:
            begun.append(chunk)
            continue
        first, *rest = chunk.split(b"\n")
        yield b"".join([*begun, first])
        begun = [rest.pop()]
        for line in rest:
            yield line


def _read(line: bytes, info: KindInfo) -> Bookmark | Change:
    event: Event = read_event(line)
    if event.type == "BOOKMARK":
        meta: Meta = read_meta(event.object)
        return Bookmark(meta.resourceVersion, INITIAL_END in (meta.annotations or {}))
    if event.type == "ERROR":
        told = bytes(event.object)
        raise error_of(Answer(int(orjson.loads(told).get("code") or 500), {}, told))
    return Change(event.type, read_object(event.object, info.group, info.kind, info.api_version))
