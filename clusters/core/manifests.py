"""Kubernetes objects as plain dicts: keys, tracking, reading YAML as kubectl reads it."""

from __future__ import annotations

from typing import Any, NamedTuple

Manifest = dict[str, Any]

FIELD_MANAGER = "gitops-hub"
TRACKING_ANNOTATION = "gitops-hub.io/tracking-id"
MANAGED_BY_LABEL = "gitops-hub.io/managed-by"
HOOK_FINALIZER = "gitops-hub.io/hook-finalizer"
OPERATION_ANNOTATION = "gitops-hub.io/operation"
FINGERPRINT_ANNOTATION = "gitops-hub.io/hook-fingerprint"


class ResourceKey(NamedTuple):
    """Identity of one object, without version (sync-semantics.md 1). `namespace` is empty for cluster scope."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


def key_of(obj: Manifest) -> ResourceKey:
    """The ResourceKey of an object that has apiVersion, kind and metadata.name."""
    group, _, _ = obj["apiVersion"].rpartition("/")
    metadata = obj["metadata"]
    return ResourceKey(group, obj["kind"], metadata.get("namespace") or "", metadata.get("name") or "")
