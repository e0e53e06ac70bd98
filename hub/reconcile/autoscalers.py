"""Autoscalers of the destination: what they scale keeps its replicas (sync-semantics.md 6.5).

Read once per pass, and only when Git names replicas: from the watch of these two kinds where this process has one, else
by one LIST. A listing that failed never means "nothing is scaled": what could be scaled is then not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from clusters import errors
from clusters.core.diff import NO_RULES, ObjectRules, RuleProblem, autoscaler_rules, scale_targets
from clusters.core.diff.autoscaling import SCALERS
from clusters.core.discovery import Discovery
from clusters.core.manifests import Manifest, ResourceKey, key_of
from clusters.errors import ClusterError
from clusters.services import everything
from hub.reconcile.frame import Frame

Kind = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scaled:
    """What is scaled, by which autoscaler; `kinds` were asked for; `problem`: why nobody knows at present."""

    targets: Mapping[ResourceKey, ResourceKey] = field(default_factory=dict)
    kinds: frozenset[Kind] = frozenset()
    problem: str = ""


def find(frame: Frame, manifests: Iterable[Manifest], discovery: Discovery) -> dict[Kind, str]:
    """Look up the autoscalers for this pass. Returns the kinds that may not be listed, with the reason: as far as
    anybody can know they scale nothing (a narrow account), which is said and does not stop the comparison."""
    if not any(has_replicas(manifest) for manifest in manifests):
        return {}
    kinds = [kind for kind in SCALERS if discovery.find(*kind) is not None]
    broken = [group for group, _ in SCALERS if group in discovery.broken_groups]
    try:
        state = everything(frame.connection, kinds)
    except ClusterError as error:
        frame.scaled = Scaled(problem=error.message)
        return {}
    refused = {kind: error.message for kind, error in state.errors.items() if _refused(error)}
    troubles = [error.message for error in state.errors.values() if not _refused(error)]
    troubles += [f"discovery of {group} failed" for group in broken]
    frame.scaled = Scaled(scale_targets(state.objects.values()), frozenset(kinds), "; ".join(troubles))
    return refused


def rules_for(frame: Frame, manifest: Manifest) -> ObjectRules:
    """The rule that leaves `spec.replicas` to the autoscaler of this manifest's object; with a problem while nobody
    knows whether there is one."""
    scaled: Scaled | None = frame.scaled
    if scaled is None:
        return NO_RULES
    if not scaled.problem or not has_replicas(manifest):
        return autoscaler_rules(manifest, scaled.targets)
    key = key_of(manifest)
    rules = autoscaler_rules(manifest, {key: key})
    if rules is NO_RULES:
        return rules
    unknown = RuleProblem("/spec/replicas", "autoscaler", f"autoscalers cannot be listed: {scaled.problem}")
    return replace(rules, problems=(unknown,))


def reason(frame: Frame, manifest: Manifest) -> str:
    """`replicas ignored: scaled by HorizontalPodAutoscaler shop/api`, or empty."""
    scaled: Scaled | None = frame.scaled
    if scaled is None or not has_replicas(manifest):
        return ""
    return next((path.rule for path in autoscaler_rules(manifest, scaled.targets).paths), "")


def kinds_of(frame: Frame) -> frozenset[Kind]:
    """The autoscaler kinds that this pass looked up: worth a watch in the process that owns the cluster."""
    scaled: Scaled | None = frame.scaled
    return scaled.kinds if scaled is not None else frozenset()


def has_replicas(manifest: Manifest) -> bool:
    """Whether Git says how many."""
    spec = manifest.get("spec")
    return isinstance(spec, dict) and isinstance(spec.get("replicas"), int)


def _refused(error: ClusterError) -> bool:
    return isinstance(error, errors.Forbidden | errors.KindNotServed | errors.NotFound)
