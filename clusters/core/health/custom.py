"""Rules of well-known custom kinds whose conditions need a word of interpretation; `known.py` has the plain ones."""

from __future__ import annotations

from collections.abc import Mapping

from clusters.core.health.reading import (
    NO_CONDITION,
    Condition,
    Health,
    conditions,
    degraded,
    dig,
    flag,
    healthy,
    items,
    number,
    progressing,
    sentence,
    suspended,
    text,
)
from clusters.core.health.tables import by_condition, fresh
from clusters.core.manifests import Manifest

_UNPACKING = ("UnpackingPackage", "Pending")


def certificate(obj: Manifest) -> Health:
    """cert-manager: a valid certificate stays Healthy while it is renewed; a failed issuance is told."""
    found = fresh(conditions(obj), number(obj, "metadata", "generation"))
    issuing, ready = found.get("Issuing", NO_CONDITION), found.get("Ready", NO_CONDITION)
    if ready.status == "True":
        return healthy(ready.message)
    if issuing.status == "True":
        return progressing(sentence(issuing, "the certificate is being issued"))
    if ready.reason == "DoesNotExist" and issuing.reason != "Failed":
        return progressing(sentence(ready, "the certificate is not issued yet"))  # just before Issuing is set
    if issuing.reason == "Failed" or ready.status == "False":
        return degraded(
            sentence(issuing if issuing.reason == "Failed" else ready, "the certificate is not ready")
        )
    return progressing("waiting for the certificate")


def flux(obj: Manifest) -> Health | None:
    """All kinds of the Flux toolkit: suspend, Stalled, Reconciling and Ready mean the same everywhere."""
    if flag(obj, "spec", "suspend"):
        return suspended("reconciliation is suspended")
    if not conditions(obj) and _is_static_flux(obj):
        return None
    found = fresh(conditions(obj), number(obj, "metadata", "generation"))
    ready = found.get("Ready", NO_CONDITION)
    if found.get("Stalled", NO_CONDITION).status == "True":
        return degraded(sentence(found["Stalled"], "reconciliation is stalled"))
    if found.get("Reconciling", NO_CONDITION).status == "True" or _observed_less(obj):
        return progressing(sentence(ready, "reconciliation is in progress"))
    if ready.status == "False" and ready.reason not in ("Progressing", "DependencyNotReady"):
        return degraded(sentence(ready, "not ready"))
    if ready.status == "True":
        return healthy(ready.message)
    return progressing(sentence(ready, "waiting for the first reconciliation"))


def _is_static_flux(obj: Manifest) -> bool:
    """Objects that other objects only read: no controller ever writes a status to them."""
    kind = text(obj, "kind")
    return kind in ("Alert", "Provider") or (kind == "HelmRepository" and text(obj, "spec", "type") == "oci")


def _observed_less(obj: Manifest) -> bool:
    """Flux writes -1 before the first reconciliation; notification providers write nothing at all."""
    observed = dig(obj, "status", "observedGeneration")
    return isinstance(observed, int) and observed < number(obj, "metadata", "generation")


def keda(obj: Manifest) -> Health:
    found = conditions(obj)
    if found.get("Paused", NO_CONDITION).status == "True":
        return suspended(sentence(found["Paused"], "scaling is paused"))
    ready, fallback = found.get("Ready", NO_CONDITION), found.get("Fallback", NO_CONDITION)
    if ready.status == "False":
        return degraded(sentence(ready, "the scaler is not ready"))
    if fallback.status == "True":
        return degraded(sentence(fallback, "scaling uses its fallback"))
    if ready.status == "True":
        return healthy(ready.message)
    return progressing(sentence(ready, "waiting for the scaler"))


def crossplane(obj: Manifest) -> Health | None:
    """Managed and composite resources: Synced says whether it can work, Ready whether it has worked."""
    found = fresh(conditions(obj), number(obj, "metadata", "generation"))
    if not _is_claimable(obj) and "Ready" not in conditions(obj):
        return _crossplane_kind(found)
    for name in ("LastAsyncOperation", "Synced"):
        one = found.get(name, NO_CONDITION)
        if one.reason == "ReconcilePaused":
            return suspended(sentence(one, "reconciliation is paused"))
        if one.status == "False":
            return degraded(sentence(one, f"{name} is False"))
    ready = found.get("Ready", NO_CONDITION)
    if ready.status == "True":
        return healthy(ready.message)
    if ready.status == "False" and ready.reason in ("Unavailable", "ReconcileError"):
        return degraded(sentence(ready, "not ready"))
    return progressing(sentence(ready, "waiting to become ready"))


def _crossplane_kind(found: Mapping[str, Condition]) -> Health | None:
    """Kinds that never become Ready (configurations, revisions, policies): only that one cannot work is told."""
    synced = found.get("Synced", NO_CONDITION)
    return degraded(sentence(synced, "Synced is False")) if synced.status == "False" else None


def _is_claimable(obj: Manifest) -> bool:
    spec = dig(obj, "spec")
    names = (
        "forProvider",
        "providerConfigRef",
        "compositionRef",
        "compositionSelector",
        "resourceRef",
        "crossplane",
    )
    return isinstance(spec, dict) and any(name in spec for name in names)


def looks_like_crossplane(obj: Manifest) -> bool:
    """Composites and claims live in groups of their users; their spec and both conditions give them away."""
    return _is_claimable(obj) and {"Synced", "Ready"} <= conditions(obj).keys()


def package_revision(obj: Manifest) -> Health | None:
    """One revision of a Crossplane package; its health was one condition before it became two."""
    names = [name for name in ("Healthy", "RevisionHealthy", "RuntimeHealthy") if name in conditions(obj)]
    return by_condition(*names, pending=_UNPACKING)(obj) if names else None


def config_connector(obj: Manifest) -> Health:
    """Google's operator of its operator: a flag and a list of errors."""
    status = dig(obj, "status", "healthy")
    if status is True:
        return healthy()
    errors = dig(obj, "status", "errors")
    said = "; ".join(str(error) for error in errors) if isinstance(errors, list) else ""
    return degraded(said or "it is not healthy") if status is False else progressing("waiting for its status")


def cluster_api(obj: Manifest) -> Health:
    """Cluster API asks for Ready up to v1beta1, for Available (sets: MachinesReady) from v1beta2 on."""
    found = conditions(obj)
    newer = "MachinesReady" if text(obj, "kind") == "MachineSet" else "Available"
    old = "Ready" in found or (newer not in found and text(obj, "apiVersion").endswith("/v1beta1"))
    return by_condition("Ready" if old else newer, false="Progressing", suspend=("spec", "paused"))(obj)


def volume_snapshot(obj: Manifest) -> Health:
    if flag(obj, "status", "readyToUse"):
        return healthy()
    if isinstance(dig(obj, "status", "error"), dict):
        return degraded(text(obj, "status", "error", "message") or "the snapshot failed")
    return progressing("waiting for the snapshot to be ready to use")


def acked(obj: Manifest) -> Health:
    """AWS controllers: a terminal error cannot be mended by waiting, a recoverable one may."""
    found = conditions(obj)
    for name, make in (("ACK.Terminal", degraded), ("ACK.Recoverable", progressing)):
        if found.get(name, NO_CONDITION).status == "True":
            return make(sentence(found[name], name))
    if found.get("ACK.ResourceSynced", NO_CONDITION).status == "True":
        return healthy()
    return progressing(sentence(found.get("ACK.ResourceSynced", NO_CONDITION), "waiting to be synced"))


def virtual_machine(obj: Manifest) -> Health:
    shown = text(obj, "status", "printableStatus")
    if flag(obj, "status", "ready"):
        return healthy(shown)
    if shown in ("Stopped", "Paused"):
        return suspended(f"the machine is {shown}")
    if shown.startswith(("Err", "Crash")) or shown.endswith(("Error", "BackOff", "Unschedulable")):
        return degraded(shown)
    return progressing(shown or "waiting for the machine")


def cnpg_cluster(obj: Manifest) -> Health:
    found, phase = conditions(obj), text(obj, "status", "phase")
    reason = text(obj, "status", "phaseReason")
    if "hibernat" in phase.lower() or found.get("cnpg.io/hibernation", NO_CONDITION).status == "True":
        return suspended(phase or "the cluster is hibernated")
    if any(word in phase.lower() for word in ("unrecoverable", "failed", "invalid", "not enough disk")):
        return degraded(": ".join(filter(None, (phase, reason))))
    if phase == "Cluster in healthy state":
        return healthy(phase)
    return progressing(phase or "waiting for the cluster")


def kyverno(obj: Manifest) -> Health:
    if "Ready" not in conditions(obj) and isinstance(dig(obj, "status", "ready"), bool):
        return (
            healthy() if flag(obj, "status", "ready") else progressing("waiting for the policy to be ready")
        )
    return by_condition("Ready")(obj)


def constraint_template(obj: Manifest) -> Health:
    for pod in items(obj, "status", "byPod"):
        for error in items(pod, "errors"):
            return degraded(text(error, "message") or text(error, "code") or "the template has errors")
    return (
        healthy() if flag(obj, "status", "created") else progressing("waiting for the template to be created")
    )
