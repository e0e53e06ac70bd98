"""Autoscalers are respected without configuration: `spec.replicas` of what they scale is theirs (sync-semantics.md 6.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clusters.core.diff.rules import NO_RULES, IgnoreRule, ObjectRules, compile_rules
from clusters.core.manifests import Manifest, ResourceKey, key_of, metadata_map

RESPECT_ANNOTATION = "gitops-hub.io/respect-autoscaler"
SCALERS = (("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject"))


def scale_targets(scalers: Iterable[Manifest]) -> dict[ResourceKey, ResourceKey]:
    """What each autoscaler of a cluster names in `scaleTargetRef`: key of the scaled object -> key of the scaler.

    Others than HorizontalPodAutoscalers and ScaledObjects are passed over, and so are those being deleted.
    """
    found: dict[ResourceKey, ResourceKey] = {}
    for scaler in scalers:
        key = key_of(scaler)
        spec = scaler.get("spec") or {}
        target = spec.get("scaleTargetRef") if isinstance(spec, dict) else None
        if (key.group, key.kind) not in SCALERS or not isinstance(target, dict) or not target.get("name"):
            continue
        if scaler["metadata"].get("deletionTimestamp"):
            continue
        group = str(target.get("apiVersion") or "apps/v1").rpartition("/")[0]
        kind = str(target.get("kind") or "Deployment")
        found[ResourceKey(group, kind, key.namespace, str(target["name"]))] = key
    return found


def autoscaler_rules(manifest: Manifest, scaled: Mapping[ResourceKey, ResourceKey]) -> ObjectRules:
    """The rule for a manifest that an autoscaler names; none with `gitops-hub.io/respect-autoscaler: "false"`."""
    key = key_of(manifest)
    if key not in scaled or metadata_map(manifest, "annotations").get(RESPECT_ANNOTATION) == "false":
        return NO_RULES
    return compile_rules([autoscaler_rule(key, scaled[key])])


def autoscaler_rule(key: ResourceKey, scaler: ResourceKey) -> IgnoreRule:
    """`spec.replicas` belongs to the autoscaler that names the object (6.5)."""
    place = f"{scaler.kind} {scaler.namespace}/{scaler.name}"
    return IgnoreRule(
        group=_literal(key.group),
        kind=_literal(key.kind),
        name=_literal(key.name),
        namespace=_literal(key.namespace),
        json_pointers=("/spec/replicas",),
        origin="autoscaler",
        reason=f"replicas ignored: scaled by {place}",
    )


def _literal(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
