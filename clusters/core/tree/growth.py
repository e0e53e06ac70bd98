"""From flat lists to a tree, a smaller tree, and the objects that belong to nobody."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from clusters.core.health import Health, assess
from clusters.core.manifests import Manifest, ResourceKey, key_of, metadata_map
from clusters.core.tree.edges import parents_of, targets_of
from clusters.core.tree.facts import Facts, facts_of

_NEVER_ORPHANS = {("", "Event"), ("events.k8s.io", "Event"), ("", "Endpoints")} | {
    ("discovery.k8s.io", "EndpointSlice"),
    ("coordination.k8s.io", "Lease"),
}


_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type


@dataclass(frozen=True, slots=True)
class Node:
    """One object of the tree. `parents` is empty for roots; `targets` is where its traffic goes.

    `managed`: it is one of the Application's own resources. `live` is False for those that do not exist.
    """

    key: ResourceKey
    parents: tuple[ResourceKey, ...]
    health: Health | None
    facts: Facts
    managed: bool = False
    live: bool = True
    uid: str = ""
    version: str = ""
    targets: tuple[ResourceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Fold:
    """Leaves of one kind below one parent, too many to show one by one. `statuses`: how many of each."""

    parent: ResourceKey | None
    group: str
    kind: str
    count: int
    statuses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes, each after one of its parents; `folds` stand for leaves left out by `fold`."""

    nodes: tuple[Node, ...]
    folds: tuple[Fold, ...] = ()

    def children_of(self, key: ResourceKey) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if key in node.parents)


def resource_tree(
    managed: Iterable[ResourceKey],
    objects: Iterable[Manifest],
    health: Callable[[Manifest], Health | None] = assess,
) -> Tree:
    """The managed resources and everything below them.

    `objects` is any flat list of live objects that holds them; what hangs below no managed resource is left out.
    A managed resource that is not live is a root without body, Missing.
    """
    live = {key_of(obj): obj for obj in objects if _has_identity(obj)}
    roots = dict.fromkeys(managed)
    parents = parents_of(live)
    children: dict[ResourceKey, list[ResourceKey]] = defaultdict(list)
    for key, above in parents.items():
        for parent in above:
            children[parent].append(key)
    order = _walk(roots, parents, children)
    pods: dict[str, list[tuple[ResourceKey, Manifest]]] = defaultdict(list)
    for key in order:
        if key[:2] == ("", "Pod") and key in live:
            pods[key.namespace].append((key, live[key]))
    nodes = []
    for key in order:
        above = tuple(parent for parent in parents.get(key, ()) if parent in order)
        nodes.append(_node(key, live.get(key), above, key in roots, health, pods[key.namespace]))
    return Tree(tuple(nodes))


def _has_identity(obj: Manifest) -> bool:
    metadata = obj.get("metadata")
    named = isinstance(metadata, dict) and isinstance(metadata.get("name"), str)
    return named and isinstance(obj.get("kind"), str) and isinstance(obj.get("apiVersion"), str)


def _walk(
    roots: Mapping[ResourceKey, None],
    parents: Mapping[ResourceKey, tuple[ResourceKey, ...]],
    children: Mapping[ResourceKey, list[ResourceKey]],
) -> dict[ResourceKey, None]:
    """Breadth first from the topmost managed resources; each object once, so that cycles end."""
    tops = [key for key in roots if not any(parent in roots for parent in parents.get(key, ()))]
    order: dict[ResourceKey, None] = {}
    for start in (tops, roots):  # the second round finds managed resources that own each other in a circle
        waiting = list(start)
        for key in waiting:  # the list grows while it is walked
            if key not in order:
                order[key] = None
                waiting.extend(sorted(children.get(key, ())))
    return order


def _node(
    key: ResourceKey,
    obj: Manifest | None,
    parents: tuple[ResourceKey, ...],
    managed: bool,
    health: Callable[[Manifest], Health | None],
    pods: list[tuple[ResourceKey, Manifest]],
) -> Node:
    if obj is None:
        return Node(key, parents, Health("Missing", "it does not exist"), Facts(), managed, live=False)
    return Node(
        key,
        parents,
        health(obj),
        facts_of(obj),
        managed,
        uid=str(obj["metadata"].get("uid") or ""),
        version=obj["apiVersion"].rpartition("/")[2],
        targets=targets_of(key, obj, pods),
    )


def fold(tree: Tree, *, limit: int = 500, keep: int = 10) -> Tree:
    """A tree of `limit` nodes or more, made readable: managed resources stay, large crowds become one Fold.

    A crowd is more than `keep` leaves of one kind below one parent.
    """
    if len(tree.nodes) < limit:
        return tree
    has_children = {parent for node in tree.nodes for parent in node.parents}
    groups: dict[tuple[ResourceKey | None, str, str], list[Node]] = defaultdict(list)
    for node in tree.nodes:
        if not node.managed and node.key not in has_children:
            groups[(node.parents[0] if node.parents else None, node.key.group, node.key.kind)].append(node)
    large = {key: nodes for key, nodes in groups.items() if len(nodes) > keep}
    hidden = {node.key for nodes in large.values() for node in nodes}
    folds = []
    for (parent, group, kind), nodes in large.items():
        counts = Counter(node.health.status if node.health else "" for node in nodes)
        folds.append(Fold(parent, group, kind, len(nodes), tuple(sorted(counts.items()))))
    return Tree(tuple(node for node in tree.nodes if node.key not in hidden), tuple(folds))


def orphans(
    objects: Iterable[Manifest],
    *,
    namespaces: Collection[str],
    owned: Collection[ResourceKey],
    permitted: Callable[[ResourceKey], bool] = lambda _key: True,
    ignored: Callable[[ResourceKey], bool] = lambda _key: False,
) -> tuple[ResourceKey, ...]:
    """Top-level objects in `namespaces` that no Application owns (access-and-api.md 1.9), sorted.

    `owned` are the keys managed by any Application; `permitted` says whether the Project may hold such an object,
    `ignored` whether one of its ignore rules names it. `objects` may be metadata-only.
    """
    live = {key_of(obj): obj for obj in objects if _has_identity(obj)}
    children = parents_of(live)
    return tuple(
        sorted(
            key
            for key, obj in live.items()
            if key.namespace in namespaces
            and key.namespace
            and key not in owned
            and key not in children
            and not _comes_by_itself(key, obj)
            and permitted(key)
            and not ignored(key)
        )
    )


def _comes_by_itself(key: ResourceKey, obj: Manifest) -> bool:
    """Made by Kubernetes or a controller, not by a person: such an object is nobody's orphan."""
    if obj["metadata"].get("ownerReferences") or key[:2] in _NEVER_ORPHANS:
        return True
    if key[:2] == ("", "Secret"):
        account = metadata_map(obj, "annotations").get("kubernetes.io/service-account.name")
        return account == "default" and obj.get("type", _TOKEN) == _TOKEN
    return key[:2] + key[3:] in (
        ("", "ServiceAccount", "default"),
        ("", "ConfigMap", "kube-root-ca.crt"),
    ) or key == (("", "Service", "default", "kubernetes"))
