"""What all controllers share: reading, creating, changing status, deleting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import clusters.sandbox.deletes as deletes
import clusters.sandbox.writes as writes
from clusters.sandbox.answers import ApiError
from clusters.sandbox.backend import Backend, Options
from clusters.sandbox.registry import Served
from clusters.sandbox.store import Place

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
