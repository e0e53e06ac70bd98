"""Once a day: objects that carry our tracking id and lost the hub's label, so that no watch shows them (5.4).

What an Application wants is looked at by name whatever its label says. What it no longer wants is found here, and
becomes a row like any other managed object: the next pass reads it, and prunes it where that is wanted.
"""

from __future__ import annotations

import uuid
from collections import defaultdict

import hub.services.looks as looks
from clusters.core.manifests import (
    MANAGED_BY_LABEL,
    TRACKING_ANNOTATION,
    Manifest,
    ResourceKey,
    is_self_reference,
    metadata_map,
    parse_tracking_id,
)
from clusters.errors import ClusterError
from clusters.models import Cluster
from clusters.services import discovery, list_in
from hub.models import Application, ResourceStatus

EVERY_S = 24 * 3600.0


def due() -> list[uuid.UUID]:
    """Clusters that somebody deploys to."""
    used = Application.objects.values("cluster")
    return list(Cluster.objects.filter(paused=False, id__in=used).values_list("id", flat=True))


def find(cluster_id: uuid.UUID) -> list[uuid.UUID]:
    """Look through the kinds and namespaces in use, by metadata only. Returns the Applications that must look.

    A list that fails finds nothing this time; nothing is ever concluded from what is absent.
    """
    cluster = Cluster.objects.filter(id=cluster_id).first()
    if cluster is None:
        return []
    apps = {app.name: app for app in Application.objects.filter(cluster=cluster)}
    rows = ResourceStatus.objects.filter(application__cluster=cluster).order_by()
    kinds = set(rows.values_list("group", "kind").distinct())
    spaces = {name for name in rows.values_list("namespace", flat=True).distinct() if name}
    spaces |= {app.destination_namespace for app in apps.values() if app.destination_namespace}
    connection = cluster.connection()
    try:
        served = discovery(connection)
        infos = {kind: info for kind in kinds if (info := served.find(*kind)) is not None}
        found = list_in(
            connection, [k for k, i in infos.items() if i.namespaced], sorted(spaces), metadata_only=True
        ).objects
        if not connection.namespaces:
            whole = [kind for kind, info in infos.items() if not info.namespaced]
            found = {**found, **list_in(connection, whole, [""], metadata_only=True).objects}
    except ClusterError:
        return []
    lost: dict[uuid.UUID, list[ResourceKey]] = defaultdict(list)
    for key, obj in found.items():
        owner = apps.get(_owner(obj))
        if owner is not None:
            lost[owner.id].append(key)
    return looks.ask(_remember(lost), level=1)


def _owner(obj: Manifest) -> str:
    """The Application whose tracking id an object without any hub's label carries, empty for all others."""
    if MANAGED_BY_LABEL in metadata_map(obj, "labels"):
        return ""
    tracked = parse_tracking_id(str(metadata_map(obj, "annotations").get(TRACKING_ANNOTATION) or ""))
    return tracked.application if tracked is not None and is_self_reference(obj, tracked) else ""


def _remember(lost: dict[uuid.UUID, list[ResourceKey]]) -> list[uuid.UUID]:
    """Rows for what had none; the Applications that got one."""
    changed = []
    for app, keys in lost.items():
        known = {
            ResourceKey(*row)
            for row in ResourceStatus.objects.filter(application=app).values_list(
                "group", "kind", "namespace", "name"
            )
        }
        new = [key for key in keys if key not in known]
        ResourceStatus.objects.bulk_create(
            [ResourceStatus(application_id=app, **key._asdict()) for key in new], ignore_conflicts=True
        )
        if new:
            changed.append(app)
    return changed
