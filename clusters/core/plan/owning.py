"""Who keeps the live object of a target: the decision table of sync-semantics.md 5.3."""

from __future__ import annotations

from clusters.core.manifests import Manifest, ResourceKey, owner_of
from clusters.core.plan.request import PlanFacts, PlanRequest


def judge_owner(live: Manifest, key: ResourceKey, request: PlanRequest, facts: PlanFacts) -> tuple[str, bool]:
    """The sentence about who owns the live object of a target, and whether it is left to that owner."""
    owner = owner_of(live, application=request.application, hub_id=request.hub_id, target=key)
    if owner.kind == "ours":
        return "", False
    if owner.kind in ("none", "copy"):
        return "adopts existing object", False
    if request.kind == "takeover":
        return f"taken over from {owner.label}", False
    if owner.kind == "other_application" and not facts.living(owner.application):
        return f"adopts existing object, owner gone ({owner.label})", False
    if owner.kind == "argocd_label":
        if key in facts.confirmed_adoptions:
            return "adopts existing object, confirmed", False
        return f"is owned by {owner.label}; confirm the adoption", True
    return f"is owned by {owner.label}", True
