"""The desired set: which objects one Revision of one Application wants (sync-semantics.md 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from clusters.core.manifests.clean import IgnoreStatus, InvalidSecret, clean
from clusters.core.manifests.errors import ManifestError
from clusters.core.manifests.files import expand_lists, text_problem
from clusters.core.manifests.keys import Manifest, ResourceKey, group_of, key_of, metadata_map

_HOOK_ANNOTATIONS = ("argocd.argoproj.io/hook", "helm.sh/hook")
Scope = Callable[[str, str], bool | None]


@dataclass(frozen=True, slots=True)
class InvalidObject:
    """An object that can never be applied. `label` is what is known of its key, e.g. `apps/Deployment/shop`."""

    label: str
    message: str
    hint: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A Condition that the set itself shows: `RepeatedResource` or `ExcludedResource`."""

    code: str
    message: str
    key: ResourceKey


@dataclass(frozen=True, slots=True)
class DesiredSet:
    """`manifests`: every named object, hooks included, in document order.

    `generated`: hooks that have only `generateName`; the plan names them. `alternatives`: for a kind whose scope is
    unknown, the other key under which it may be live. One entry in `invalid` fails an operation before any write.
    """

    manifests: dict[ResourceKey, Manifest] = field(default_factory=dict, repr=False)
    generated: tuple[Manifest, ...] = field(default=(), repr=False)
    invalid: tuple[InvalidObject, ...] = ()
    findings: tuple[Finding, ...] = ()
    alternatives: dict[ResourceKey, ResourceKey] = field(default_factory=dict)


def desired_set(
    objects: Iterable[Manifest],
    *,
    namespace: str,
    namespaced: Scope,
    excluded_kinds: Iterable[tuple[str, str]] = (),
    origins: Sequence[str] = (),
    ignore_status: IgnoreStatus = "all",
) -> DesiredSet:
    """Lists expanded, namespaces set, server fields and nulls removed, repeated and excluded objects sorted out.

    `namespace`: the destination's. `namespaced(group, kind)`: from discovery, None = not served; a
    CustomResourceDefinition among the objects answers for its own kind. `excluded_kinds`: (group, kind) with globs.
    `origins`: one text per object ("source 2, web/svc.yaml"), for messages.
    """
    flat = list(_flat(objects, origins))
    builder = _Set(namespace, _with_own_crds(flat, namespaced), tuple(excluded_kinds), ignore_status)
    for obj, origin in flat:
        if isinstance(obj, InvalidObject):
            builder.invalid.append(obj)
        else:
            builder.add(obj, origin)
    return DesiredSet(
        builder.manifests,
        tuple(builder.generated),
        tuple(builder.invalid),
        tuple(builder.findings),
        builder.alternatives,
    )


class _Set:
    """Collects; `add` is the whole of 2.1 for one object."""

    def __init__(
        self,
        namespace: str,
        namespaced: Scope,
        excluded: tuple[tuple[str, str], ...],
        ignore_status: IgnoreStatus,
    ) -> None:
        self.namespace, self.namespaced, self.excluded, self.ignore_status = (
            namespace,
            namespaced,
            excluded,
            ignore_status,
        )
        self.manifests: dict[ResourceKey, Manifest] = {}
        self.generated: list[Manifest] = []
        self.invalid: list[InvalidObject] = []
        self.findings: list[Finding] = []
        self.alternatives: dict[ResourceKey, ResourceKey] = {}
        self._origins: dict[ResourceKey, str] = {}

    def add(self, obj: Manifest, origin: str) -> None:
        if problem := _problem(obj):
            self.invalid.append(InvalidObject(_label(obj), *problem, origin))
            return
        group, kind = group_of(obj), obj["kind"]
        if any(fnmatchcase(group, g) and fnmatchcase(kind, k) for g, k in self.excluded):
            key = key_of(obj)
            self.findings.append(Finding("ExcludedResource", f"{key} is excluded by the hub's settings", key))
            return
        try:
            manifest = clean(obj, ignore_status=self.ignore_status)
        except InvalidSecret as error:
            self.invalid.append(InvalidObject(_label(obj), str(error), origin=origin))
            return
        scope = self.namespaced(group, kind)
        metadata = manifest["metadata"]
        if scope is False:
            metadata.pop("namespace", None)
        elif not metadata.get("namespace"):
            metadata["namespace"] = self.namespace
        if not metadata.get("name"):
            self.generated.append(manifest)
            return
        self._keep(key_of(manifest), manifest, origin, unknown_scope=scope is None)

    def _keep(self, key: ResourceKey, manifest: Manifest, origin: str, *, unknown_scope: bool) -> None:
        if key in self.manifests:
            places = [place for place in (self._origins.get(key, ""), origin) if place]
            where = f" ({' and '.join(places)})" if places else ""
            self.findings.append(
                Finding("RepeatedResource", f"{key} appears more than once{where}; the last one counts", key)
            )
            del self.manifests[key]
        self.manifests[key] = manifest
        self._origins[key] = origin
        if unknown_scope:
            self.alternatives[key] = key._replace(namespace="")


def _flat(objects: Iterable[Manifest], origins: Sequence[str]) -> Iterable[tuple[Any, str]]:
    for number, obj in enumerate(objects):
        origin = origins[number] if number < len(origins) else ""
        if not isinstance(obj, dict):
            yield InvalidObject("", "is not an object", origin=origin), origin
            continue
        try:
            items = expand_lists(obj)
        except ManifestError as error:
            yield InvalidObject(_label(obj), error.message, origin=origin), origin
            continue
        for item in items:
            yield item, origin


def _with_own_crds(flat: Iterable[tuple[Any, str]], namespaced: Scope) -> Scope:
    own: dict[tuple[str, str], bool] = {}
    for obj, _ in flat:
        if (
            isinstance(obj, dict)
            and obj.get("kind") == "CustomResourceDefinition"
            and isinstance(obj.get("spec"), dict)
        ):
            spec = obj["spec"]
            names = spec.get("names") if isinstance(spec.get("names"), dict) else {}
            own[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") != "Cluster"

    def scope(group: str, kind: str) -> bool | None:
        known = namespaced(group, kind)
        return own.get((group, kind)) if known is None else known

    return scope


def _problem(obj: Manifest) -> tuple[str, str] | None:
    """(sentence, hint) about an object that cannot be applied."""
    for name in ("apiVersion", "kind"):
        if not isinstance(obj.get(name), str) or not obj[name]:
            return f"has no {name}", ""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return "has no metadata.name", ""
    for name in ("name", "namespace", "generateName"):
        if not isinstance(metadata.get(name), str | None):
            return f"metadata.{name} must be text", "put it in quotes"
    if problem := text_problem(obj):
        return problem, "put the value in quotes"
    if metadata.get("name"):
        return None
    if not metadata.get("generateName"):
        return "has no metadata.name", ""
    if any(name in metadata_map(obj, "annotations") for name in _HOOK_ANNOTATIONS):
        return None
    return "generateName is for hooks only", "give it metadata.name: server-side apply needs one"


def _label(obj: Manifest) -> str:
    metadata = obj.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    parts = (
        group_of(obj),
        obj.get("kind"),
        known.get("namespace"),
        known.get("name") or known.get("generateName"),
    )
    return "/".join(str(part) for part in parts if part)
