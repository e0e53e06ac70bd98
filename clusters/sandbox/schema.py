"""The shape of kinds: which fields there are, of what type, and how lists merge.

Built-in kinds come from `data/kinds.json` (recorded facts of one Kubernetes release), custom kinds from the
`openAPIV3Schema` of their CustomResourceDefinition. Both become the same small tree of Nodes.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

SCALAR, STRUCT, MAP, ATOMIC_LIST, KEYED_LIST, SET_LIST, ANY = range(7)
LISTS = (ATOMIC_LIST, KEYED_LIST, SET_LIST)


class Node:
    """The type of one value.

    `scalar`: int32, int64, number, bool, string, time, bytes, quantity, int-or-string, any. `fields`: of a struct.
    `element`: of a map or list, or of the undeclared fields of an open struct. `patch`: merge key of a strategic
    merge patch (None: the list is replaced). `raw`: the OpenAPI schema of a custom kind's value. `empty`: what becomes
    of empty fields of a built-in struct: d left out, z written as zero, n written as null, s written as `{}`.
    """

    __slots__ = (
        "atomic",
        "element",
        "empty",
        "fields",
        "key_defaults",
        "keys",
        "kind",
        "name",
        "patch",
        "raw",
        "required",
        "scalar",
    )

    def __init__(self, kind: int, scalar: str = "") -> None:
        self.kind = kind
        self.scalar = scalar
        self.fields: dict[str, Node] = {}
        self.element: Node | None = None
        self.keys: tuple[str, ...] = ()
        self.key_defaults: dict[str, Any] = {}
        self.atomic = False
        self.required: tuple[str, ...] = ()
        self.patch: str | None = None
        self.raw: dict[str, Any] | None = None
        self.empty: dict[str, str] = {}
        self.name = ""


ANYTHING = Node(ANY)
ANYTHING.element = ANYTHING
SCALARS = {
    name: Node(SCALAR, name)
    for name in (
        "int32",
        "int64",
        "number",
        "bool",
        "string",
        "time",
        "bytes",
        "quantity",
        "int-or-string",
        "scalar",
    )
}


@cache
def recorded() -> dict[str, Any]:
    """The recorded facts: `version`, `resources`, `kinds`, `definitions`."""
    text = files("clusters.sandbox").joinpath("data", "kinds.json").read_bytes()
    facts: dict[str, Any] = orjson.loads(text)
    return facts


@cache
def _definition(name: str) -> Node:
    node = Node(STRUCT)
    node.name = name.rpartition(".")[2]
    return node


@cache
def definition(name: str) -> Node:
    """The Node of a recorded definition such as `core.v1.PodSpec`; definitions may refer to themselves."""
    node = _definition(name)
    facts = recorded()["definitions"][name]
    node.required = tuple(facts.get("required", ()))
    node.atomic = bool(facts.get("atomic"))
    node.key_defaults = facts.get("key_defaults", {})
    node.empty = facts.get("empty", {})
    for field, text in facts["fields"].items():
        node.fields[field] = _typed(text)
    return node


def _typed(text: Any) -> Node:
    if isinstance(text, str):
        if text.startswith("#"):
            return _reference_lazily(text[1:])
        return SCALARS.get(text) or ANYTHING
    if "ref" in text:
        node = Node(STRUCT)
        node.fields = _reference_lazily(text["ref"]).fields
        node.atomic = True
        return node
    if "map" in text:
        node = Node(MAP)
        node.element = _typed(text["map"])
        node.atomic = bool(text.get("atomic"))
        return node
    node = Node({"map": KEYED_LIST, "set": SET_LIST}.get(text.get("type", ""), ATOMIC_LIST))
    node.element = _typed(text["list"])
    node.keys = tuple(text.get("keys", ()))
    node.key_defaults = node.element.key_defaults
    node.patch = text.get("patch")
    return node


_open: set[str] = set()


def _reference_lazily(name: str) -> Node:
    """The Node of `name`, filled in unless it is being filled right now (a definition that holds itself)."""
    if name not in _open:
        _open.add(name)
        definition(name)
    return _definition(name)


@cache
def builtin(group: str, version: str, kind: str) -> Node | None:
    """The Node of a built-in kind, or None when nothing was recorded for it."""
    name = recorded()["kinds"].get(f"{group}/{version}/{kind}")
    return _reference_lazily(name) if name else None


def from_openapi(raw: dict[str, Any]) -> Node:
    """The Node of an OpenAPI v3 schema as CustomResourceDefinitions carry it."""
    node = _shape(raw)
    node.raw = raw
    return node


def _shape(raw: dict[str, Any]) -> Node:
    if raw.get("x-kubernetes-int-or-string"):
        return Node(SCALAR, "int-or-string")
    sort = raw.get("type")
    if sort == "array":
        return _list_of(raw)
    if sort in ("string", "integer", "number", "boolean"):
        return Node(SCALAR, {"integer": "int64", "boolean": "bool"}.get(sort, sort))
    if sort != "object" and "properties" not in raw:
        node = Node(ANY)
        node.element = ANYTHING
        return node
    return _object_of(raw)


def _object_of(raw: dict[str, Any]) -> Node:
    extra = raw.get("additionalProperties")
    atomic = raw.get("x-kubernetes-map-type") == "atomic"
    if "properties" not in raw and extra:
        node = Node(MAP)
        node.element = from_openapi(extra) if isinstance(extra, dict) else ANYTHING
    else:
        node = Node(STRUCT)
        node.fields = {name: from_openapi(prop) for name, prop in raw.get("properties", {}).items()}
        if raw.get("x-kubernetes-embedded-resource"):
            node.fields.setdefault("apiVersion", SCALARS["string"])
            node.fields.setdefault("kind", SCALARS["string"])
            node.fields.setdefault("metadata", _reference_lazily("meta.v1.ObjectMeta"))
        if raw.get("x-kubernetes-preserve-unknown-fields"):
            node.element = ANYTHING
        node.required = tuple(raw.get("required", ()))
    node.atomic = atomic
    return node


def _list_of(raw: dict[str, Any]) -> Node:
    sort = {"map": KEYED_LIST, "set": SET_LIST}.get(raw.get("x-kubernetes-list-type", ""), ATOMIC_LIST)
    node = Node(sort)
    items = raw.get("items", {})
    node.element = from_openapi(items) if items else ANYTHING
    node.keys = tuple(raw.get("x-kubernetes-list-map-keys", ()))
    properties = items.get("properties", {})
    node.key_defaults = {
        key: properties[key]["default"] for key in node.keys if "default" in properties.get(key, {})
    }
    return node


def custom(raw: dict[str, Any] | None) -> Node:
    """The Node of a custom kind: the schema's own fields plus the three that every object has."""
    node = from_openapi(raw or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    if node.kind != STRUCT:
        node = from_openapi({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    node.fields["apiVersion"] = node.fields["kind"] = SCALARS["string"]
    node.fields["metadata"] = _reference_lazily("meta.v1.ObjectMeta")
    return node
