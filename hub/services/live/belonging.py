"""Whether a live object belongs to an Application: it is wanted by it, or its owners lead to what it manages (C5)."""

from __future__ import annotations

import hub.services.fences as fences
from clusters import errors
from clusters.core.connection import Connection
from clusters.core.discovery import Discovery
from clusters.core.manifests import Manifest, ResourceKey, owner_of
from clusters.services import get_object
from hub.models import Application
from hub.services.events import hub_id

DEEPEST, MOST_OWNERS = 8, 16


class Belonging:
    """The questions about one Application, with the rules of its Project read once."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self._judge = fences.judge_of(app)
        self._hub_id = hub_id()

    def wants(self, key: ResourceKey) -> bool:
        """Whether it is one of the Application's resources (a hook is not) that the Project permits."""
        rows = self.app.resources.filter(**key._asdict(), is_hook=False).exclude(reason="not_permitted")
        return self.permits(key) and bool(rows.exists())

    def manages(self, key: ResourceKey, obj: Manifest) -> bool:
        """Whether the object carries our tracking id for this Application, hooks too, and the Project permits it."""
        owner = owner_of(obj, application=self.app.name, hub_id=self._hub_id, target=key)
        return owner.kind == "ours" and self.permits(key)

    def permits(self, key: ResourceKey) -> bool:
        """The Project's fence. What a permitted object brought forth is shown in the tree whatever its kind; for its
        body, its log and what is done to it the kind has to be permitted, too (PR10)."""
        return not self._judge(key)


def climbs_to(
    belonging: Belonging, connection: Connection, served: Discovery, obj: Manifest, namespace: str
) -> bool:
    """Follow owner references upwards, by GET and by uid, until one is managed by the Application."""
    level, asked = [obj], 0
    for _ in range(DEEPEST):
        above: list[Manifest] = []
        for child in level:
            for reference in child["metadata"].get("ownerReferences") or ():
                asked += 1
                if asked > MOST_OWNERS:
                    return False
                owner = _owner(connection, served, reference, namespace)
                if owner is None:
                    continue
                key, body = owner
                if belonging.manages(key, body):
                    return True
                above.append(body)
        level = above
    return False


def _owner(
    connection: Connection, served: Discovery, reference: Manifest, namespace: str
) -> tuple[ResourceKey, Manifest] | None:
    group = str(reference.get("apiVersion") or "").rpartition("/")[0]
    info = served.find(group, str(reference.get("kind") or ""))
    if info is None or (info.namespaced and not namespace):
        return None
    key = ResourceKey(
        group, info.kind, namespace if info.namespaced else "", str(reference.get("name") or "")
    )
    try:
        body = get_object(connection, key)
    except (errors.NotFound, errors.Invalid, errors.Forbidden):
        return None
    return (key, body) if body["metadata"].get("uid") == reference.get("uid") else None
