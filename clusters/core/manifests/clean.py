"""What is taken out of every Manifest before anything else sees it (sync-semantics.md 2.1 item 3, 6.1 item 2)."""

from __future__ import annotations

import base64
from typing import Any, Literal

from clusters.core.manifests.canonical import is_secret
from clusters.core.manifests.keys import Manifest, group_of

IgnoreStatus = Literal["all", "crd", "none"]

SERVER_METADATA = ("creationTimestamp", "managedFields", "resourceVersion", "uid", "generation", "selfLink")
BUILT_IN_GROUPS = frozenset(
    {
        *("", "apps", "batch", "autoscaling", "policy", "extensions"),
        *("networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io", "apiextensions.k8s.io"),
        *("admissionregistration.k8s.io", "apiregistration.k8s.io", "scheduling.k8s.io", "node.k8s.io"),
        *("coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "certificates.k8s.io"),
        *("flowcontrol.apiserver.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "resource.k8s.io"),
        *("storagemigration.k8s.io", "internal.apiserver.k8s.io"),
    }
)
_STRING_MAPS = frozenset(("labels", "annotations", "matchLabels", "nodeSelector"))
_STRING_LISTS = frozenset(("args", "command"))
_DATA_KINDS = ("ConfigMap", "Secret")


class InvalidSecret(ValueError):
    """A Secret whose values are not text. Its message names keys and never a value."""


def is_built_in(group: str) -> bool:
    """Whether kinds of this group are compiled into the API server (their defaults and list types are known)."""
    return group in BUILT_IN_GROUPS


def clean(obj: Manifest, *, ignore_status: IgnoreStatus = "all") -> Manifest:
    """The object without what only the server writes, without nulls, a Secret's `stringData` as `data`.

    The result shares unchanged parts with `obj`; neither may be changed in place afterwards. Raises InvalidSecret.
    """
    built_in = is_built_in(group_of(obj))
    result: Manifest = _without_nulls(obj, "", built_in)
    if result is obj:
        result = dict(obj)
    if drops_status(obj, ignore_status):
        result.pop("status", None)
    metadata = result.get("metadata")
    if isinstance(metadata, dict):
        result["metadata"] = _clean_metadata(metadata)
    if result.get("kind") == "ClusterRole" and result.get("aggregationRule") and not result.get("rules"):
        result.pop("rules", None)  # the controller's to fill: an empty list of ours would fight it
    spec = result.get("spec")
    if (
        result.get("kind") == "PersistentVolumeClaim"
        and isinstance(spec, dict)
        and spec.get("volumeName") == ""
    ):
        # The binder's to fill: on a bound claim an empty one is refused as a change of what is immutable.
        result["spec"] = {name: value for name, value in spec.items() if name != "volumeName"}
    if is_secret(result) or (result.get("kind") == "ConfigMap" and result.get("apiVersion") == "v1"):
        _texts_for_nulls(obj, result)
    return with_encoded_data(result) if is_secret(result) else result


def drops_status(obj: Manifest, ignore_status: IgnoreStatus) -> bool:
    """Whether `status` is left out: for all kinds, for CustomResourceDefinitions only, or for none."""
    return ignore_status == "all" or (
        ignore_status == "crd" and obj.get("kind") == "CustomResourceDefinition"
    )


def with_encoded_data(secret: Manifest) -> Manifest:
    """A Secret's `stringData` laid over `data` as base64, since the server never shows `stringData` again."""
    _refuse_non_text(secret)
    if "stringData" not in secret:
        return secret
    result = {name: value for name, value in secret.items() if name != "stringData"}
    encoded = {
        key: base64.b64encode(text.encode()).decode() for key, text in (secret["stringData"] or {}).items()
    }
    if data := {**(secret.get("data") or {}), **encoded}:
        result["data"] = data
    return result


def _refuse_non_text(secret: Manifest) -> None:
    for name in ("data", "stringData"):
        values = secret.get(name)
        if values is not None and not isinstance(values, dict):
            raise InvalidSecret(f"{name} of a Secret must be a map")
        for key, value in (values or {}).items():
            if not isinstance(value, str):
                raise InvalidSecret(f"{name}.{key} of a Secret must be text")


def _clean_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    result = {name: value for name, value in metadata.items() if name not in SERVER_METADATA}
    for name in ("labels", "annotations"):
        values = result.get(name)
        if isinstance(values, dict) and None in values.values():
            result[name] = values = {key: "" if value is None else value for key, value in values.items()}
        if name in result and not values:
            del result[name]  # an owned empty map would be taken back and forth between managers
    return result


def _texts_for_nulls(obj: Manifest, result: Manifest) -> None:
    for name in ("data", "stringData", "binaryData"):
        values = obj.get(name)
        if isinstance(values, dict) and None in values.values():
            result[name] = {key: "" if value is None else value for key, value in values.items()}


def _without_nulls(value: Any, name: str, built_in: bool) -> Any:
    """`value` without null map entries, itself when there are none. Label-like maps are left to their own rule."""
    if isinstance(value, dict):
        as_text = built_in and name in _STRING_MAPS
        if as_text and None in value.values():
            return {key: "" if item is None else item for key, item in value.items()}
        if name in ("labels", "annotations"):
            return value
        changed: dict[str, Any] = {}
        for key, item in value.items():
            if isinstance(item, dict | list):
                new = _without_nulls(item, key, built_in)
                if new is not item:
                    changed[key] = new
        if changed or None in value.values():
            return {key: changed.get(key, item) for key, item in value.items() if item is not None}
        return value
    if built_in and name in _STRING_LISTS and None in value:
        return ["" if item is None else item for item in value]
    items = [_without_nulls(item, "", built_in) if isinstance(item, dict | list) else item for item in value]
    return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
