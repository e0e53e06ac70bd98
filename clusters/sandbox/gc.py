"""Garbage collection by ownerReferences: background, foreground, orphan, and owners that never were."""

from __future__ import annotations

from functools import partial
from typing import Any

import clusters.sandbox.deletes as deletes
from clusters.sandbox.backend import Backend
from clusters.sandbox.deletes import FOREGROUND, ORPHAN
from clusters.sandbox.store import Change, Place, Table

Manifest = dict[str, Any]


class Collector:
    """Follows the writes of one cluster and removes what has no owner any more."""

    def __init__(self, backend: Backend) -> None:
        self.b = backend
        backend.store.listeners.append(self._saw)

    def _saw(self, table: Table, change: Change) -> None:
        metadata = change.new["metadata"]
        owners = metadata.get("ownerReferences") or ()
        if change.gone:
            uid = metadata["uid"]
            if self.b.store.dependents.get(uid):
                self.b.later(0, lambda: self._owner_gone(uid))
            for owner in owners:
                self.b.later(0, partial(self._look_at, owner["uid"]))
            return
        if change.old is None and owners:
            self.b.later(0, lambda: self._check_owners(table, change.place))
        finalizers = metadata.get("finalizers") or ()
        if metadata.get("deletionTimestamp") and (FOREGROUND in finalizers or ORPHAN in finalizers):
            self.b.later(0, partial(self._look_at, metadata["uid"]))

    def _check_owners(self, table: Table, place: Place) -> None:
        obj = table.objects.get(place)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        owners = obj["metadata"].get("ownerReferences") or ()
        if owners and not any(self.b.store.by_uid(owner["uid"]) for owner in owners):
            self._delete(table, place)

    def _owner_gone(self, uid: str) -> None:
        for table, place, obj in self.b.store.dependents_of(uid):
            owners = obj["metadata"]["ownerReferences"]
            living = [owner for owner in owners if self.b.store.by_uid(owner["uid"])]
            if living:
                self._set_owners(table, place, obj, living)
            else:
                self._delete(table, place)

    def _delete(self, table: Table, place: Place, propagation: str = "") -> None:
        served = self.b.registry.stored(table.group, table.resource)
        obj = table.objects.get(place)
        if served is None or obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        finalizers = obj["metadata"].get("finalizers") or ()
        if not propagation:
            propagation = (
                "Orphan"
                if ORPHAN in finalizers
                else "Foreground"
                if FOREGROUND in finalizers
                else "Background"
            )
        deletes.delete(self.b, served, *place, deletes.DeleteOptions(propagation))

    def _set_owners(self, table: Table, place: Place, obj: Manifest, owners: list[Manifest]) -> None:
        metadata = {**obj["metadata"], "ownerReferences": owners}
        if not owners:
            del metadata["ownerReferences"]
        self.b.store.write(table, place, {**obj, "metadata": metadata})

    def _look_at(self, uid: str) -> None:
        """Go on with an owner that waits for its dependents, or lets them go."""
        held = self.b.store.by_uid(uid)
        if held is None:
            return
        table, place, obj = held
        finalizers = obj["metadata"].get("finalizers") or []
        if not obj["metadata"].get("deletionTimestamp"):
            return
        if ORPHAN in finalizers:
            for other, at, dependent in self.b.store.dependents_of(uid):
                owners = dependent["metadata"]["ownerReferences"]
                self._set_owners(other, at, dependent, [o for o in owners if o["uid"] != uid])
            self.drop_finalizer(table, place, ORPHAN)
        elif FOREGROUND in finalizers:
            dependents = self.b.store.dependents_of(uid)
            for other, at, dependent in dependents:
                has_own = bool(self.b.store.dependents.get(dependent["metadata"]["uid"]))
                self._delete(other, at, "Foreground" if has_own else "")
            if not any(self._blocks(dependent, uid) for _, _, dependent in self.b.store.dependents_of(uid)):
                self.drop_finalizer(table, place, FOREGROUND)

    def _blocks(self, dependent: Manifest, uid: str) -> bool:
        owners = dependent["metadata"]["ownerReferences"]
        return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)

    def drop_finalizer(self, table: Table, place: Place, finalizer: str) -> None:
        """Take one finalizer away; without the last one the object goes."""
        obj = table.objects.get(place)
        if obj is None:
            return
        metadata = dict(obj["metadata"])
        left = [name for name in metadata.get("finalizers") or () if name != finalizer]
        metadata["finalizers"] = left
        if not left:
            del metadata["finalizers"]
        out = {**obj, "metadata": metadata}
        served = self.b.registry.stored(table.group, table.resource)
        wanted = served is not None and deletes.still_wanted(served, out)
        gone = bool(metadata.get("deletionTimestamp")) and not left and not wanted
        self.b.store.write(table, place, out, gone=gone)
