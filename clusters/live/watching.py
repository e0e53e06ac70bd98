"""The watch loops: streaming list where the server has it, paged list else; resumed, relisted, backed off.

One task per kind and namespace. A kind is complete only after a finished list, and a 410 takes that back until the
next one is finished (sync-semantics.md 7.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import clusters.errors as errors
import clusters.live.store as store
from clusters.core.connection import Connection
from clusters.core.discovery import KindInfo
from clusters.core.manifests import MANAGED_BY_LABEL, ResourceKey
from clusters.errors import ClusterError
from clusters.kube import loop, requests
from clusters.kube.gate import gate_of
from clusters.kube.requests import Gate
from clusters.kube.tuning import tuning
from clusters.kube.watch import Bookmark, Change, Opened, watch
from clusters.live.store import ClusterStore, Listener, Space, Watched

logger = logging.getLogger(__name__)

Kind = tuple[str, str]
_SHORTEST_STREAM = 1.0
_no_streaming_list: set[str] = set()


def watch_cluster(
    connection: Connection, hub_id: str, kinds: Iterable[Kind], *, unlabelled: Collection[Kind] = ()
) -> None:
    """Watch exactly these kinds of the cluster from now on: started, ended and restarted as needed.

    `kinds` by the label `gitops-hub.io/managed-by=<hub_id>`; `unlabelled` all objects of them (autoscalers). A newer
    generation of the Connection, or another hub id, begins anew. Returns at once; `freshness` tells how far it is.
    """

    async def work() -> None:
        _settle(connection, hub_id, {**dict.fromkeys(kinds, True), **dict.fromkeys(unlabelled, False)})

    loop.run(work())


def unwatch_cluster(identity: str) -> None:
    """End the watches of a cluster and forget what they saw."""

    async def work() -> None:
        _forget(identity)

    if loop.running():
        loop.run(work())


def set_listener(listener: Listener | None) -> None:
    """Who is told of events, for all clusters; called on the loop, must not block (see `store.Listener`)."""

    async def work() -> None:
        store.listen(listener)

    loop.run(work())


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the watches of one kind know. `age`: seconds since the last line (bookmarks come every 60 s);
    `since`: seconds the present connection has lasted, 0 without one."""

    complete: bool
    healthy: bool
    objects: int
    since: float
    age: float
    error: ClusterError | None


def freshness(identity: str) -> dict[Kind, Freshness]:
    """How fresh the memory of a cluster is, by (group, kind); empty when it is not watched."""

    async def work() -> dict[Kind, Freshness]:
        known = store.stores().get(identity)
        return {kind: _freshness(watched) for kind, watched in known.kinds.items()} if known else {}

    return loop.run(work())


def memory(identity: str | None = None) -> tuple[int, int]:
    """(objects, bytes of their text) in the memory of one cluster, or of all."""

    async def work() -> tuple[int, int]:
        chosen = [one for name, one in store.stores().items() if identity in (None, name)]
        sizes = [
            seen.size for one in chosen for watched in one.kinds.values() for seen in watched.objects.values()
        ]
        return len(sizes), sum(sizes)

    return loop.run(work())


def _freshness(watched: Watched) -> Freshness:
    now = tuning().clock()
    spaces = watched.spaces.values()
    connected = bool(spaces) and all(space.connected for space in spaces)
    return Freshness(
        complete=watched.complete,
        healthy=watched.healthy,
        objects=len(watched.objects),
        since=now - max(space.since for space in spaces) if connected else 0.0,
        age=now - min((space.last_event for space in spaces), default=now),
        error=watched.error,
    )


def _settle(connection: Connection, hub_id: str, wanted: dict[Kind, bool]) -> None:
    known = store.stores().get(connection.identity)
    if known is not None and (known.hub_id != hub_id or not store.same_place(known.connection, connection)):
        _forget(connection.identity)
        known = None
    if known is not None and known.connection.generation < connection.generation:
        known.connection = connection
        for kind, watched in known.kinds.items():
            known.tasks[kind].cancel()
            known.tasks[kind] = asyncio.get_running_loop().create_task(_follow_kind(known, watched))
    if known is None:
        known = store.stores()[connection.identity] = ClusterStore(connection, hub_id)
    for kind in [kind for kind, watched in known.kinds.items() if wanted.get(kind) is not watched.labelled]:
        known.tasks.pop(kind).cancel()
        known.drop_kind(kind)
    for kind, labelled in wanted.items():
        if kind not in known.kinds:
            watched = known.kinds[kind] = Watched(*kind, labelled=labelled)
            known.tasks[kind] = asyncio.get_running_loop().create_task(_follow_kind(known, watched))


def _forget(identity: str) -> None:
    known = store.stores().pop(identity, None)
    for task in known.tasks.values() if known else ():
        task.cancel()


async def _follow_kind(known: ClusterStore, watched: Watched) -> None:
    """Find out where the kind lives, then follow it there, until its version is withdrawn: then from the start."""
    pause = _Pause()
    while True:
        try:
            gate = gate_of(known.connection)
            info = await gate.catalogue.find(watched.group, watched.kind)
            spaces = requests.namespaces_of(known.connection, info)
        except ClusterError as error:
            watched.error = error
            await pause.after(error)
            continue
        if watched.api_version != info.api_version:
            known.forget_objects(watched)  # they are shown in another version now
            watched.api_version = info.api_version
            watched.spaces = {space: Space(since=tuning().clock()) for space in spaces}
        withdrawn = await _follow(known, watched, info, spaces)
        watched.error = withdrawn
        gate.catalogue.doubt()
        await pause.after(withdrawn)


async def _follow(
    known: ClusterStore, watched: Watched, info: KindInfo, spaces: Collection[str]
) -> errors.KindNotServed:
    """Follow one version of a kind for as long as it is served."""
    try:
        async with asyncio.TaskGroup() as group:
            for namespace in spaces:
                group.create_task(_Follower(known, watched, info, namespace).run())
    except* errors.KindNotServed as withdrawn:
        found = withdrawn.exceptions[0]
    assert isinstance(found, errors.KindNotServed)
    return found


class _Pause:
    """Growing pauses between attempts, or the one the server names."""

    def __init__(self) -> None:
        self._next = tuning().watch_first_pause

    def reset(self) -> None:
        self._next = tuning().watch_first_pause

    async def after(self, error: ClusterError | None) -> None:
        numbers = tuning()
        wait = self._next * (0.5 + numbers.jitter())
        if error is not None and error.retry_after is not None:
            wait = error.retry_after + numbers.jitter()
        self._next = min(self._next * 2, numbers.watch_longest_pause)
        await numbers.sleep(wait)


class _Follower:
    """One watch of one kind in one namespace (or all), kept alive."""

    def __init__(self, known: ClusterStore, watched: Watched, info: KindInfo, namespace: str) -> None:
        self.known = known
        self.watched = watched
        self.info = info
        self.namespace = namespace
        self.space = watched.spaces[namespace]
        self.selector = f"{MANAGED_BY_LABEL}={known.hub_id}" if watched.labelled else ""
        self.pause = _Pause()
        self.ever_synced = self.space.synced
        self.present: set[ResourceKey] = set()

    async def run(self) -> None:
        while True:
            began = tuning().clock()
            try:
                await self._once()
                trouble: ClusterError | None = None
            except errors.Gone:
                self._lapsed()
                trouble = None
            except errors.KindNotServed:
                self._lapsed()
                raise
            except ClusterError as error:
                trouble = self.watched.error = error
                if isinstance(error, errors.TimedOut) and error.status == 504:
                    self._lapsed()
            except Exception as surprise:
                # A mistake of ours must not end the watch for ever: say it, list anew.
                logger.exception("The watch of %s failed", self.watched.kind)
                trouble = self.watched.error = errors.Unavailable(f"the watch failed: {surprise!r}")
                self._lapsed()
            finally:
                self._disconnected()
            lasted = tuning().clock() - began >= _SHORTEST_STREAM
            if lasted:
                self.pause.reset()
            if trouble is not None or not lasted:
                await self.pause.after(trouble)

    @property
    def gate(self) -> Gate:
        """Asked for anew each time: a newer generation of the credentials may have made a new session."""
        return gate_of(self.known.connection)

    async def _once(self) -> None:
        if self.space.version:
            await self._stream(initial=False)
        elif self.known.connection.identity not in _no_streaming_list:
            try:
                await self._stream(initial=True)
            except errors.Invalid:
                _no_streaming_list.add(self.known.connection.identity)
                await self._list()
        else:
            await self._list()

    async def _stream(self, *, initial: bool) -> None:
        self.present = set()
        events = watch(
            self.gate,
            self.info,
            self.namespace,
            selector=self.selector,
            version=self.space.version,
            initial=initial,
        )
        listing = initial
        async for event in events:
            self.space.last_event = tuning().clock()
            if isinstance(event, Opened):
                if not listing:
                    self._connected()
            elif isinstance(event, Change):
                self._change(event, listing)
            elif isinstance(event, Bookmark):
                if listing and event.initial_end:
                    listing = False
                    self._complete()
                if not listing:
                    self.space.version = event.version

    def _change(self, event: Change, listing: bool) -> None:
        key = event.seen.key
        if not listing:
            # Inside the initial list a version is no place to resume from: the list would be cut short.
            self.space.version = event.seen.resource_version
        if event.type == "DELETED":
            self.present.discard(key)
            self.known.remove(self.watched, key)
            return
        if listing:
            self.present.add(key)
        self.known.put(self.watched, event.type, event.seen, quiet=not self.ever_synced)

    async def _list(self) -> None:
        """The way of servers without streaming list: all pages, then a watch from there (at the next turn)."""
        items, version = await requests.list_space(
            self.gate, self.info, self.namespace, selector=self.selector
        )
        self.present = {seen.key for seen in items}
        for seen in items:
            self.known.put(self.watched, "ADDED", seen, quiet=not self.ever_synced)
        self.space.version = version
        self._complete()
        await self._stream(initial=False)

    def _complete(self) -> None:
        self._connected()
        self.ever_synced = True
        self.known.synced(self.watched, self.namespace, self.present)
        self.present = set()

    def _connected(self) -> None:
        self.space.connected = True
        self.space.since = tuning().clock()
        self.watched.error = None

    def _disconnected(self) -> None:
        if self.space.connected:
            self.space.connected = False
            self.space.since = tuning().clock()

    def _lapsed(self) -> None:
        """The version is too old: what is in memory may have gaps until the next full list."""
        self.space.version = ""
        self.space.synced = False
