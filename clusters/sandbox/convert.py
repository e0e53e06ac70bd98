"""Objects between the version they are stored in and the version a URL names."""

from __future__ import annotations

from typing import Any

from clusters.sandbox.registry import Served

Manifest = dict[str, Any]


def to_served(obj: Manifest, served: Served) -> Manifest:
    """A stored object in the version of `served`; it may be stored in a version that was the storage once."""
    if obj.get("apiVersion") == served.api_version:
        return obj
    out = {**obj, "apiVersion": served.api_version}
    if (served.group, served.kind, served.version) == ("autoscaling", "HorizontalPodAutoscaler", "v1"):
        return _autoscaler_to_v1(out)
    return out


def to_storage(obj: Manifest, served: Served) -> Manifest:
    """An object in the version of `served` in the version that is stored."""
    if served.version == served.storage:
        return obj
    stored = f"{served.group}/{served.storage}" if served.group else served.storage
    out = {**obj, "apiVersion": stored}
    if (served.group, served.kind, served.version) == ("autoscaling", "HorizontalPodAutoscaler", "v1"):
        return _autoscaler_to_v2(out)
    return out


def _autoscaler_to_v1(obj: Manifest) -> Manifest:
    spec = dict(obj.get("spec") or {})
    for metric in spec.pop("metrics", None) or ():
        resource = metric.get("resource") or {}
        target = resource.get("target") or {}
        if resource.get("name") == "cpu" and target.get("type") == "Utilization":
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
    spec.pop("behavior", None)
    held = obj.get("status") or {}
    status = {
        "currentReplicas": held.get("currentReplicas", 0),
        "desiredReplicas": held.get("desiredReplicas", 0),
    }
    return {**obj, "spec": spec, "status": status}


def _autoscaler_to_v2(obj: Manifest) -> Manifest:
    spec = dict(obj.get("spec") or {})
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    status = {"currentMetrics": None, **(obj.get("status") or {})}
    status.pop("currentCPUUtilizationPercentage", None)
    return {**obj, "spec": spec, "status": status}
