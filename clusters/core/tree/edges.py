"""Who belongs to whom: owner references, and the edges that Kubernetes leaves unsaid.

Inferred edges, each from the child's or the parent's own fields: Service to its Endpoints (same name) and
EndpointSlices (label); StatefulSet to the claims of its templates (name); claim to its volume; ServiceAccount to its
token Secrets (annotation); Certificate to its Secret (annotation); a Crossplane claim to its composite
(`spec.resourceRef` and back by `spec.claimRef`); Flux Kustomization and HelmRelease to what they applied (labels).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from clusters.core.health.reading import annotation, dig, items, text
from clusters.core.manifests import Manifest, ResourceKey, group_of, metadata_map

_FLUX = (
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
)
_TEMPLATE_CLAIM = re.compile(r"(.+)-\d+")


def parents_of(objects: Mapping[ResourceKey, Manifest]) -> dict[ResourceKey, tuple[ResourceKey, ...]]:
    """The parents of each object, owner references first; only parents that are among `objects`."""
    by_uid = {text(obj, "metadata", "uid"): key for key, obj in objects.items()}
    by_uid.pop("", None)
    downwards: dict[ResourceKey, list[ResourceKey]] = defaultdict(list)
    for key, obj in objects.items():
        for child in _children_named_by(key, obj):
            if _says_so(objects.get(child, {}), key):
                downwards[child].append(key)
    claims = _claim_prefixes(objects)
    found = {}
    for key, obj in objects.items():
        candidates = [*_owners(key, obj, by_uid), *_inferred(key, obj, claims), *downwards.get(key, ())]
        parents = dict.fromkeys(parent for parent in candidates if parent in objects and parent != key)
        if parents:
            found[key] = tuple(parents)
    return found


def _owners(key: ResourceKey, obj: Manifest, by_uid: Mapping[str, ResourceKey]) -> Iterator[ResourceKey]:
    """Owners by uid; an owner is in the same namespace or cluster-scoped, whatever the reference claims."""
    for reference in items(obj, "metadata", "ownerReferences"):
        owner = by_uid.get(text(reference, "uid"))
        if owner and owner.namespace in ("", key.namespace):
            yield owner


def _inferred(
    key: ResourceKey, obj: Manifest, claims: Mapping[tuple[str, str], ResourceKey]
) -> Iterator[ResourceKey]:
    labels = metadata_map(obj, "labels")
    if key[:2] == ("", "Endpoints"):
        yield key._replace(kind="Service")
    elif key[:2] == ("discovery.k8s.io", "EndpointSlice"):
        if isinstance(name := labels.get("kubernetes.io/service-name"), str):
            yield ResourceKey("", "Service", key.namespace, name)
    elif key[:2] == ("", "PersistentVolumeClaim"):
        made = _TEMPLATE_CLAIM.fullmatch(key.name)
        if made and (owner := claims.get((key.namespace, made[1]))):
            yield owner
    elif key[:2] == ("", "PersistentVolume"):
        claim = dig(obj, "spec", "claimRef")
        yield ResourceKey("", "PersistentVolumeClaim", text(claim, "namespace"), text(claim, "name"))
    elif key[:2] == ("", "Secret"):
        yield key._replace(kind="ServiceAccount", name=annotation(obj, "kubernetes.io/service-account.name"))
        certificate = annotation(obj, "cert-manager.io/certificate-name")
        yield key._replace(group="cert-manager.io", kind="Certificate", name=certificate)
    for group, kind in _FLUX:
        name, namespace = labels.get(f"{group}/name"), labels.get(f"{group}/namespace")
        if isinstance(name, str) and isinstance(namespace, str):
            yield ResourceKey(group, kind, namespace, name)


def _claim_prefixes(objects: Mapping[ResourceKey, Manifest]) -> dict[tuple[str, str], ResourceKey]:
    """(namespace, `<template>-<StatefulSet>`) of every claim template: a claim adds its ordinal to that."""
    return {
        (key.namespace, f"{text(template, 'metadata', 'name')}-{key.name}"): key
        for key, obj in objects.items()
        if key[:2] == ("apps", "StatefulSet")
        for template in items(obj, "spec", "volumeClaimTemplates")
    }


def _children_named_by(key: ResourceKey, obj: Manifest) -> Iterator[ResourceKey]:
    """Children that their parent names."""
    reference = dig(obj, "spec", "resourceRef") or dig(obj, "spec", "crossplane", "resourceRef")
    if isinstance(reference, dict) and text(reference, "apiVersion") and key.namespace:
        yield ResourceKey(
            group_of(reference),
            text(reference, "kind"),
            text(reference, "namespace"),
            text(reference, "name"),
        )


def _says_so(child: Manifest, parent: ResourceKey) -> bool:
    """Whether the child names that parent, too: else whoever writes a reference could take anybody's object for theirs."""
    claim = dig(child, "spec", "claimRef")
    if not isinstance(claim, dict):
        return False
    names = (text(claim, name) for name in ("kind", "namespace", "name"))
    return ResourceKey(group_of(claim), *names) == parent


def references_of(key: ResourceKey, obj: Manifest) -> Iterator[ResourceKey]:
    """What the object names that no listing of its namespace shows: the volume of a claim, Crossplane's composite and
    composed resources. The namespace is that of the object where the reference has none."""
    if key[:2] == ("", "PersistentVolumeClaim"):
        if volume := text(obj, "spec", "volumeName"):
            yield ResourceKey("", "PersistentVolume", "", volume)
        return
    for place in (dig(obj, "spec"), dig(obj, "spec", "crossplane")):
        single = dig(place, "resourceRef")
        for reference in [single, *items(place, "resourceRefs")]:
            if text(reference, "kind") and text(reference, "name") and text(reference, "apiVersion"):
                yield ResourceKey(
                    group_of(reference),
                    text(reference, "kind"),
                    text(reference, "namespace") or key.namespace,
                    text(reference, "name"),
                )


def targets_of(
    key: ResourceKey, obj: Manifest, pods: Iterable[tuple[ResourceKey, Manifest]]
) -> tuple[ResourceKey, ...]:
    """Where traffic goes next: from Ingress and routes to Services, from a Service to the Pods it selects."""
    if key[:2] == ("", "Service"):
        wanted = dig(obj, "spec", "selector")
        if not isinstance(wanted, dict) or not wanted:
            return ()
        return tuple(pod for pod, body in pods if wanted.items() <= metadata_map(body, "labels").items())
    names: dict[ResourceKey, None] = {}
    for reference in _backends(obj):
        if (
            text(reference, "group") == ""
            and text(reference, "kind") in ("", "Service")
            and text(reference, "name")
        ):
            namespace = text(reference, "namespace") or key.namespace
            names[ResourceKey("", "Service", namespace, text(reference, "name"))] = None
    return tuple(names)


def _backends(obj: Manifest) -> Iterator[Manifest]:
    """References to backends of an Ingress (service.name) or a Gateway API route (backendRefs)."""
    if group_of(obj) == "gateway.networking.k8s.io":
        for rule in items(obj, "spec", "rules"):
            yield from items(rule, "backendRefs")
        return
    if text(obj, "kind") != "Ingress":
        return
    paths = [path for rule in items(obj, "spec", "rules") for path in items(rule, "http", "paths")]
    for backend in [dig(obj, "spec", "defaultBackend"), *(dig(path, "backend") for path in paths)]:
        if name := text(backend, "service", "name"):
            yield {"name": name}
