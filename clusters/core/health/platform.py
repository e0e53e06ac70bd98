"""Rules of the other built-in kinds: networking, storage, scaling, policy, extension of the API."""

from __future__ import annotations

import json

from clusters.core.health.reading import (
    NO_CONDITION,
    Condition,
    Health,
    Rule,
    annotation,
    conditions,
    conditions_in,
    degraded,
    healthy,
    items,
    progressing,
    sentence,
    text,
)
from clusters.core.manifests import Manifest

_NO_METRICS = {
    "FailedGetResourceMetric",
    "FailedGetObjectMetric",
    "FailedGetPodsMetric",
    "FailedGetExternalMetric",
    "FailedComputeMetricsReplicas",
    "InvalidSelector",
}
_CANNOT_SCALE = {"FailedGetScale", "FailedUpdateScale"}
_V1_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"


def service(obj: Manifest) -> Health:
    if text(obj, "spec", "type") == "LoadBalancer":
        return ingress(obj)
    return healthy()


def ingress(obj: Manifest) -> Health:
    if items(obj, "status", "loadBalancer", "ingress"):
        return healthy()
    return progressing("waiting for an address of the load balancer")


def volume_claim(obj: Manifest) -> Health:
    phase = text(obj, "status", "phase")
    if phase == "Bound":
        return healthy()
    if phase == "Pending":
        return progressing("waiting for a volume to be bound")
    if phase == "Lost":
        return degraded("the bound volume is lost")
    return Health("Unknown", f"the claim's phase is {phase or 'not known'}")


def horizontal_pod_autoscaler(obj: Manifest) -> Health:
    found = _autoscaler_conditions(obj)
    if found is None:
        return Health("Unknown", f"no rule for {text(obj, 'apiVersion')} of HorizontalPodAutoscaler")
    able, active = found.get("AbleToScale", NO_CONDITION), found.get("ScalingActive", NO_CONDITION)
    if able.reason in _CANNOT_SCALE:
        return degraded(sentence(able, able.reason))
    if active.reason in _NO_METRICS:
        return degraded(sentence(active, active.reason))
    for one in (able, found.get("ScalingLimited", NO_CONDITION)):
        if one.status == "True":
            return healthy(one.message)
    return progressing("waiting for the autoscaler")


def _autoscaler_conditions(obj: Manifest) -> dict[str, Condition] | None:
    """Conditions in version v2, or from the annotation that v1 carries; None for other versions."""
    version = text(obj, "apiVersion")
    if version == "autoscaling/v2":
        return conditions(obj)
    if version != "autoscaling/v1":
        return None
    try:
        entries = json.loads(annotation(obj, _V1_CONDITIONS) or "[]")
    except (ValueError, RecursionError):
        return {}
    return conditions_in(items({"entries": entries}, "entries"))


def api_service(obj: Manifest) -> Health:
    available = conditions(obj).get("Available", NO_CONDITION)
    if available.status == "True":
        return healthy(available.message)
    return progressing(sentence(available, "waiting for the API to be available"))


def custom_resource_definition(obj: Manifest) -> Health:
    found = conditions(obj)
    if not found:
        return progressing("waiting for the definition to be established")
    names, structure, established = (
        found.get(name, NO_CONDITION) for name in ("NamesAccepted", "NonStructuralSchema", "Established")
    )
    if found.get("Terminating", NO_CONDITION).status == "True":
        return progressing(sentence(found["Terminating"], "the definition is being deleted"))
    if names.status == "False":
        return degraded(sentence(names, "its names are taken"))
    if structure.status == "True":
        return degraded(sentence(structure, "its schema is not structural"))
    if established.status == "False" and established.reason == "Installing":
        return progressing(sentence(established, "the definition is being installed"))
    if established.status == "True":
        return healthy(established.message)
    return degraded(sentence(established, "the definition is not established"))


def disruption_budget(obj: Manifest) -> Health:
    found = conditions(obj)
    if not found:
        return progressing("waiting for the first evaluation")
    for one in found.values():
        if one.status == "False" and one.reason != "InsufficientPods":
            return degraded(sentence(one, one.type))
    return healthy()


RULES: dict[tuple[str, str], Rule] = {
    ("", "Service"): service,
    ("", "PersistentVolumeClaim"): volume_claim,
    ("networking.k8s.io", "Ingress"): ingress,
    ("extensions", "Ingress"): ingress,
    ("autoscaling", "HorizontalPodAutoscaler"): horizontal_pod_autoscaler,
    ("apiregistration.k8s.io", "APIService"): api_service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): custom_resource_definition,
    ("policy", "PodDisruptionBudget"): disruption_budget,
}
