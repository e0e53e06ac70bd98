"""Which kinds a cluster serves: the recorded built-in ones and those of its CustomResourceDefinitions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

import clusters.sandbox.schema as schema
from clusters.sandbox.schema import Node

Manifest = dict[str, Any]
WRITE_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """One resource in one version, as a URL names it.

    `storage` is the version objects are kept in; `nodes` the shape by version; `crd` is set for custom kinds.
    """

    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool
    storage: str
    node: Node
    verbs: tuple[str, ...] = WRITE_VERBS
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, Any] = field(default_factory=dict)
    crd: Manifest | None = None
    list_kind: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @property
    def custom(self) -> bool:
        return self.crd is not None


@cache
def builtin_kinds() -> tuple[Served, ...]:
    """Every recorded kind and version."""
    newest: dict[tuple[str, str], str] = {}
    rows = schema.recorded()["resources"]
    for row in rows:
        key = (row["group"], row["resource"])
        newest[key] = max(newest.get(key, ""), row["version"])
    return tuple(_builtin(row, newest[row["group"], row["resource"]]) for row in rows)


def _builtin(row: dict[str, Any], storage: str) -> Served:
    return Served(
        group=row["group"],
        version=row["version"],
        resource=row["resource"],
        kind=row["kind"],
        namespaced=row["namespaced"],
        storage=storage,
        node=schema.builtin(row["group"], row["version"], row["kind"]) or schema.ANYTHING,
        verbs=tuple(row["verbs"]),
        singular=row["singular"],
        short_names=tuple(row.get("shortNames", ())),
        categories=tuple(row.get("categories", ())),
        subresources=row["subresources"],
        list_kind=row["kind"] + "List",
    )


def custom_kinds(crd: Manifest) -> list[Served]:
    """The served versions of a CustomResourceDefinition."""
    spec = crd["spec"]
    names = spec["names"]
    storage = next((v["name"] for v in spec["versions"] if v.get("storage")), spec["versions"][0]["name"])
    made = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        api = f"{spec['group']}/{version['name']}"
        subresources: dict[str, Any] = {}
        for name in version.get("subresources") or {}:
            scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            own = {"group": spec["group"], "version": version["name"], "kind": names["kind"]}
            response = scale if name == "scale" else own
            subresources[name] = {"verbs": ["get", "patch", "update"], "response": response}
        made.append(
            Served(
                group=spec["group"],
                version=version["name"],
                resource=names["plural"],
                kind=names["kind"],
                namespaced=spec["scope"] == "Namespaced",
                storage=storage,
                node=schema.custom((version.get("schema") or {}).get("openAPIV3Schema")),
                singular=names.get("singular") or names["kind"].lower(),
                short_names=tuple(names.get("shortNames", ())),
                categories=tuple(names.get("categories", ())),
                subresources=subresources,
                crd={**version, "api": api},
                list_kind=names.get("listKind") or names["kind"] + "List",
            )
        )
    return made


class Registry:
    """Lookup of kinds by URL and by (group, kind), and the digest of all of them."""

    def __init__(self) -> None:
        self.by_url: dict[tuple[str, str, str], Served] = {}
        self.custom: dict[str, list[Served]] = {}
        self.digest = ""
        self.discovery_cache: dict[str, bytes] = {}
        for kind in builtin_kinds():
            self.by_url[kind.group, kind.version, kind.resource] = kind
        self._changed()

    def find(self, group: str, version: str, resource: str) -> Served | None:
        return self.by_url.get((group, version, resource))

    def stored(self, group: str, resource: str) -> Served | None:
        """The kind of a table in its storage version."""
        for kind in self.all():
            if kind.group == group and kind.resource == resource and kind.version == kind.storage:
                return kind
        return None

    def by_kind(self, api_version: str, kind: str) -> Served | None:
        for served in self.all():
            if served.kind == kind and served.api_version == api_version:
                return served
        return None

    def all(self) -> Iterable[Served]:
        return self.by_url.values()

    def define(self, crd: Manifest) -> None:
        """Serve (or serve anew) the kinds of this CustomResourceDefinition."""
        self._drop(crd["metadata"]["name"])
        kinds = custom_kinds(crd)
        self.custom[crd["metadata"]["name"]] = kinds
        for kind in kinds:
            self.by_url[kind.group, kind.version, kind.resource] = kind
        self._changed()

    def forget(self, name: str) -> None:
        """Serve the kinds of this CustomResourceDefinition no longer."""
        self._drop(name)
        self._changed()

    def _drop(self, name: str) -> None:
        for kind in self.custom.pop(name, ()):
            self.by_url.pop((kind.group, kind.version, kind.resource), None)

    def _changed(self) -> None:
        self.discovery_cache.clear()
        rows = sorted(
            (k.group, k.version, k.resource, k.kind, k.namespaced, sorted(k.subresources)) for k in self.all()
        )
        self.digest = hashlib.sha512(orjson.dumps(rows)).hexdigest().upper()
