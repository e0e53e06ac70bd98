"""How resources are compared, as an argocd-cm says it: ignored differences, excluded kinds, compare options (6.1, 6.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, get_args

from clusters.core.diff.rules import IgnoreRule, system_rules
from clusters.core.manifests.clean import IgnoreStatus

_CUSTOM = "resource.customizations"
EXCLUSIONS, COMPARE_OPTIONS = "resource.exclusions", "resource.compareoptions"
IGNORE, KNOWN_TYPES = f"{_CUSTOM}.ignoreDifferences.", f"{_CUSTOM}.knownTypeFields."


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Kinds that the hub neither writes nor looks at, in the clusters whose server matches; globs, empty = any."""

    groups: tuple[str, ...] = ("*",)
    kinds: tuple[str, ...] = ("*",)
    clusters: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class ResourceRules:
    """The settings of the whole hub. `known_types`: `<group>_<Kind>` to (path to type name)."""

    ignore: tuple[IgnoreRule, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    ignore_status: IgnoreStatus = "all"
    ignore_aggregated_roles: bool = False
    known_types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def excluded_kinds(self, server: str) -> tuple[tuple[str, str], ...]:
        """(group, kind) with globs that are excluded in the cluster with this server."""
        return tuple(
            (group, kind)
            for each in self.exclusions
            if any(fnmatchcase(server, pattern) for pattern in each.clusters)
            for group in each.groups
            for kind in each.kinds
        )


NO_RESOURCE_RULES = ResourceRules()


def read_argocd_resources(data: Mapping[str, Any]) -> ResourceRules:
    """The settings in the data of an argocd-cm whose values are decoded YAML. Raises ValueError with the key at fault."""
    compare = _map(data.get(COMPARE_OPTIONS), COMPARE_OPTIONS)
    status = str(compare.get("ignoreResourceStatusField") or "all")
    if status == "off":
        status = "none"
    if status not in get_args(IgnoreStatus):
        raise ValueError(f"{COMPARE_OPTIONS}: ignoreResourceStatusField is {status!r}; use all, crd or none")
    return ResourceRules(
        ignore=system_rules({name: _entry(value, IGNORE + name) for name, value in _below(data, IGNORE)}),
        exclusions=tuple(_exclusion(entry) for entry in _list(data.get(EXCLUSIONS), EXCLUSIONS)),
        ignore_status=status,  # type: ignore[arg-type]
        ignore_aggregated_roles=compare.get("ignoreAggregatedRoles") is True,
        known_types={name: _types(value, KNOWN_TYPES + name) for name, value in _below(data, KNOWN_TYPES)},
    )


def _below(data: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    return [(name[len(prefix) :], value) for name, value in data.items() if name.startswith(prefix)]


def _map(value: Any, where: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{where} has to be a map")
    return value or {}


def _list(value: Any, where: str) -> Sequence[Any]:
    if value is not None and not isinstance(value, list):
        raise ValueError(f"{where} has to be a list")
    return value or []


def _texts(value: Any, where: str) -> tuple[str, ...]:
    found = _list(value, where)
    if not all(isinstance(each, str) for each in found):
        raise ValueError(f"{where} has to be a list of texts")
    return tuple(found)


def _entry(value: Any, where: str) -> dict[str, Any]:
    names = ("jsonPointers", "jqPathExpressions", "managedFieldsManagers")
    held = _map(value, where)
    return {name: list(_texts(held.get(name), f"{where}.{name}")) for name in names}


def _exclusion(value: Any) -> Exclusion:
    entry = _map(value, EXCLUSIONS)
    parts = [_texts(entry.get(name), f"{EXCLUSIONS}.{name}") for name in ("apiGroups", "kinds", "clusters")]
    if not parts[0] and not parts[1]:
        raise ValueError(f"{EXCLUSIONS}: an entry needs apiGroups or kinds")
    groups, kinds, clusters = (part or ("*",) for part in parts)
    return Exclusion(groups, kinds, clusters)


def _types(value: Any, where: str) -> dict[str, str]:
    rows = [_map(row, where) for row in _list(value, where)]
    return {str(row.get("field") or ""): str(row.get("type") or "") for row in rows}
