"""The objects of one cluster: one Table per resource, versions, history and who watches it.

Stored objects are values: they are replaced, never changed in place, so lists, watches and snapshots share them.
Everything here runs in the thread of the server's loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

Manifest = dict[str, Any]
Place = tuple[str, str]
FIRST_VERSION = 1000
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Change:
    """One write: the object before and after it. `raw` is the encoded new state, made when first wanted."""

    __slots__ = ("_raw", "_raw_old", "gone", "new", "old", "place", "version")

    def __init__(self, version: int, place: Place, old: Manifest | None, new: Manifest, gone: bool) -> None:
        self.version = version
        self.place = place
        self.old = old
        self.new = new
        self.gone = gone
        self._raw: bytes | None = None
        self._raw_old: bytes | None = None

    @property
    def raw(self) -> bytes:
        if self._raw is None:
            self._raw = orjson.dumps(self.new)
        return self._raw

    def left(self) -> Manifest:
        """The state before the write with the version of the write: what a selector's DELETED carries."""
        old = self.old or self.new
        return {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}

    @property
    def raw_left(self) -> bytes:
        if self._raw_old is None:
            self._raw_old = orjson.dumps(self.left())
        return self._raw_old


@dataclass(slots=True)
class Table:
    """All objects of one resource by (namespace, name), and the last changes to them.

    `floor` is the newest version whose later changes are all known: reading from an older one is Expired.
    """

    group: str
    resource: str
    floor: int
    objects: dict[Place, Manifest] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    watchers: set[Any] = field(default_factory=set)
    _order: list[Place] | None = None
    _raw: dict[Place, tuple[Manifest, bytes]] = field(default_factory=dict)

    def order(self) -> list[Place]:
        """All places in the order of lists: by namespace, then name."""
        if self._order is None:
            self._order = sorted(self.objects)
        return self._order

    def encoded(self, place: Place, obj: Manifest) -> bytes:
        """The JSON of a stored object, kept until the object changes."""
        held = self._raw.get(place)
        if held is None or held[0] is not obj:
            held = (obj, orjson.dumps(obj))
            self._raw[place] = held
        return held[1]

    def put(self, change: Change) -> None:
        if change.gone:
            self.objects.pop(change.place, None)
            self._raw.pop(change.place, None)
            self._order = None
        else:
            if change.place not in self.objects:
                self._order = None
            self.objects[change.place] = change.new
        self.history.append(change)

    def trim(self, keep: int) -> None:
        while len(self.history) > keep:
            self.floor = self.history.popleft().version

    def since(self, version: int) -> Iterator[Change]:
        """Changes after `version`, oldest first."""
        if not self.history or self.history[-1].version <= version:
            return iter(())
        return iter([change for change in self.history if change.version > version])

    def snapshot(self, version: int) -> dict[Place, Manifest]:
        """All objects as they were at `version`, which must not be below `floor`."""
        objects = dict(self.objects)
        for change in reversed(self.history):
            if change.version <= version:
                break
            if change.old is None:
                objects.pop(change.place, None)
            else:
                objects[change.place] = change.old
        return objects


class Store:
    """The tables of one cluster and its one counter of versions.

    Listeners are called after each write with (table, change), in the order of registration.
    """

    def __init__(self, *, keep: int = 5000, version: int = FIRST_VERSION) -> None:
        self.version = version
        self.floor = version
        self.keep = keep
        self.tables: dict[tuple[str, str], Table] = {}
        self.listeners: list[Callable[[Table, Change], None]] = []
        self.dependents: dict[str, dict[tuple[str, str, Place], None]] = {}
        self.places: dict[str, tuple[Table, Place]] = {}

    def table(self, group: str, resource: str) -> Table:
        """The table of a resource; made when first asked for."""
        key = (group, resource)
        found = self.tables.get(key)
        if found is None:
            found = self.tables[key] = Table(group, resource, self.floor)
        return found

    def get(self, group: str, resource: str, namespace: str, name: str) -> Manifest | None:
        table = self.tables.get((group, resource))
        return table.objects.get((namespace, name)) if table else None

    def write(self, table: Table, place: Place, new: Manifest, *, gone: bool = False) -> Manifest:
        """Store `new` (or its removal) under the next version; the stored object is returned."""
        self.version += 1
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.version)}}
        old = table.objects.get(place)
        change = Change(self.version, place, old, new, gone)
        table.put(change)
        table.trim(self.keep)
        self._index(table, place, old, None if gone else new)
        for listener in self.listeners:
            listener(table, change)
        for watcher in tuple(table.watchers):
            watcher.saw(change)
        return new

    def load(self, table: Table, place: Place, obj: Manifest) -> None:
        """Take in an object from an earlier run, without history."""
        table.objects[place] = obj
        table._order = None
        self._index(table, place, None, obj)

    def _index(self, table: Table, place: Place, old: Manifest | None, new: Manifest | None) -> None:
        if new is None and old is not None:
            self.places.pop(old["metadata"].get("uid", ""), None)
        elif new is not None and old is None:
            self.places[new["metadata"].get("uid", "")] = (table, place)
        before = old["metadata"].get("ownerReferences") if old else None
        after = new["metadata"].get("ownerReferences") if new else None
        if before is after or before == after:
            return
        key = (table.group, table.resource, place)
        for reference in before or ():
            self.dependents.get(reference["uid"], {}).pop(key, None)
        for reference in after or ():
            self.dependents.setdefault(reference["uid"], {})[key] = None

    def dependents_of(self, uid: str) -> list[tuple[Table, Place, Manifest]]:
        """Objects whose ownerReferences name this uid."""
        out = []
        for group, resource, place in list(self.dependents.get(uid, ())):
            table = self.tables[group, resource]
            if place in table.objects:
                out.append((table, place, table.objects[place]))
        return out

    def by_uid(self, uid: str) -> tuple[Table, Place, Manifest] | None:
        """The living object with this uid."""
        held = self.places.get(uid)
        return (*held, held[0].objects[held[1]]) if held else None

    def compact(self) -> None:
        """Forget all history: every version before this one is Expired."""
        self.floor = self.version
        for table in self.tables.values():
            table.history.clear()
            table.floor = self.version
