"""What both sides of a comparison lose or gain before it (sync-semantics.md 6.1 items 1 and 2)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from clusters.core.manifests import LAST_APPLIED_ANNOTATION, InvalidSecret, Manifest, clean
from clusters.core.manifests.clean import IgnoreStatus, drops_status

_RBAC = "rbac.authorization.k8s.io/"


def normalised(
    obj: Manifest,
    *,
    destination_namespace: str = "",
    ignore_status: IgnoreStatus = "all",
    ignore_aggregated_roles: bool = False,
    live: bool = False,
) -> Manifest:
    """The object as it enters a comparison; shares unchanged parts with `obj`. Never raises for a malformed object.

    A `live` object is as the server stored it: it has no `stringData`, and its nulls are nobody's.
    """
    result = dict(obj)
    if not live:
        with suppress(InvalidSecret):
            result = clean(obj, ignore_status=ignore_status)
    elif drops_status(obj, ignore_status):
        result.pop("status", None)
    metadata = result.get("metadata")
    if isinstance(metadata, dict):
        result["metadata"] = _metadata(metadata, destination_namespace)
    kind, api_version = result.get("kind"), str(result.get("apiVersion") or "")
    if kind in ("Role", "ClusterRole") and api_version.startswith(_RBAC):
        aggregated = ignore_aggregated_roles and "aggregationRule" in result
        if aggregated or not result.get("rules"):
            result.pop("rules", None)
    elif kind == "Endpoints" and api_version == "v1":
        _sort_endpoints(result)
    return result


def _metadata(metadata: dict[str, Any], destination_namespace: str) -> dict[str, Any]:
    result = {name: value for name, value in metadata.items() if name not in ("managedFields", "selfLink")}
    annotations = result.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED_ANNOTATION in annotations:
        kept = {name: value for name, value in annotations.items() if name != LAST_APPLIED_ANNOTATION}
        result["annotations"] = kept
        if not kept:
            del result["annotations"]
    if destination_namespace and result.get("namespace") == destination_namespace:
        del result["namespace"]
    return result


def _sort_endpoints(result: Manifest) -> None:
    """Subsets and addresses have no order of their own: the endpoints controller writes them sorted."""
    subsets = result.get("subsets")
    if not isinstance(subsets, list):
        return
    ordered = []
    for subset in subsets:
        copy = dict(subset) if isinstance(subset, dict) else {}
        for name in ("addresses", "notReadyAddresses"):
            if isinstance(copy.get(name), list):
                copy[name] = sorted(copy[name], key=_address)
        if isinstance(copy.get("ports"), list):
            copy["ports"] = sorted(copy["ports"], key=_port)
        ordered.append(copy)
    result["subsets"] = sorted(
        ordered, key=lambda subset: [_address(a) for a in subset.get("addresses") or ()]
    )


def _address(item: Any) -> str:
    return str(item.get("ip", "")) if isinstance(item, dict) else ""


def _port(item: Any) -> tuple[str, str, str]:
    if not isinstance(item, dict):
        return "", "", ""
    return str(item.get("name") or ""), str(item.get("port") or ""), str(item.get("protocol") or "TCP")
