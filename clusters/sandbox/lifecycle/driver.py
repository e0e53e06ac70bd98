"""The driver: from writes to the controllers that care."""

from __future__ import annotations

import clusters.sandbox.lifecycle.basics as basics
import clusters.sandbox.lifecycle.jobs as jobs
import clusters.sandbox.lifecycle.pods as pods
import clusters.sandbox.lifecycle.sets as sets
import clusters.sandbox.lifecycle.simple as simple
import clusters.sandbox.lifecycle.workloads as rollouts
from clusters.sandbox.backend import Backend
from clusters.sandbox.gc import Collector
from clusters.sandbox.lifecycle.tools import Reconcile, Tools
from clusters.sandbox.store import Change, Place, Table


class Controllers:
    """All controllers of one cluster. `workloads=False` keeps only namespaces, kinds and garbage collection."""

    def __init__(self, backend: Backend, *, workloads: bool = True) -> None:

        self.b = backend
        self.tools = Tools(backend)
        self.rules: dict[tuple[str, str], Reconcile] = dict(basics.RULES)
        self.removals: dict[tuple[str, str], Reconcile] = dict(basics.REMOVALS)
        if workloads:
            for module in (pods, rollouts, sets, jobs, simple):
                self.rules |= module.RULES
        self.waiting: set[tuple[str, str, Place]] = set()

    def begin(self) -> None:
        """Follow all writes, make what every cluster has, and look at what an earlier run left."""
        Collector(self.b)
        self.b.store.listeners.append(self._saw)
        basics.found_cluster(self.tools)
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
