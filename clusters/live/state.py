"""The live state that a comparison needs: from memory when a healthy watch holds it, else by LIST and GET.

Absence is only ever *proven*: by a GET, or by a finished list of everything. What could not be read is in `errors`
or `unknown` (sync-semantics.md 5.4, 7.3; security-and-reliability.md H6).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import clusters.errors as errors
import clusters.live.store as store
from clusters.core.connection import Connection
from clusters.core.discovery import Discovery
from clusters.core.manifests import MANAGED_BY_LABEL, Manifest, ResourceKey
from clusters.errors import ClusterError
from clusters.kube import loop, requests
from clusters.kube.gate import gate_of, known_discovery
from clusters.kube.requests import Gate
from clusters.kube.tuning import tuning
from clusters.live.store import ClusterStore, Watched

Kind = tuple[str, str]


@dataclass(slots=True)
class LiveState:
    """What the cluster holds of what was asked for.

    `objects`: the wanted keys that exist, and every labelled object of `owner` (of anybody when no owner was given).
    managedFields are there only in objects that a GET brought: those adoption will want. `absent`: wanted keys
    proven not to be there. `complete[kind]`: its listing was finished, so extras may be pruned. `errors[kind]`: why a
    kind is not complete. `unknown[key]`: why a wanted key could not be read. A wanted key is in exactly one of
    `objects`, `absent`, `unknown`.
    """

    objects: dict[ResourceKey, Manifest] = field(default_factory=dict)
    absent: set[ResourceKey] = field(default_factory=set)
    complete: dict[Kind, bool] = field(default_factory=dict)
    errors: dict[Kind, ClusterError] = field(default_factory=dict)
    unknown: dict[ResourceKey, ClusterError] = field(default_factory=dict)
    discovery: Discovery = field(default_factory=Discovery)
    resource_versions: dict[Kind, str] = field(default_factory=dict)
    watched: frozenset[Kind] = frozenset()


def live_state(
    connection: Connection,
    *,
    hub_id: str,
    kinds: Iterable[Kind],
    keys: Collection[ResourceKey],
    owner: str | None = None,
    api_versions: Mapping[ResourceKey, str] | None = None,
) -> LiveState:
    """The live state of `keys`, and of what carries the hub's label among `kinds` and the kinds of `keys`.

    `owner` narrows the labelled objects to those whose tracking id names it. `api_versions`: keys to be read in
    another version than the preferred one. Raises ClusterError when the cluster cannot be asked at all.
    """
    return loop.run(_live_state(connection, hub_id, {*kinds}, frozenset(keys), owner, api_versions))


async def _live_state(
    connection: Connection,
    hub_id: str,
    kinds: set[Kind],
    keys: frozenset[ResourceKey],
    owner: str | None,
    api_versions: Mapping[ResourceKey, str] | None,
) -> LiveState:
    gate = gate_of(connection)
    state = LiveState(discovery=await gate.catalogue.current())
    kinds |= {key[:2] for key in keys}
    known = store.store_of(connection)
    held = {
        kind: watched
        for kind, watched in (known.kinds.items() if known and known.hub_id == hub_id else ())
        if kind in kinds and watched.healthy
    }
    state.watched = frozenset(held)
    if known is not None:
        _from_memory(state, known, held, keys, owner)
    await _from_lists(state, gate, hub_id, sorted(kinds - held.keys()), keys, owner)
    await _look_for_missing(state, gate, keys)
    await _in_other_versions(state, gate, api_versions or {})
    state.discovery = await gate.catalogue.current()
    return state


def _from_memory(
    state: LiveState,
    known: ClusterStore,
    held: Mapping[Kind, Watched],
    keys: Collection[ResourceKey],
    owner: str | None,
) -> None:
    for kind, watched in held.items():
        state.complete[kind] = True
        state.resource_versions[kind] = next(space.version for space in watched.spaces.values())
        if owner is None:
            all_of_it = ((key, seen.manifest()) for key, seen in watched.objects.items())
            state.objects.update(
                (key, obj) for key, obj in all_of_it if watched.labelled or _is_ours(obj, known.hub_id)
            )
    if owner is not None:
        owned = (seen for seen in known.owned(owner) if seen.key[:2] in held)
        state.objects.update((seen.key, seen.manifest()) for seen in owned)
    for key in keys:
        seen = held[key[:2]].objects.get(key) if key[:2] in held else None
        if seen is not None and key not in state.objects:
            state.objects[key] = seen.manifest()


def _is_ours(obj: Manifest, hub_id: str) -> bool:
    return (obj["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == hub_id


def everything(connection: Connection, kinds: Iterable[Kind]) -> LiveState:
    """All objects of these kinds, with the hub's label or not (autoscalers, sync-semantics.md 6.5): from a watch on
    `unlabelled` kinds where it is healthy, else by LIST. Raises ClusterError when the cluster cannot be asked."""
    wanted = list(dict.fromkeys(kinds))
    discovery = known_discovery(connection)
    if discovery is not None:
        state = LiveState(discovery=discovery)
        if not _whole_from_memory(state, connection, wanted):
            return state
    return loop.run(_everything(connection, wanted))


def _whole_from_memory(state: LiveState, connection: Connection, kinds: Iterable[Kind]) -> list[Kind]:
    """Take what healthy unfiltered watches hold; returns the other kinds. Safe from any thread."""
    known = store.store_of(connection)
    watches = known.kinds if known else {}
    held = {kind: watched for kind in kinds if (watched := watches.get(kind)) and _has_all(watched)}
    state.watched = frozenset(held)
    for kind, watched in held.items():
        state.complete[kind] = True
        # One step of the interpreter: the loop may change the dict at any time.
        state.objects.update((seen.key, seen.manifest()) for seen in list(watched.objects.values()))
    return [kind for kind in kinds if kind not in held]


async def _everything(connection: Connection, kinds: list[Kind]) -> LiveState:
    gate = gate_of(connection)
    state = LiveState(discovery=await gate.catalogue.current())
    rest = _whole_from_memory(state, connection, kinds)
    listings = await asyncio.gather(*(requests.list_kind(gate, *kind) for kind in rest))
    for kind, listing in zip(rest, listings, strict=True):
        state.complete[kind] = listing.complete
        if listing.error is not None:
            state.errors[kind] = listing.error
        else:
            state.objects.update((seen.key, seen.manifest()) for seen in listing.items)
    return state


def _has_all(watched: Watched) -> bool:
    return watched.healthy and not watched.labelled


def versions(
    identity: str, hub_id: str, keys: Collection[ResourceKey], owner: str
) -> dict[ResourceKey, str] | None:
    """The resourceVersions in memory of `keys` and of all that `owner` has: the cheapest look there is.

    For a look that expects no change: no request, no decoding, no visit to the loop; safe from any thread. A key that
    is not in memory is left out. None when a kind of `keys` has no healthy watch: ask `live_state`.
    """
    known = store.stores().get(identity)
    if known is None or known.hub_id != hub_id:
        return None
    kinds = {key[:2]: known.kinds.get(key[:2]) for key in keys}
    if not all(watched is not None and watched.healthy for watched in kinds.values()):
        return None
    found = {key: seen.resource_version for key in keys if (seen := known.find(key)) is not None}
    found.update((seen.key, seen.resource_version) for seen in known.owned(owner))
    return found


async def _from_lists(
    state: LiveState,
    gate: Gate,
    hub_id: str,
    kinds: Iterable[Kind],
    keys: Collection[ResourceKey],
    owner: str | None,
) -> None:
    """One LIST per kind by the hub's label, all at once (within the cluster's slots)."""
    kinds = list(kinds)
    selector = f"{MANAGED_BY_LABEL}={hub_id}"
    listings = await asyncio.gather(*(requests.list_kind(gate, *kind, selector=selector) for kind in kinds))
    for kind, listing in zip(kinds, listings, strict=True):
        state.complete[kind] = listing.complete
        if listing.error is not None:
            state.errors[kind] = listing.error
            continue
        state.resource_versions[kind] = next(iter(listing.resource_versions.values()), "")
        for seen in listing.items:
            if owner is None or seen.owner == owner or seen.key in keys:
                state.objects[seen.key] = seen.manifest()


async def _look_for_missing(state: LiveState, gate: Gate, keys: Iterable[ResourceKey]) -> None:
    """Wanted keys that no listing showed may exist without the label: only a GET, or a full list, says no."""
    by_kind: dict[Kind, list[ResourceKey]] = {}
    for key in keys:
        if key not in state.objects:
            by_kind.setdefault(key[:2], []).append(key)
    await asyncio.gather(*(_look_for_kind(state, gate, kind, missing) for kind, missing in by_kind.items()))


async def _look_for_kind(state: LiveState, gate: Gate, kind: Kind, missing: list[ResourceKey]) -> None:
    failure = state.errors.get(kind)
    if isinstance(failure, errors.KindNotServed):
        state.absent.update(missing)
        return
    if failure is not None:
        state.unknown.update(dict.fromkeys(missing, failure))
        return
    if _many_wait(gate, kind, len(missing)):
        missing = await _shown_by_shared_list(state, gate, kind, missing)
    await asyncio.gather(*(_get_into(state, gate, key) for key in missing))


_recent: WeakKeyDictionary[object, dict[Kind, deque[float]]] = WeakKeyDictionary()
_RECENT_S = 10.0


def _many_wait(gate: Gate, kind: Kind, count: int) -> bool:
    """Whether more than 20 objects of one kind were missed in the last ten seconds, whoever looked for them."""
    now, limit = tuning().clock(), tuning().many_gets
    of_cluster = _recent.setdefault(gate.catalogue, {})
    times = of_cluster.setdefault(kind, deque(maxlen=limit + 1))
    times.extend([now] * min(count, limit + 1))
    return len(times) > limit and now - times[0] <= _RECENT_S


async def _get_into(state: LiveState, gate: Gate, key: ResourceKey, api_version: str = "") -> None:
    try:
        found = await requests.get(gate, key, api_version=api_version)
    except errors.NotFound:
        state.objects.pop(key, None)
        state.absent.add(key)
    except ClusterError as error:
        state.objects.pop(key, None)
        state.unknown[key] = error
    else:
        state.objects[key] = found


# The keys that one finished listing showed, None when it was not finished.
_shared: dict[tuple[str, Kind], tuple[float, asyncio.Task[frozenset[ResourceKey] | None]]] = {}


async def _shown_by_shared_list(
    state: LiveState, gate: Gate, kind: Kind, missing: list[ResourceKey]
) -> list[ResourceKey]:
    """More than 20 of a kind are missing: one metadata-only LIST, shared for 10 s, says which are worth a GET (5.4).

    What it does not show is absent; an object that appeared meanwhile makes an apply without force answer 409.
    """
    slot = gate.connection.identity, kind
    made_at, task = _shared.get(slot, (float("-inf"), None))
    if task is None or tuning().clock() - made_at >= tuning().shared_list:
        task = asyncio.get_running_loop().create_task(_keys_shown(gate, kind))
        _shared[slot] = tuning().clock(), task
        asyncio.get_running_loop().call_later(tuning().shared_list, _shared.pop, slot, None)
    seen = await asyncio.shield(task)
    if seen is None:
        return missing
    permitted = gate.connection.namespaces
    worth = {key for key in missing if key in seen or (permitted and key.namespace not in permitted)}
    state.absent.update(key for key in missing if key not in worth)
    return sorted(worth)


async def _keys_shown(gate: Gate, kind: Kind) -> frozenset[ResourceKey] | None:
    listing = await requests.list_kind(gate, *kind, metadata_only=True)
    return frozenset(item.key for item in listing.items) if listing.complete else None


async def _in_other_versions(state: LiveState, gate: Gate, api_versions: Mapping[ResourceKey, str]) -> None:
    """Objects that the caller compares in another version than the listed one are read again in that one."""
    other = [
        (key, wanted)
        for key, wanted in api_versions.items()
        if key in state.objects and state.objects[key]["apiVersion"] != wanted
    ]
    await asyncio.gather(*(_get_into(state, gate, key, wanted) for key, wanted in other))


loop.forget_after_fork(_shared.clear)
