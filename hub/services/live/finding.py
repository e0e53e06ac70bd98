"""One live object of an Application, fetched by the hub (C5)."""

from __future__ import annotations

from dataclasses import dataclass

from clusters import errors
from clusters.core.manifests import Manifest, ResourceKey
from clusters.services import discovery, get_object
from hub.models import Application
from hub.services.live.belonging import Belonging, climbs_to
from hub.services.live.growing import grow
from hub.services.rights import NotFound


@dataclass(frozen=True, slots=True)
class Found:
    """A live object of an Application. `wanted`: it is one of its own resources or hooks, not a child of one. `managed`: it, or
    the resource above it, carries our tracking id: only then may people act on it."""

    key: ResourceKey
    obj: Manifest
    wanted: bool
    managed: bool


def find(app: Application, key: ResourceKey) -> Found:
    """Fetch the object. Raises NotFound, the same for what does not exist, is foreign, or is not permitted (B1);
    ClusterError when the cluster cannot be asked."""
    connection = app.cluster.connection()
    served = discovery(connection)
    info = served.find(key.group, key.kind)
    belonging = Belonging(app)
    if info is None or info.namespaced != bool(key.namespace) or not belonging.permits(key):
        raise NotFound
    try:
        obj = get_object(connection, key)
    except (errors.NotFound, errors.Invalid, errors.KindNotServed):
        raise NotFound from None
    managed = belonging.manages(key, obj)
    if managed or belonging.wants(key):
        return Found(key, obj, wanted=True, managed=managed)
    if climbs_to(belonging, connection, served, obj, key.namespace) or _is_in_tree(app, key, obj):
        return Found(key, obj, wanted=False, managed=True)
    raise NotFound


def _is_in_tree(app: Application, key: ResourceKey, obj: Manifest) -> bool:
    """Children that no owner reference leads to (claims of templates, Secrets of Certificates, volumes, what Crossplane
    composed): what the tree shows."""
    metadata = obj["metadata"]
    if metadata.get("ownerReferences") and key.namespace:
        return False
    nodes = grow(app, managed_only=True).tree.nodes
    return any(node.key == key and node.uid == metadata.get("uid") and node.parents for node in nodes)
