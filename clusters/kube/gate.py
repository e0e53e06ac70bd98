"""The gates of this process, one per cluster, and the plain functions for callers in threads."""

from __future__ import annotations

import asyncio
import atexit
from typing import Any

import clusters.kube.loop as loop
import clusters.kube.requests as requests
from clusters.core.connection import Connection
from clusters.core.discovery import Discovery
from clusters.core.manifests import Manifest, ResourceKey
from clusters.kube.dialling import ca_stamp
from clusters.kube.discovery import Catalogue
from clusters.kube.requests import Gate, Listing, Propagation, Written
from clusters.kube.session import Session

_gates: dict[str, Gate] = {}
_retiring: set[asyncio.Task[None]] = set()


def gate_of(connection: Connection) -> Gate:
    """The gate of a cluster; on the loop only. A newer generation of its Connection replaces the session.

    An older generation gets the newer session: a pass that began before a rotation must not bring the old
    credentials back. AddressRefused or CertificateInvalid when no session can be made.
    """
    found = _gates.get(connection.identity)
    if found is not None and _serves(found, connection):
        return found if found.connection is connection else Gate(found.session, found.catalogue, connection)
    session = Session(connection)
    made = Gate(session, Catalogue(session), connection)
    _gates[connection.identity] = made
    if found is not None:
        task = asyncio.get_running_loop().create_task(found.session.retire())
        _retiring.add(task)
        task.add_done_callback(_retiring.discard)
    return made


def found_gate(identity: str) -> Gate | None:
    """The gate of a cluster if this process has one; on the loop only."""
    return _gates.get(identity)


def _serves(found: Gate, wanted: Connection) -> bool:
    held = found.connection
    if held.generation > wanted.generation:
        return True
    if held.in_cluster and found.session.ca_stamp != ca_stamp(held):
        return False
    return held is wanted or (held.generation == wanted.generation and held.server == wanted.server)


def get(connection: Connection, key: ResourceKey, *, api_version: str = "") -> Manifest:
    """One object. Raises NotFound, KindNotServed, Forbidden, Unavailable... (`clusters.errors`)."""

    async def work() -> Manifest:
        return await requests.get(gate_of(connection), key, api_version=api_version)

    return loop.run(work())


def list_kind(
    connection: Connection, group: str, kind: str, *, selector: str = "", metadata_only: bool = False
) -> Listing:
    """One kind; problems are in `Listing.error`, and then `complete` is off."""

    async def work() -> Listing:
        return await requests.list_kind(
            gate_of(connection), group, kind, selector=selector, metadata_only=metadata_only
        )

    return loop.run(work())


def apply(connection: Connection, key: ResourceKey, body: Manifest, **options: Any) -> Written:
    """Server-side apply; options: manager, force, strict, dry_run."""

    async def work() -> Written:
        return await requests.apply(gate_of(connection), key, body, **options)

    return loop.run(work())


def create(connection: Connection, key: ResourceKey, body: Manifest, **options: Any) -> Written:
    """POST; options: manager, strict, dry_run."""

    async def work() -> Written:
        return await requests.create(gate_of(connection), key, body, **options)

    return loop.run(work())


def replace(connection: Connection, key: ResourceKey, body: Manifest, **options: Any) -> Written:
    """PUT; options: manager, strict, dry_run."""

    async def work() -> Written:
        return await requests.replace(gate_of(connection), key, body, **options)

    return loop.run(work())


def patch(connection: Connection, key: ResourceKey, body: Any, **options: Any) -> Written:
    """PATCH; options: patch_type, subresource, manager, dry_run."""

    async def work() -> Written:
        return await requests.patch(gate_of(connection), key, body, **options)

    return loop.run(work())


def delete(
    connection: Connection,
    key: ResourceKey,
    *,
    propagation: Propagation = "Foreground",
    uid: str = "",
    dry_run: bool = False,
) -> Manifest | None:
    """DELETE: the object being deleted, or None when it is gone."""

    async def work() -> Manifest | None:
        return await requests.delete(
            gate_of(connection), key, propagation=propagation, uid=uid, dry_run=dry_run
        )

    return loop.run(work())


def discovery(connection: Connection, *, fresh: bool = False) -> Discovery:
    """What the cluster serves, cached; `fresh` asks now (two 304s when nothing changed)."""

    async def work() -> Discovery:
        catalogue = gate_of(connection).catalogue
        return await (catalogue.refresh() if fresh else catalogue.current())

    known = None if fresh else known_discovery(connection)
    return known or loop.run(work())


def known_discovery(connection: Connection) -> Discovery | None:
    """What is cached of a cluster and not in doubt, without a visit to the loop; safe from any thread."""
    found = _gates.get(connection.identity)
    return found.catalogue.known() if found is not None and _serves(found, connection) else None


async def close_all() -> None:
    """Close every session of this process."""
    gates, retiring = list(_gates.values()), list(_retiring)
    _gates.clear()
    for task in retiring:
        task.cancel()
    await asyncio.gather(*(gate.session.close() for gate in gates), *retiring, return_exceptions=True)


def shutdown() -> None:
    """End the gate: sessions closed, used again it starts anew. At exit, and between tests."""
    if loop.running():
        loop.run(close_all())


loop.forget_after_fork(_gates.clear)
loop.forget_after_fork(_retiring.clear)
atexit.register(shutdown)
