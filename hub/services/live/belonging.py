"""Whether a live object belongs to an Application: it is wanted by it, or its owners lead to what it manages (C5)."""

from __future__ import annotations

from clusters import errors
from clusters.core.connection import Connection
from clusters.core.discovery import Discovery
from clusters.core.manifests import Manifest, ResourceKey, owner_of
from clusters.services import get_object
from hub.models import Application
from hub.services import fences
from hub.services.events import hub_id

DEEPEST, MOST_OWNERS = 8, 16


def is_wanted(app: Application, key: ResourceKey) -> bool:
    rows = app.resources.filter(**key._asdict(), is_hook=False).exclude(reason="not_permitted")
    return bool(rows.exists())


def is_managed(app: Application, key: ResourceKey, obj: Manifest) -> bool:
    return owner_of(obj, application=app.name, hub_id=hub_id(), target=key).kind == "ours"


def may_see(app: Application, key: ResourceKey, *, wanted: bool) -> bool:
    """The Project's fence. What a permitted object brought forth may be of any kind (rule 11 is about what is wanted),
    but lies in a permitted place."""
    found = fences.judge_key(app, key, namespaced=bool(key.namespace))
    return not [violation for violation in found if wanted or violation.rule != 11]


def climbs_to(
    app: Application, connection: Connection, served: Discovery, obj: Manifest, namespace: str
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
                if is_wanted(app, key) and is_managed(app, key, body):
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
