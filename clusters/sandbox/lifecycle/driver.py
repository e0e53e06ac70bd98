"""The driver: from writes to the controllers that care, and the tools controllers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.sandbox import deletes, writes
from clusters.sandbox.answers import ApiError
from clusters.sandbox.backend import Backend, Options
from clusters.sandbox.gc import Collector
from clusters.sandbox.registry import Served
from clusters.sandbox.store import Change, Place, Table

Manifest = dict[str, Any]
MANAGER = "kube-controller-manager"


class Tools:
    """What a controller may do: read, create, change status, delete, come back later."""

    def __init__(self, backend: Backend) -> None:
        self.b = backend
        self._kinds: dict[tuple[str, str], Served] = {}

    def kind(self, api_version: str, kind: str) -> Served:
        key = (api_version, kind)
        if key not in self._kinds:
            self._kinds[key] = self.b.served(api_version, kind)
        return self._kinds[key]

    def get(self, served: Served, place: Place) -> Manifest | None:
        return self.b.store.get(served.group, served.resource, *place)

    def owned(self, owner: Manifest, resource: str) -> list[Manifest]:
        """Living dependents of `owner` in one resource, oldest first."""
        found = self.b.store.dependents_of(owner["metadata"]["uid"])
        return [obj for table, _, obj in found if table.resource == resource]

    def create(
        self, served: Served, namespace: str, obj: Manifest, manager: str = MANAGER
    ) -> Manifest | None:
        """Create an object; None when it is refused (it exists, or its namespace goes)."""
        try:
            return writes.create(
                self.b, served, namespace, obj, Options(manager=manager, validation="Ignore")
            )
        except ApiError:
            return None

    def set_status(self, served: Served, obj: Manifest, status: Manifest, manager: str = MANAGER) -> None:
        """Replace the status, if it differs."""
        held = self.get(served, _place(obj))
        if held is None or held.get("status") == status:
            return
        writes.changed(self.b, served, held, {**held, "status": status}, Options(manager=manager), "status")

    def change(
        self, served: Served, obj: Manifest, manager: str = MANAGER, subresource: str = ""
    ) -> Manifest | None:
        """Write a changed object; None when that is refused."""
        held = self.get(served, _place(obj))
        if held is None:
            return None
        metadata = {**obj["metadata"], "resourceVersion": ""}
        try:
            new = {**obj, "metadata": metadata}
            return writes.changed(self.b, served, held, new, Options(manager=manager), subresource)
        except ApiError:
            return None

    def delete(self, served: Served, obj: Manifest, propagation: str = "Background") -> None:
        try:
            deletes.delete(self.b, served, *_place(obj), deletes.DeleteOptions(propagation))
        except ApiError as error:
            if error.code not in (403, 404, 409):
                raise

    def owner_reference(self, owner: Manifest) -> Manifest:
        metadata = owner["metadata"]
        return {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }


def _place(obj: Manifest) -> Place:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


Reconcile = Callable[[Tools, Manifest], None]


class Controllers:
    """All controllers of one cluster. `workloads=False` keeps only namespaces, kinds and garbage collection."""

    def __init__(self, backend: Backend, *, workloads: bool = True) -> None:
        from clusters.sandbox.lifecycle import basics, jobs, pods, sets, simple
        from clusters.sandbox.lifecycle import workloads as rollouts

        self.b = backend
        self.tools = Tools(backend)
        self.rules: dict[tuple[str, str], Reconcile] = dict(basics.RULES)
        self.removals: dict[tuple[str, str], Reconcile] = dict(basics.REMOVALS)
        if workloads:
            for module in (pods, rollouts, sets, jobs, simple):
                self.rules |= module.RULES
        self.waiting: set[tuple[str, str, Place]] = set()
        self.basics = basics

    def begin(self) -> None:
        """Follow all writes, make what every cluster has, and look at what an earlier run left."""
        Collector(self.b)
        self.b.store.listeners.append(self._saw)
        self.basics.found_cluster(self.tools)
        for table in list(self.b.store.tables.values()):
            for place in list(table.objects):
                self.ask(table, place)

    def _saw(self, table: Table, change: Change) -> None:
        self.ask(table, change.place)
        if change.gone:
            removal = self.removals.get((table.group, table.resource))
            if removal is not None:
                self.b.later(0, lambda: removal(self.tools, change.new))
        for owner in change.new["metadata"].get("ownerReferences") or ():
            held = self.b.store.by_uid(owner["uid"])
            if held is not None:
                self.ask(held[0], held[1])
        if change.gone and change.place[0]:
            namespace = self.b.store.get("", "namespaces", "", change.place[0])
            if namespace is not None and namespace["metadata"].get("deletionTimestamp"):
                self.ask(self.b.store.table("", "namespaces"), ("", change.place[0]))

    def ask(self, table: Table, place: Place) -> None:
        """Have an object looked at soon; asking twice is asking once."""
        key = (table.group, table.resource, place)
        if (table.group, table.resource) in self.rules and key not in self.waiting:
            self.waiting.add(key)
            self.b.later(0, lambda: self._look(table, place, key))

    def _look(self, table: Table, place: Place, key: tuple[str, str, Place]) -> None:
        self.waiting.discard(key)
        obj = table.objects.get(place)
        if obj is not None and not self.b.closed:
            self.rules[table.group, table.resource](self.tools, obj)
