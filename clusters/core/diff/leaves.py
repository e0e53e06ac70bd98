"""The leaf set: which fields of a live object are ours (sync-semantics.md 6.3).

A leaf set is a plain JSON value, so that it can be stored and used without a compile step:

- `1` the value as a whole; `2` only its presence (an empty map or list that we sent); `3` a secret value, kept as HMAC;
- `{field: node}` a granular map;
- `["k", [key names], {selector: node}]` a list whose items are known by key, selector as in `name="c"`;
- `["v", [values]]` a set: only our values count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import orjson

from clusters.core.diff.schema import type_of
from clusters.core.diff.types import ANY, Type
from clusters.core.manifests import FIELD_MANAGER, LAST_APPLIED_ANNOTATION, Manifest, is_secret

LeafSet = Any
Fields = dict[str, Any]

WHOLE, PRESENCE, SECRET = 1, 2, 3
KEYED, SET = "k", "v"
_ABSENT = object()
_SELF = frozenset(("apiVersion", "kind", "status"))


def owned_fields(
    managed_fields: Iterable[Fields] | None, manager: str = FIELD_MANAGER, operation: str = "Apply"
) -> Fields | None:
    """The fieldsV1 tree of one managedFields entry (not of a subresource), or None when there is none."""
    for entry in managed_fields or ():
        if (
            entry.get("manager") == manager
            and entry.get("operation") == operation
            and not entry.get("subresource")
        ):
            tree: Fields | None = entry.get("fieldsV1")
            return tree
    return None


def leaf_set(
    managed_fields: Iterable[Fields] | None,
    *,
    manager: str = FIELD_MANAGER,
    operation: str = "Apply",
    sent: Manifest | None = None,
    sensitive_annotations: Collection[str] = (),
) -> LeafSet | None:
    """What `manager` owns, as the answer of our own apply lists it, without `status`; None when it is not listed.

    `sent` is the applied manifest: a granular map or list that it sends empty counts by its presence only, and its
    kind decides which values are secret.
    """
    tree = owned_fields(managed_fields, manager, operation)
    if tree is None:
        return None
    body = sent or {}
    kept = {
        name: below for name, below in tree.items() if name != "f:status" and (below or name != "f:metadata")
    }
    leaves = _node(kept, body, type_of(body)) if kept else {}
    return _with_secrets(leaves, body, sensitive_annotations)


def leaf_set_of_manifest(manifest: Manifest, sensitive_annotations: Collection[str] = ()) -> LeafSet:
    """The leaf set that an apply of `manifest` will have, derived from the shipped list types: before a first apply,
    and after a PUT (whose managedFields entry lists only what changed)."""
    schema = type_of(manifest)
    leaves = {
        name: _leaves(value, schema.field(name), identity=name == "metadata")
        for name, value in manifest.items()
        if name not in _SELF
    }
    if not leaves.get("metadata"):
        leaves.pop("metadata", None)
    return _with_secrets(leaves, manifest, sensitive_annotations)


def selector(item: Any, keys: Iterable[str], schema: Type = ANY) -> str:
    """How a list item is named by its key: `name="c"`, `containerPort=80,protocol="TCP"`."""
    parts = []
    for key in keys:
        value = item.get(key) if isinstance(item, dict) else None
        if value is None:
            value = schema.key_defaults.get(key)
        parts.append(f"{key}={orjson.dumps(value).decode()}")
    return ",".join(parts)


def empty_leaf_set(leaves: LeafSet) -> bool:
    """Whether nothing at all is in the set."""
    return leaves is None or leaves == {}


def leaf_at(leaves: LeafSet, path: Iterable[str]) -> LeafSet | None:
    """The node at a path of steps (`.spec`, `[name="c"]`, `[="x"]`), None when the set does not reach it.

    A path inside a value that counts as a whole reaches that value.
    """
    node = leaves
    for step in path:
        if node in (WHOLE, PRESENCE, SECRET):
            return node
        if isinstance(node, dict):
            node = node.get(step[1:]) if step.startswith(".") else None
        elif node and node[0] == KEYED:
            node = node[2].get(step[1:-1])
        elif node:
            node = WHOLE if any(f"[={orjson.dumps(value).decode()}]" == step for value in node[1]) else None
        if node is None:
            return None
    return node


def _node(tree: Fields, sent: Any, schema: Type) -> LeafSet:
    names = [name for name in tree if name != "."]
    if not names:
        return _end(tree, sent, schema)
    mark = names[0][:2]
    if mark == "f:":
        below = sent if isinstance(sent, dict) else {}
        return {
            name[2:]: _node(tree[name], below.get(name[2:], _ABSENT), schema.field(name[2:]))
            for name in names
        }
    if mark == "k:":
        return _keyed(tree, names, sent, schema)
    if mark == "v:":
        return [SET, [orjson.loads(name[2:]) for name in names]]
    return WHOLE


def _end(tree: Fields, sent: Any, schema: Type) -> LeafSet:
    """A leaf. An empty map that we sent is a leaf too, though its contents may be others' (facts C12)."""
    if "." in tree or sent is None:
        return PRESENCE
    if sent == {} and isinstance(sent, dict):
        return WHOLE if schema.form == "atomic" else PRESENCE
    if sent == [] and isinstance(sent, list):
        return PRESENCE if schema.form in ("keyed", "set") else WHOLE
    return WHOLE


def _keyed(tree: Fields, names: list[str], sent: Any, schema: Type) -> LeafSet:
    keys = sorted(orjson.loads(names[0][2:]))
    items = sent if isinstance(sent, list) else []
    ours = {selector(item, keys, schema): item for item in items}
    nodes: dict[str, LeafSet] = {}
    for name in names:
        place = selector(orjson.loads(name[2:]), keys, schema)
        nodes[place] = _node(tree[name], ours.get(place, _ABSENT), schema.item)
    return [KEYED, keys, nodes]


def _leaves(value: Any, schema: Type, *, identity: bool = False) -> LeafSet:
    if isinstance(value, dict):
        if schema.form == "atomic":
            return WHOLE
        below = {
            name: _leaves(item, schema.field(name))
            for name, item in value.items()
            if not (identity and name in ("name", "namespace"))
        }
        return below or (PRESENCE if not identity else {})
    if isinstance(value, list) and schema.form == "keyed":
        keys = sorted(schema.keys)
        if not value:
            return PRESENCE
        return [KEYED, keys, {selector(item, keys, schema): _leaves(item, schema.item) for item in value}]
    if isinstance(value, list) and schema.form == "set":
        return [SET, list(value)] if value else PRESENCE
    return WHOLE


def _with_secrets(leaves: LeafSet, body: Manifest, sensitive_annotations: Collection[str]) -> LeafSet:
    """Leaves whose values never leave the worker: Secret values, listed annotations, last-applied."""
    if not isinstance(leaves, dict):
        return leaves
    if is_secret(body):
        for name in ("data", "stringData"):
            if isinstance(leaves.get(name), dict):
                leaves[name] = dict.fromkeys(leaves[name], SECRET)
            elif leaves.get(name) == WHOLE:
                leaves[name] = SECRET
    metadata = leaves.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(annotations, dict):
        for name in annotations:
            if name == LAST_APPLIED_ANNOTATION or name in sensitive_annotations:
                annotations[name] = SECRET
    return leaves
