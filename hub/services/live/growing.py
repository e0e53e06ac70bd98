"""The tree of an Application, grown when somebody looks: its resources, what they brought forth, and orphans."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import hub.services.health_rules as health_rules
from clusters.core.connection import Connection
from clusters.core.discovery import Discovery
from clusters.core.health import Health
from clusters.core.manifests import (
    TRACKING_ANNOTATION,
    Manifest,
    ResourceKey,
    is_self_reference,
    metadata_map,
    parse_tracking_id,
)
from clusters.core.plan.steps import Action, Step
from clusters.core.tree import (
    Fold,
    Node,
    Tree,
    fold,
    kinds_below,
    ordinary_kinds,
    orphans,
    references_of,
    resource_tree,
)
from clusters.errors import ClusterError
from clusters.services import assess_health, carry_out, discovery, list_in
from hub.errors import HubError
from hub.models import Application, ResourceStatus
from hub.services.live.belonging import Belonging

FOLD_FROM = 500
# Hooks have no row: they are known by the tracking id that they carry.
_HOOKS = (("batch", "Job"), ("", "Pod"))
_NEVER_FETCHED = frozenset({("", "Secret"), ("", "ConfigMap")})
MOST_NAMED, MOST_ROUNDS = 200, 3
Kind = tuple[str, str]


@dataclass
class Grown:
    """A tree with the rows of its resources, and the kinds that could not be listed, with the reason."""

    tree: Tree
    rows: dict[ResourceKey, ResourceStatus]
    connection: Connection
    discovery: Discovery
    incomplete: dict[Kind, str] = field(default_factory=dict)


def tree(app: Application, *, with_orphans: bool = False) -> dict[str, Any]:
    """Nodes, folds (from 500 nodes on), orphans when asked for, and what is missing. Raises ClusterError, or HubError
    `orphans_off` when the Project does not look for orphans."""
    if with_orphans and not _orphan_rules(app).get("enabled"):
        raise HubError(
            "orphans_off",
            f"project {app.project.name} does not look for orphans",
            "set rules.orphans.enabled",
            status=409,
        )
    grown = grow(app)
    shown = fold(grown.tree, limit=FOLD_FROM)
    answer: dict[str, Any] = {
        "nodes": [_node(node, grown.rows.get(node.key)) for node in shown.nodes],
        "folds": [_fold(each) for each in shown.folds],
    }
    if with_orphans:
        answer["orphans"] = [key._asdict() for key in _orphans(app, grown)]
    answer["incomplete"] = [
        {"group": group, "kind": kind, "message": message}
        for (group, kind), message in sorted(grown.incomplete.items())
    ]
    return answer


def grow(app: Application, *, managed_only: bool = False) -> Grown:
    """List the kinds of its resources and those below them in its namespaces. `managed_only`: without what it wants
    and does not hold. Raises ClusterError when the cluster cannot be asked at all."""
    belonging = Belonging(app)
    rows = {
        key: row
        for row in app.resources.filter(is_hook=False)
        .exclude(reason="not_permitted")
        .defer("baseline", "drift")
        if belonging.permits(key := ResourceKey(row.group, row.kind, row.namespace, row.name))
    }
    connection = app.cluster.connection()
    served = discovery(connection)
    roots = {kind for key in rows if served.find(*(kind := key[:2])) is not None}
    namespaced = {kind for kind in roots if served.kinds[kind].namespaced}
    namespaces = sorted({key.namespace for key in rows if key.namespace})
    lists = list_in(connection, {*namespaced, *_HOOKS, *kinds_below({*roots, *_HOOKS}, served)}, namespaces)
    objects = {**lists.objects, **_cluster_scoped(connection, rows, roots - namespaced)}
    managed = {key for key, obj in objects.items() if belonging.manages(key, obj)}
    for key in [key for key in rows if key in objects and key not in managed]:
        # Somebody else's object: it is shown as it is, what hangs below it is not ours to show.
        objects[key] = _bare(objects[key])
        if managed_only:
            del objects[key]
    roots_of_tree, health = {**rows, **dict.fromkeys(managed)}, _health_of(app, rows, objects)
    grown = resource_tree(roots_of_tree, objects.values(), health)
    for _ in range(MOST_ROUNDS):
        if not (further := _named_elsewhere(connection, served, grown, objects)):
            break
        objects |= further
        grown = resource_tree(roots_of_tree, objects.values(), health)
    return Grown(grown, rows, connection, served, {kind: e.message for kind, e in lists.errors.items()})


def _named_elsewhere(
    connection: Connection, served: Discovery, grown: Tree, objects: Mapping[ResourceKey, Manifest]
) -> dict[ResourceKey, Manifest]:
    """What objects of the tree name and no listing of their namespaces brought: volumes, composed resources."""
    wanted: dict[ResourceKey, None] = {}
    for node in grown.nodes:
        for key in references_of(node.key, objects.get(node.key, {})):
            info = served.find(key.group, key.kind)
            if info is not None and key[:2] not in _NEVER_FETCHED:
                wanted[key if info.namespaced else key._replace(namespace="")] = None
    return _read(connection, [key for key in wanted if key not in objects][:MOST_NAMED])


def _cluster_scoped(
    connection: Connection, rows: Mapping[ResourceKey, ResourceStatus], kinds: set[Kind]
) -> dict[ResourceKey, Manifest]:
    return _read(connection, [key for key in rows if key[:2] in kinds])


def _read(connection: Connection, keys: Collection[ResourceKey]) -> dict[ResourceKey, Manifest]:
    gets = tuple(Action("get", key) for key in keys)
    if not gets:
        return {}
    outcomes = carry_out(connection, Step("adopt", "read for the tree", (gets,), False))
    return {each.action.key: each.object for each in outcomes if each.object is not None}


def _bare(obj: Manifest) -> Manifest:
    named = {name: obj["metadata"].get(name) for name in ("name", "namespace", "creationTimestamp")}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": named}


def _health_of(
    app: Application, rows: Mapping[ResourceKey, ResourceStatus], objects: Mapping[ResourceKey, Manifest]
) -> Any:
    """What the last look said of the Application's own resources; children are judged now."""
    book = health_rules.book_of(app.project)
    known = {id(objects[key]): row for key, row in rows.items() if key in objects}

    def health(obj: Manifest) -> Health | None:
        row = known.get(id(obj))
        if row is None:
            return assess_health(obj, book)
        return Health(row.health, row.health_message) if row.health else None

    return health


def _node(node: Node, row: ResourceStatus | None) -> dict[str, Any]:
    return {
        **node.key._asdict(),
        "version": node.version or (row.version if row else ""),
        "uid": node.uid,
        "parents": [key._asdict() for key in node.parents],
        "targets": [key._asdict() for key in node.targets],
        "managed": node.managed,
        "live": node.live,
        "status": row.status if row else "",
        "message": row.message if row else "",
        "health": node.health.status if node.health else "",
        "health_message": node.health.message[:500] if node.health else "",
        "images": list(node.facts.images),
        "created": node.facts.created,
        "deleting": node.facts.deleting,
        "info": dict(node.facts.info),
        "addresses": list(node.facts.addresses),
    }


def _fold(each: Fold) -> dict[str, Any]:
    return {
        "parent": each.parent._asdict() if each.parent else None,
        "group": each.group,
        "kind": each.kind,
        "count": each.count,
        "health": dict(each.statuses),
    }


def _orphan_rules(app: Application) -> Mapping[str, Any]:
    rules = (app.project.rules or {}).get("orphans")
    return rules if isinstance(rules, Mapping) else {}


def _orphans(app: Application, grown: Grown) -> tuple[ResourceKey, ...]:
    owned = {node.key for node in grown.tree.nodes}
    found, failed = orphans_in(app, grown.connection, grown.discovery, owned)
    grown.incomplete.update({kind: _why(error) for kind, error in failed.items()})
    return found


def orphans_in(
    app: Application,
    connection: Connection,
    served: Discovery,
    more_owned: Collection[ResourceKey] = frozenset(),
) -> tuple[tuple[ResourceKey, ...], dict[Kind, ClusterError]]:
    """(objects of the destination namespace that no Application owns, the kinds whose list failed) (1.9)."""
    namespace = app.destination_namespace
    if not namespace:
        return (), {}
    lists = list_in(connection, ordinary_kinds(served), [namespace], metadata_only=True)
    rows = ResourceStatus.objects.filter(application__cluster=app.cluster, namespace=namespace)
    owned = {ResourceKey(*row) for row in rows.values_list("group", "kind", "namespace", "name")}
    ignore = [entry for entry in _orphan_rules(app).get("ignore") or () if isinstance(entry, Mapping)]
    found = orphans(
        (obj for obj in lists.objects.values() if not _is_managed(obj)),
        namespaces=[namespace],
        owned=owned | set(more_owned),
        permitted=Belonging(app).permits,
        ignored=lambda key: any(_names(entry, key) for entry in ignore),
    )
    return found, lists.errors


def _is_managed(obj: Manifest) -> bool:
    """Hooks have no row, but carry a tracking id like all that an Application owns."""
    tracked = parse_tracking_id(str(metadata_map(obj, "annotations").get(TRACKING_ANNOTATION) or ""))
    return tracked is not None and is_self_reference(obj, tracked)


def _names(entry: Mapping[str, Any], key: ResourceKey) -> bool:
    parts = {"group": key.group, "kind": key.kind, "name": key.name}
    return all(fnmatchcase(value, str(entry.get(name) or "*")) for name, value in parts.items())


def _why(error: ClusterError) -> str:
    return f"not listed: {error.message}"
