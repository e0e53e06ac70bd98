"""What identifies a Kubernetes object, and the names the hub writes on it."""

from __future__ import annotations

from typing import Any, NamedTuple

Manifest = dict[str, Any]

FIELD_MANAGER = "gitops-hub"
TRACKING_ANNOTATION = "gitops-hub.io/tracking-id"
MANAGED_BY_LABEL = "gitops-hub.io/managed-by"
HOOK_FINALIZER = "gitops-hub.io/hook-finalizer"
OPERATION_ANNOTATION = "gitops-hub.io/operation"
FINGERPRINT_ANNOTATION = "gitops-hub.io/hook-fingerprint"
LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


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
    metadata = obj["metadata"]
    return ResourceKey(
        group_of(obj), obj["kind"], metadata.get("namespace") or "", metadata.get("name") or ""
    )


def group_of(obj: Manifest) -> str:
    """The API group in `apiVersion`; empty for the core group."""
    return str(obj.get("apiVersion") or "").rpartition("/")[0]


def metadata_map(obj: Manifest, name: str) -> dict[str, Any]:
    """`metadata.labels` or `metadata.annotations` as a dict, empty when absent or malformed."""
    metadata = obj.get("metadata")
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return value if isinstance(value, dict) else {}
