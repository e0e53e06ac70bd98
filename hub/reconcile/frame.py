"""What one pass holds: the leased row, the clock, the resource rows and which of them changed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from django.utils import timezone

from clusters.core.connection import Connection
from clusters.core.diff import ResourceRules
from clusters.core.discovery import Discovery
from clusters.core.manifests import ResourceKey
from clusters.errors import ClusterError
from clusters.models import Cluster
from hub.models import Application, ResourceStatus
from hub.services import events, leases, resource_rules
from hub.services.statements import Prepared

# A row of a resource of which nothing was seen yet.
_UNSEEN: dict[str, Any] = {
    "baseline": None,
    "desired_hash": "",
    "uid": "",
    "resource_version": "",
    "adopted": False,
    "completed_at": None,
    "drift": [],
    "status": "",
    "reason": "",
    "health": "",
}
_RESOURCES = Prepared(lambda id_: ResourceStatus.objects.filter(application=id_), "application")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Discovery of the cluster, or why it could not be read."""

    discovery: Discovery
    problem: ClusterError | None = None


@dataclass(slots=True)
class PassResult:
    """What a pass asks its caller for: another pass, polls, the delivery of its events."""

    again_in_s: float | None = None
    poll: list[uuid.UUID] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    phase: str = ""
    changed: bool = False
    # The document of the Application is another one than at the last pass.
    anew: bool = False
    app: Application | None = None
    kinds: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Frame:
    """One pass over one Application. `rows` are its resources by key; `dirty` the keys that must be stored.

    `caches` follow from the Project and may be dropped at any time; `scaled` is what this pass saw (`autoscalers`).
    """

    lease: leases.Lease
    app: Application
    now: datetime
    connection: Connection
    hub_id: str
    mask_key: bytes
    rows: dict[ResourceKey, ResourceStatus]
    memory: dict[str, Any]
    dirty: set[ResourceKey] = field(default_factory=set)
    dropped: set[ResourceKey] = field(default_factory=set)
    stages: dict[str, float] = field(default_factory=dict)
    result: PassResult = field(default_factory=PassResult)
    last_number: int = 0
    conditions: list[dict[str, str]] = field(default_factory=list)
    caches: dict[str, Any] = field(default_factory=dict)
    scaled: Any = None
    # Of each resource that differs, what it differs in, as a keyed mark.
    marks: dict[ResourceKey, str] = field(default_factory=dict)
    # Another operation waits for people while the one of this pass runs.
    another_waits: bool = False
    # The status is kept from an earlier look, until then at most (7.4).
    kept_until: datetime | None = None
    # A source could not be read for a reason that may pass: when it is tried again without being told.
    source_again: datetime | None = None

    @property
    def resource_rules(self) -> ResourceRules:
        """The hub's rules about resources, the same in all of one pass."""
        if "resource_rules" not in self.caches:
            self.caches["resource_rules"] = resource_rules.current().resources
        found: ResourceRules = self.caches["resource_rules"]
        return found

    @property
    def excluded_kinds(self) -> tuple[tuple[str, str], ...]:
        """(group, kind) with globs that are neither written nor looked at in this cluster (2.1 item 4)."""
        return self.resource_rules.excluded_kinds(self.app.cluster.server)

    def excludes(self, key: ResourceKey) -> bool:
        return any(
            fnmatchcase(key.group, group) and fnmatchcase(key.kind, kind)
            for group, kind in self.excluded_kinds
        )

    @classmethod
    def open(cls, lease: leases.Lease) -> Frame:
        """Read what every pass needs, once."""
        app = lease.application
        frame = cls(
            lease=lease,
            app=app,
            now=timezone.now(),
            connection=connection_of(app.cluster),
            hub_id=events.hub_id(),
            mask_key=events.mask_key(),
            rows={key_of_row(row): row for row in _RESOURCES.rows(app.id)},
            memory=dict(app.memory or {}),
        )
        frame._arrive()
        return frame

    @property
    def _place(self) -> list[str]:
        return [str(self.app.cluster_id), self.app.cluster.uid]

    def _arrive(self) -> None:
        """In another cluster, or in one that was built anew, nothing that was seen before counts: not even versions."""
        here, before = self._place, self.memory.get("seen_in") or self._place
        rebuilt = bool(before[1] and here[1]) and before[1] != here[1]
        if before[0] == here[0] and not rebuilt:
            return
        for key in list(self.rows):
            self.change(key, **_UNSEEN)
        for name in ("heals", "drifted", "fights", "hooks"):
            self.memory.pop(name, None)

    def settle(self) -> None:
        """The rows are about to be stored: they speak of the cluster that this pass saw."""
        here, before = self._place, self.memory.get("seen_in") or self._place
        self.memory["seen_in"] = before if before[0] == here[0] and not here[1] else here

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Milliseconds per stage, shown per application (performance.md 3.10)."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - started) * 1000
            self.stages[name] = round(self.stages.get(name, 0.0) + spent, 2)

    def row(self, key: ResourceKey) -> ResourceStatus:
        """The row of a resource, made when it is new."""
        if key not in self.rows:
            self.rows[key] = ResourceStatus(
                application=self.app, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name
            )
            self.dirty.add(key)
        return self.rows[key]

    def change(self, key: ResourceKey, **values: Any) -> None:
        """Set fields of a row; only rows that differ are stored."""
        row = self.row(key)
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
                self.dirty.add(key)

    def forget(self, key: ResourceKey) -> None:
        """The resource is gone and unwanted: its row goes too."""
        if self.rows.pop(key, None) is not None:
            self.dropped.add(key)
            self.dirty.discard(key)

    def condition(self, type_: str, message: str, code: str = "") -> None:
        """A standing fact; `since` stays from the first pass that saw the same one."""
        before = {(c["type"], c.get("message")): c.get("since") for c in self.app.conditions}
        since = before.get((type_, message[:500])) or self.now.isoformat()
        self.conditions.append({"type": type_, "code": code, "message": message[:500], "since": since})


def key_of_row(row: ResourceStatus) -> ResourceKey:
    return ResourceKey(row.group, row.kind, row.namespace, row.name)


_connections: dict[uuid.UUID, tuple[int, Connection]] = {}


def connection_of(cluster: Cluster) -> Connection:
    """The Connection of a cluster, decrypted once per process and generation."""
    held = _connections.get(cluster.id)
    if held is None or held[0] != cluster.generation:
        held = _connections[cluster.id] = (cluster.generation, cluster.connection())
    return held[1]
