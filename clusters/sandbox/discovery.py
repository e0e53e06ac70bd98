"""What a cluster says about the kinds it serves: aggregated discovery (v2) and the older lists."""

from __future__ import annotations

from typing import Any

import orjson

from clusters.sandbox.registry import Registry, Served

Body = dict[str, Any]
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def aggregated(registry: Registry, core: bool) -> bytes:
    """The APIGroupDiscoveryList of `/api` (core) or `/apis`; kept until the kinds change."""
    key = "api" if core else "apis"
    held = registry.discovery_cache.get(key)
    if held is None:
        groups: dict[str, dict[str, list[Body]]] = {}
        for served in registry.all():
            if (served.group == "") is core:
                groups.setdefault(served.group, {}).setdefault(served.version, []).append(_resource(served))
        items = [_group(name, versions) for name, versions in groups.items()]
        body = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
        held = registry.discovery_cache[key] = orjson.dumps({**body, "items": items})
    return held


def _group(name: str, versions: dict[str, list[Body]]) -> Body:
    metadata = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
    ordered = sorted(versions, key=_rank, reverse=True)
    listed = [{"version": v, "resources": versions[v], "freshness": "Current"} for v in ordered]
    return {"metadata": metadata, "versions": listed}


def _rank(version: str) -> tuple[int, int, int]:
    """Kubernetes' order of versions: v2 before v1 before v1beta1 before v1alpha1."""
    stage = 0 if "alpha" in version else 1 if "beta" in version else 2
    digits = [
        int(part)
        for part in version.replace("alpha", " ").replace("beta", " ").strip("v").split()
        if part.isdigit()
    ]
    return (stage, digits[0] if digits else 0, digits[1] if len(digits) > 1 else 0)


def _resource(served: Served) -> Body:
    group, version = (served.group, served.version) if served.custom else ("", "")
    made: Body = {
        "resource": served.resource,
        "responseKind": {"group": group, "version": version, "kind": served.kind},
        "scope": "Namespaced" if served.namespaced else "Cluster",
        "singularResource": served.singular,
        "verbs": list(served.verbs),
    }
    if served.short_names:
        made["shortNames"] = list(served.short_names)
    if served.categories:
        made["categories"] = list(served.categories)
    if served.subresources:
        made["subresources"] = [
            {"subresource": name, "responseKind": sub["response"], "verbs": sub["verbs"]}
            for name, sub in served.subresources.items()
        ]
    return made


def versions(address: str) -> Body:
    """`/api` without aggregation."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def groups(registry: Registry) -> Body:
    """`/apis` without aggregation."""
    found: dict[str, set[str]] = {}
    for served in registry.all():
        if served.group:
            found.setdefault(served.group, set()).add(served.version)
    listed = [_api_group(name, held) for name, held in found.items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(registry: Registry, name: str) -> Body | None:
    """`/apis/<group>`, or None when it is not served."""
    held = {served.version for served in registry.all() if served.group == name}
    return {"kind": "APIGroup", "apiVersion": "v1", **_api_group(name, held)} if held and name else None


def _api_group(name: str, held: set[str]) -> Body:
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in sorted(held, key=_rank, reverse=True)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resources(registry: Registry, group_name: str, version: str) -> Body | None:
    """`/api/v1` or `/apis/<group>/<version>`, or None when it is not served."""
    rows: list[Body] = []
    for served in registry.all():
        if (served.group, served.version) != (group_name, version):
            continue
        row: Body = {
            "name": served.resource,
            "singularName": served.singular,
            "namespaced": served.namespaced,
            "kind": served.kind,
            "verbs": list(served.verbs),
        }
        if served.short_names:
            row["shortNames"] = list(served.short_names)
        if served.categories:
            row["categories"] = list(served.categories)
        rows.append(row)
        for name, sub in served.subresources.items():
            response = {k: v for k, v in sub["response"].items() if v}
            base = {"name": f"{served.resource}/{name}", "singularName": "", "namespaced": served.namespaced}
            rows.append({**base, **response, "verbs": sub["verbs"]})
    if not rows:
        return None
    api = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": rows}
