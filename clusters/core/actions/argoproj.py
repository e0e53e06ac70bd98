"""Actions of the argoproj.io kinds: the patches that Argo Rollouts and Argo Workflows make themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clusters.core.actions.making import (
    PAUSED,
    Parameters,
    Patch,
    Recipe,
    common_scale,
    common_suspend,
    common_unsuspend,
    either,
    if_flag,
    name_at,
    owner,
    set_to,
    stamp,
    unless,
)
from clusters.core.health.reading import dig, flag, items, number, text
from clusters.core.manifests import Manifest

_ENDED = ("Succeeded", "Successful", "Failed", "Error", "Inconclusive")


def _is_paused(obj: Manifest) -> bool:
    return flag(obj, *PAUSED) or bool(items(obj, "status", "pauseConditions"))


def _is_fully_promoted(obj: Manifest) -> bool:
    stable = text(obj, "status", "stableRS")
    return bool(stable) and stable == text(obj, "status", "currentPodHash")


def _not_in_progress(obj: Manifest) -> str:
    return "it is fully promoted" if _is_fully_promoted(obj) else ""


def _next_step(obj: Manifest, _now: datetime, _parameters: Parameters) -> Patch:
    following = number(obj, "status", "currentStepIndex") + 1
    return {"status": {"currentStepIndex": following, "pauseConditions": None, "controllerPause": False}}


def _no_step_left(obj: Manifest) -> str:
    steps = items(obj, "spec", "strategy", "canary", "steps")
    if not steps:
        return "it has no canary steps"
    if number(obj, "status", "currentStepIndex") >= len(steps) or _is_fully_promoted(obj):
        return "all steps are done"
    return ""


def _resumed(obj: Manifest, _now: datetime, _parameters: Parameters) -> Patch:
    patch: Patch = {"spec": {"paused": False}} if flag(obj, *PAUSED) else {}
    if items(obj, "status", "pauseConditions"):
        patch["status"] = {"pauseConditions": None}
    return patch


ROLLOUT = {
    "restart": Recipe("Restart", set_to("spec", "restartAt", to=stamp)),
    "pause": Recipe("Pause", set_to(*PAUSED, to=True), if_flag(PAUSED, "it is paused already")),
    "resume": Recipe("Resume", _resumed, lambda obj: "" if _is_paused(obj) else "it is not paused"),
    "abort": Recipe(
        "Abort",
        set_to("status", "abort", to=True),
        lambda obj: "it is aborted already" if flag(obj, "status", "abort") else _not_in_progress(obj),
    ),
    "retry": Recipe(
        "Retry",
        set_to("status", "abort", to=False),
        unless(("status", "abort"), "it is not aborted"),
    ),
    "promote-full": Recipe("Promote fully", set_to("status", "promoteFull", to=True), _not_in_progress),
    "skip-current-step": Recipe("Skip current step", _next_step, _no_step_left),
    "scale": common_scale,
}


def _workflow_of(obj: Manifest, now: datetime, _parameters: Parameters) -> Patch:
    """A Workflow from a CronWorkflow's spec, or one that refers to a WorkflowTemplate."""
    kind = text(obj, "kind")
    spec = dig(obj, "spec", "workflowSpec") if kind == "CronWorkflow" else None
    reference = {"name": text(obj, "metadata", "name"), "clusterScope": kind == "ClusterWorkflowTemplate"}
    made: dict[str, Any] = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name_at(obj, now), "namespace": text(obj, "metadata", "namespace")},
        "spec": spec if isinstance(spec, dict) else {"workflowTemplateRef": reference},
    }
    if kind == "CronWorkflow":
        made["metadata"]["ownerReferences"] = [owner(obj, controller=False)]
    return made


def _is_over(obj: Manifest) -> str:
    return "it has ended" if text(obj, "status", "phase") in _ENDED else ""


SUBMIT = Recipe("Submit workflow", _workflow_of, creates=True)
WORKFLOW = {
    "stop": Recipe("Stop", set_to("spec", "shutdown", to="Stop"), _is_over),
    "terminate": Recipe("Terminate", set_to("spec", "shutdown", to="Terminate"), _is_over),
    "suspend": Recipe("Suspend", common_suspend.patch, either(_is_over, common_suspend.refusal)),
    "resume": Recipe("Resume", common_unsuspend.patch, either(_is_over, common_unsuspend.refusal)),
}
TERMINATE = {"terminate": Recipe("Terminate", set_to("spec", "terminate", to=True), _is_over)}
