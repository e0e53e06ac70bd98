"""What is known of each watched cluster, and who is told. Everything here runs on the loop of the gate.

Events of a key are held back while a write of ours to it is under way: in two of three writes the event comes
before the answer (api-server-facts.md 3), and would look like somebody else's change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from clusters.core.connection import Connection
from clusters.core.manifests import MANAGED_BY_LABEL, Manifest, ResourceKey
from clusters.errors import ClusterError
from clusters.kube import loop
from clusters.kube.objects import Seen, seen_of
from clusters.kube.tuning import tuning

logger = logging.getLogger(__name__)

Listener = Callable[[str, str, ResourceKey, Manifest | None], None]
"""(cluster identity, "ADDED" | "MODIFIED" | "DELETED" | "SYNCED" | "WRITTEN", key, object). SYNCED has a key of group and
kind only: that kind is complete now, look at everything. WRITTEN is the answer of a write of ours, no news but what
later events are compared with. Called on the loop: it must not block, and must not ask the gate.
"""

GRACE = 2.0
_EXPECTED_WITHIN = 2.0


@dataclass(slots=True)
class Space:
    """One watch: a kind in all namespaces (empty name) or in one. Times are of `tuning().clock`."""

    version: str = ""
    synced: bool = False
    connected: bool = False
    since: float = 0.0
    last_event: float = 0.0


@dataclass(slots=True)
class Watched:
    """One kind of a watched cluster. `labelled`: only objects with the hub's label are in it."""

    group: str
    kind: str
    labelled: bool = True
    api_version: str = ""
    spaces: dict[str, Space] = field(default_factory=dict)
    objects: dict[ResourceKey, Seen] = field(default_factory=dict)
    error: ClusterError | None = None

    @property
    def complete(self) -> bool:
        """Every watch of this kind has had its full list, and none has lapsed since."""
        return bool(self.spaces) and all(space.synced for space in self.spaces.values())

    @property
    def healthy(self) -> bool:
        """Complete, and connected (a break of less than 2 s is no break)."""
        now = tuning().clock()
        spaces = tuple(self.spaces.values())
        return self.complete and all(space.connected or now - space.since < GRACE for space in spaces)


@dataclass(slots=True)
class Held:
    """Events of one key that wait for the answer of a write."""

    writes: int = 1
    events: list[tuple[str, Seen]] = field(default_factory=list)


@dataclass(slots=True)
class Expected:
    """Our write has answered, its event has not come yet: older events of the key are no news until it has."""

    resource_version: str
    timer: asyncio.TimerHandle
    passed_over: tuple[str, Seen] | None = None


class ClusterStore:
    """The memory of one watched cluster."""

    def __init__(self, connection: Connection, hub_id: str) -> None:
        self.connection = connection
        self.hub_id = hub_id
        self.kinds: dict[tuple[str, str], Watched] = {}
        self.tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._by_owner: dict[str, set[ResourceKey]] = {}
        self._held: dict[ResourceKey, Held] = {}
        self._expected: dict[ResourceKey, Expected] = {}

    def find(self, key: ResourceKey) -> Seen | None:
        watched = self.kinds.get(key[:2])
        return watched.objects.get(key) if watched else None

    def owned(self, owner: str) -> Iterator[Seen]:
        """The objects whose tracking id names `owner`."""
        for key in tuple(self._by_owner.get(owner, ())):
            seen = self.find(key)
            if seen is not None:
                yield seen

    def drop_kind(self, kind: tuple[str, str]) -> None:
        watched = self.kinds.pop(kind, None)
        if watched is not None:
            self.forget_objects(watched)

    def forget_objects(self, watched: Watched) -> None:
        """Nothing is known of a kind any more, and nobody is told: the next full list begins anew."""
        for seen in watched.objects.values():
            self._unlink(seen)
        watched.objects.clear()

    # --- what the watches report -----------------------------------------------------------------------------
    def put(self, watched: Watched, event: str, seen: Seen, *, quiet: bool = False) -> None:
        """An object as a watch or list shows it. Nothing happens when this version is known already."""
        before = watched.objects.get(seen.key)
        if before is not None and before.resource_version == seen.resource_version:
            self._expected_came(seen)
            return
        self._link(watched, seen)
        if not quiet:
            self._tell(event if before is None else "MODIFIED", seen)

    def remove(self, watched: Watched, key: ResourceKey) -> None:
        """An object that is gone, or no longer has the label: one GET tells which (sync-semantics.md 5.4)."""
        gone = watched.objects.pop(key, None)
        if gone is not None:
            self._unlink(gone)
            self._tell("DELETED", gone)

    def synced(self, watched: Watched, namespace: str, present: set[ResourceKey]) -> None:
        """A full list of one space ended: what it did not show is gone (410 means relist and compute deletions)."""
        for key in [key for key in watched.objects if not namespace or key.namespace == namespace]:
            if key not in present:
                self.remove(watched, key)
        watched.spaces[namespace].synced = True
        watched.error = None
        if watched.complete:
            _notify(
                self.connection.identity, "SYNCED", ResourceKey(watched.group, watched.kind, "", ""), None
            )

    # --- our own writes --------------------------------------------------------------------------------------
    def hold(self, key: ResourceKey) -> None:
        held = self._held.get(key)
        if held is None:
            self._held[key] = Held()
        else:
            held.writes += 1

    def release(self, key: ResourceKey, left: Manifest | None, *, gone: bool) -> None:
        """The write ended: it left this object, or made it `gone`, or failed (neither)."""
        held = self._held.get(key)
        if held is None:
            return
        held.writes -= 1
        if held.writes == 0:
            del self._held[key]
        news = held.events
        watched = self.kinds.get(key[:2])
        if watched is not None and left is not None and self._is_seen(watched, left):
            news = self._take_answer(watched, left, news)
            _notify(self.connection.identity, "WRITTEN", key, left)
        elif watched is not None and gone and not news:
            known = watched.objects.pop(key, None)
            if known is not None:
                self._unlink(known)
        held.events = []
        if held.writes == 0 and news:
            self._tell(*news[-1])

    def _take_answer(
        self, watched: Watched, left: Manifest, news: list[tuple[str, Seen]]
    ) -> list[tuple[str, Seen]]:
        """Put the answer of a write into the memory; what remains to be told came after it."""
        answer = seen_of(left)
        versions = [seen.resource_version for _, seen in news]
        if answer.resource_version in versions:
            return news[versions.index(answer.resource_version) + 1 :]
        known = watched.objects.get(answer.key)
        if known is not None and known.resource_version == answer.resource_version:
            return []
        if left["apiVersion"] == watched.api_version:
            self._link(watched, answer)
        timer = asyncio.get_running_loop().call_later(_EXPECTED_WITHIN, self._give_up_expecting, answer.key)
        self._forget_expected(answer.key)
        self._expected[answer.key] = Expected(answer.resource_version, timer)
        return []

    def _is_seen(self, watched: Watched, obj: Manifest) -> bool:
        """Whether the watch will show this object."""
        labels = obj["metadata"].get("labels") or {}
        return not watched.labelled or labels.get(MANAGED_BY_LABEL) == self.hub_id

    def _expected_came(self, seen: Seen) -> None:
        expected = self._expected.get(seen.key)
        if expected is not None and expected.resource_version == seen.resource_version:
            self._forget_expected(seen.key)

    def _forget_expected(self, key: ResourceKey) -> None:
        expected = self._expected.pop(key, None)
        if expected is not None:
            expected.timer.cancel()

    def _give_up_expecting(self, key: ResourceKey) -> None:
        expected = self._expected.pop(key, None)
        if expected is not None and expected.passed_over is not None:
            self._tell(*expected.passed_over)

    # --- inside ----------------------------------------------------------------------------------------------
    def _link(self, watched: Watched, seen: Seen) -> None:
        before = watched.objects.get(seen.key)
        if before is not None and before.owner != seen.owner:
            self._unlink(before)
        watched.objects[seen.key] = seen
        if seen.owner:
            self._by_owner.setdefault(seen.owner, set()).add(seen.key)

    def _unlink(self, seen: Seen) -> None:
        keys = self._by_owner.get(seen.owner)
        if keys is not None:
            keys.discard(seen.key)
            if not keys:
                del self._by_owner[seen.owner]

    def _tell(self, event: str, seen: Seen) -> None:
        held = self._held.get(seen.key)
        if held is not None:
            held.events.append((event, seen))
            return
        expected = self._expected.get(seen.key)
        if expected is not None and event != "DELETED":
            if expected.resource_version == seen.resource_version:
                self._forget_expected(seen.key)
            else:
                expected.passed_over = (event, seen)
            return
        self._forget_expected(seen.key)
        if _listener is not None:
            _notify(self.connection.identity, event, seen.key, seen.manifest())


_stores: dict[str, ClusterStore] = {}
_listener: Listener | None = None


def stores() -> dict[str, ClusterStore]:
    return _stores


def store_of(connection: Connection) -> ClusterStore | None:
    """The memory of this cluster; None when it is of another address that it had before."""
    known = _stores.get(connection.identity)
    return known if known is not None and same_place(known.connection, connection) else None


def same_place(held: Connection, wanted: Connection) -> bool:
    """Whether only credentials changed (they are renewed hourly): what is in memory is still true."""
    return held.generation >= wanted.generation or (
        (held.server, held.namespaces, held.cluster_resources)
        == (wanted.server, wanted.namespaces, wanted.cluster_resources)
    )


def listen(listener: Listener | None) -> None:
    global _listener
    _listener = listener


def _notify(identity: str, event: str, key: ResourceKey, obj: Manifest | None) -> None:
    if _listener is None:
        return
    try:
        _listener(identity, event, key, obj)
    except Exception:
        logger.exception("The listener failed on %s of %s", event, key)


def hold(identity: str, key: ResourceKey) -> None:
    """A write to `key` begins: its events wait. On the loop only; nothing happens for a cluster without watches."""
    store = _stores.get(identity)
    if store is not None:
        store.hold(key)


def release(identity: str, key: ResourceKey, left: Manifest | None = None, *, gone: bool = False) -> None:
    """That write ended. The event of its own result is not told; what came after it is."""
    store = _stores.get(identity)
    if store is not None:
        store.release(key, left, gone=gone)


def resource_version(identity: str, key: ResourceKey) -> str:
    """The version of an object in memory, empty when unknown. On the loop only."""
    store = _stores.get(identity)
    seen = store.find(key) if store else None
    return seen.resource_version if seen else ""


loop.forget_after_fork(_stores.clear)
