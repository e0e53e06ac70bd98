"""Rules of the argoproj.io kinds: Rollout, child Application, Workflow and their relatives."""

from __future__ import annotations

from clusters.core.health.reading import (
    NO_CONDITION,
    STATUSES,
    Health,
    Rule,
    annotation,
    conditions,
    degraded,
    dig,
    flag,
    healthy,
    items,
    not_observed,
    number,
    progressing,
    sentence,
    suspended,
    text,
)
from clusters.core.health.tables import by_condition, by_phase
from clusters.core.manifests import Manifest

WORKLOAD_GENERATION = "rollout.argoproj.io/workload-generation"
_ABORTED = {"RolloutAborted", "ProgressDeadlineExceeded"}


def rollout(obj: Manifest) -> Health:
    if not _rollout_observed(obj):
        return not_observed(obj)
    phase, message = text(obj, "status", "phase"), text(obj, "status", "message")
    if phase == "Paused":
        return suspended(message or "Rollout is paused")
    if phase in STATUSES:
        return Health(phase, message)
    if phase:
        return Health("Unknown", f"the rollout's phase is {phase}")
    return _rollout_without_phase(obj)


def _rollout_observed(obj: Manifest) -> bool:
    """observedGeneration is a number in text here; old versions wrote a hash instead, which says nothing."""
    observed = str(dig(obj, "status", "observedGeneration") or "")
    if observed.isdecimal() and len(observed) < 20 and int(observed) < number(obj, "metadata", "generation"):
        return False
    workload = annotation(obj, WORKLOAD_GENERATION)
    if dig(obj, "spec", "workloadRef") is None or not workload:
        return True
    return workload == str(dig(obj, "status", "workloadObservedGeneration") or "")


def _rollout_without_phase(obj: Manifest) -> Health:
    found = conditions(obj)
    if "InvalidSpec" in found:
        return degraded(sentence(found["InvalidSpec"], "the spec is not valid"))
    rolling = found.get("Progressing", NO_CONDITION)
    if rolling.reason in _ABORTED:
        return degraded(sentence(rolling, rolling.reason))
    if items(obj, "status", "pauseConditions") or flag(obj, "spec", "paused"):
        return suspended("Rollout is paused")
    pod_hash = text(obj, "status", "currentPodHash")
    wanted, updated = number(obj, "spec", "replicas"), number(obj, "status", "updatedReplicas")
    available = number(obj, "status", "availableReplicas")
    if not pod_hash:
        return progressing("waiting for the rollout to begin")
    if updated < wanted:
        return progressing(f"{updated} of {wanted} replicas are updated")
    if available < updated:
        return progressing(f"{available} of {updated} updated replicas are available")
    return _rollout_switched(obj, pod_hash, updated)


def _rollout_switched(obj: Manifest, pod_hash: str, updated: int) -> Health:
    stable = text(obj, "status", "stableRS")
    if isinstance(dig(obj, "spec", "strategy", "blueGreen"), dict):
        if text(obj, "status", "blueGreen", "activeSelector") != pod_hash:
            return progressing("the active service does not select the new pods yet")
        if stable and stable != pod_hash:
            return progressing("waiting for the new pods to become the stable ones")
    if isinstance(dig(obj, "spec", "strategy", "canary"), dict):
        if number(obj, "status", "replicas") > updated:
            return progressing("old replicas are still to be removed")
        if stable != pod_hash:
            return progressing("waiting for the canary to become stable")
    return healthy()


def child_application(obj: Manifest) -> Health:
    """An Application managed by another one: unlike in Argo CD it is waited for (8.1)."""
    operation = text(obj, "status", "operationState", "phase")
    if isinstance(dig(obj, "operation"), dict) or operation in ("Running", "Terminating"):
        return progressing("an operation is running")
    if not _application_observed(obj):
        return progressing("waiting for the spec to be observed")
    automated = dig(obj, "spec", "syncPolicy", "automated")
    automatic = isinstance(automated, dict) and automated.get("enabled") is not False
    if automatic and text(obj, "status", "sync", "status") == "OutOfSync":
        return progressing("waiting for the automated sync")
    if operation in ("Failed", "Error"):
        return degraded(text(obj, "status", "operationState", "message") or "the last operation failed")
    status = text(obj, "status", "health", "status")
    if status not in STATUSES:
        return Health("Unknown", "its health is not known")
    return Health(status, text(obj, "status", "health", "message"))


def _application_observed(obj: Manifest) -> bool:
    compared = dig(obj, "status", "sync", "comparedTo")
    if not isinstance(compared, dict):
        return bool(text(obj, "status", "sync", "status"))
    names = ("source", "sources", "destination")
    return all((compared.get(name) or None) == (dig(obj, "spec", name) or None) for name in names)


_RUNNING = ("", "Pending", "Running")
_analysis = by_phase(healthy=("Successful",), degraded=("Failed", "Error"), progressing=_RUNNING)

RULES: dict[tuple[str, str], Rule] = {
    ("argoproj.io", "Rollout"): rollout,
    ("argoproj.io", "Application"): child_application,
    ("argoproj.io", "AnalysisRun"): _analysis,
    ("argoproj.io", "Experiment"): _analysis,
    ("argoproj.io", "Workflow"): by_phase(
        healthy=("Succeeded",), degraded=("Failed", "Error"), progressing=_RUNNING
    ),
    ("argoproj.io", "ApplicationSet"): by_condition(
        "ResourcesUpToDate", bad=("ErrorOccurred",), false="Progressing"
    ),
    ("argoproj.io", "CronWorkflow"): by_condition(bad=("SubmissionError", "SpecError")),
    ("argoproj.io", "EventBus"): by_condition("Deployed", "Configured"),
    ("argoproj.io", "EventSource"): by_condition("Deployed", "SourcesProvided"),
    ("argoproj.io", "Sensor"): by_condition("Deployed", "DependenciesProvided", "TriggersProvided"),
}
