"""Kinds whose life is one status: claims, Services, Ingresses, autoscalers, budgets."""

from __future__ import annotations

from typing import Any

from clusters.sandbox.lifecycle.pods import seconds
from clusters.sandbox.lifecycle.tools import Reconcile, Tools

Manifest = dict[str, Any]
ADDRESS = "203.0.113.10"
NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration",)


def _after(tools: Tools, obj: Manifest, api_version: str, kind: str, make: Any) -> None:
    """Set the status once the object's time has come; `sim/not-ready` keeps it waiting."""
    marks = obj["metadata"].get("annotations") or {}
    key = (obj["metadata"]["uid"], "ready")
    if (
        marks.get("sim/not-ready") == "true"
        or obj["metadata"].get("deletionTimestamp")
        or key in tools.b.stages
    ):
        return
    tools.b.stages.add(key)
    served = tools.kind(api_version, kind)

    def over() -> None:
        tools.b.stages.discard(key)
        held = tools.b.store.by_uid(key[0])
        if held is not None and not tools.b.closed:
            tools.set_status(served, held[2], make(held[2]))

    tools.b.later(seconds(marks.get("sim/ready-after"), tools.b.ready_after), over)


def claim(tools: Tools, obj: Manifest) -> None:
    """A claim is bound; a deleted one goes at once (no pod protects it here)."""
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp"):
        _drop(tools, "persistentvolumeclaims", obj, "kubernetes.io/pvc-protection")
        return
    if (obj.get("status") or {}).get("phase") == "Bound":
        return

    def bound(now: Manifest) -> Manifest:
        spec = now["spec"]
        storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "1Gi")
        named = {
            **now,
            "spec": {**spec, "volumeName": spec.get("volumeName") or f"pvc-{now['metadata']['uid']}"},
        }
        tools.b.store.write(
            tools.b.store.table("", "persistentvolumeclaims"),
            (metadata["namespace"], metadata["name"]),
            named,
        )
        return {"phase": "Bound", "accessModes": spec.get("accessModes"), "capacity": {"storage": storage}}

    _after(tools, obj, "v1", "PersistentVolumeClaim", bound)


def volume(tools: Tools, obj: Manifest) -> None:
    """A volume is available; a deleted one goes at once."""
    if obj["metadata"].get("deletionTimestamp"):
        _drop(tools, "persistentvolumes", obj, "kubernetes.io/pv-protection")
    elif (obj.get("status") or {}).get("phase") == "Pending":
        _after(tools, obj, "v1", "PersistentVolume", lambda _: {"phase": "Available"})


def _drop(tools: Tools, resource: str, obj: Manifest, finalizer: str) -> None:
    metadata = obj["metadata"]
    left = [name for name in metadata.get("finalizers") or () if name != finalizer]
    if left == (metadata.get("finalizers") or []):
        return
    out = {**obj, "metadata": {**metadata, "finalizers": left}}
    place = (metadata.get("namespace", ""), metadata["name"])
    tools.b.store.write(tools.b.store.table("", resource), place, out, gone=not left)


def service(tools: Tools, obj: Manifest) -> None:
    """A LoadBalancer gets an address; a Service with a selector gets an EndpointSlice with its labels."""
    spec = obj["spec"]
    if spec.get("selector"):
        _slice(tools, obj)
    if spec.get("type") == "LoadBalancer" and not _addressed(obj):
        made = {"loadBalancer": {"ingress": [{"ip": ADDRESS, "ipMode": "VIP"}]}}
        _after(tools, obj, "v1", "Service", lambda _: made)


def _addressed(obj: Manifest) -> bool:
    return bool(((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress"))


def _slice(tools: Tools, obj: Manifest) -> None:
    if obj["metadata"].get("deletionTimestamp") or tools.owned(obj, "endpointslices"):
        return
    metadata = obj["metadata"]
    labels = {
        **(metadata.get("labels") or {}),
        "kubernetes.io/service-name": metadata["name"],
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    marks = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in NOT_COPIED}
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "labels": labels,
            "annotations": marks,
            "ownerReferences": [tools.owner_reference(obj)],
        },
        "addressType": "IPv4",
        "endpoints": [],
        "ports": [
            {"name": p.get("name", ""), "port": p.get("port"), "protocol": p.get("protocol", "TCP")}
            for p in obj["spec"].get("ports") or ()
        ],
    }
    tools.create(tools.kind("discovery.k8s.io/v1", "EndpointSlice"), metadata["namespace"], body)


def ingress(tools: Tools, obj: Manifest) -> None:
    """An Ingress gets an address."""
    if not _addressed(obj):
        made = {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}
        _after(tools, obj, "networking.k8s.io/v1", "Ingress", lambda _: made)


def autoscaler(tools: Tools, obj: Manifest) -> None:
    """An autoscaler that works and sees no reason to scale."""
    if (obj.get("status") or {}).get("conditions"):
        return

    def status(now: Manifest) -> Manifest:
        stamp = tools.b.now()
        rows = (
            ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
            ("ScalingActive", "True", "ValidMetricFound", "the HPA was able to compute the replica count"),
            (
                "ScalingLimited",
                "False",
                "DesiredWithinRange",
                "the desired count is within the acceptable range",
            ),
        )
        conditions = [
            {"type": sort, "status": word, "reason": reason, "message": text, "lastTransitionTime": stamp}
            for sort, word, reason, text in rows
        ]
        held = now.get("status") or {}
        return {"currentMetrics": None, "desiredReplicas": 0, **held, "conditions": conditions}

    _after(tools, obj, "autoscaling/v2", "HorizontalPodAutoscaler", status)


def budget(tools: Tools, obj: Manifest) -> None:
    """A budget without pods to protect allows no disruption and says so."""
    status = obj.get("status") or {}
    if status.get("observedGeneration") == obj["metadata"]["generation"]:
        return
    condition = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "observedGeneration": obj["metadata"]["generation"],
        "lastTransitionTime": tools.b.now(),
    }
    fresh = {**status, "observedGeneration": obj["metadata"]["generation"], "conditions": [condition]}
    tools.set_status(tools.kind("policy/v1", "PodDisruptionBudget"), obj, fresh)


RULES: dict[tuple[str, str], Reconcile] = {
    ("", "persistentvolumeclaims"): claim,
    ("", "persistentvolumes"): volume,
    ("", "services"): service,
    ("networking.k8s.io", "ingresses"): ingress,
    ("autoscaling", "horizontalpodautoscalers"): autoscaler,
    ("policy", "poddisruptionbudgets"): budget,
}
