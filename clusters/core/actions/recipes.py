"""The table: which actions a kind has. Batch and the smaller custom kinds are made here too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from clusters.core.actions.argoproj import ROLLOUT, SUBMIT, TERMINATE, WORKFLOW
from clusters.core.actions.making import (
    PAUSED,
    Parameters,
    Patch,
    Recipe,
    annotate,
    common_pause,
    common_restart,
    common_resume,
    common_scale,
    common_suspend,
    common_unsuspend,
    either,
    if_flag,
    name_at,
    owner,
    seconds,
    stamp,
)
from clusters.core.health import conditions
from clusters.core.health.reading import annotation, dig, items, number, text
from clusters.core.manifests import Manifest


def recipes_for(group: str, kind: str) -> Mapping[str, Recipe]:
    """The actions of a kind by name; groups below a domain share theirs."""
    if group.endswith(".toolkit.fluxcd.io"):
        return _FLUX
    if group.endswith((".crossplane.io", ".upbound.io")):
        return _CROSSPLANE
    return _BY_KIND.get((group, kind), {})


def _job_of(obj: Manifest, now: datetime, _parameters: Parameters) -> Patch:
    """A Job as the CronJob would make it, owned by it, named after the moment."""
    template = dig(obj, "spec", "jobTemplate")
    template = template if isinstance(template, dict) else {}
    metadata = template.get("metadata") if isinstance(template.get("metadata"), dict) else {}
    labels, annotations = dig(metadata, "labels"), dig(metadata, "annotations")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name_at(obj, now),
            "namespace": text(obj, "metadata", "namespace"),
            "labels": dict(labels) if isinstance(labels, dict) else {},
            "annotations": {
                **(annotations if isinstance(annotations, dict) else {}),
                "cronjob.kubernetes.io/instantiate": "manual",
            },
            "ownerReferences": [owner(obj, controller=True)],
        },
        "spec": template.get("spec") or {},
    }


def _job_is_over(obj: Manifest) -> str:
    done = [
        name for name in ("Complete", "Failed") if (one := conditions(obj).get(name)) and one.status == "True"
    ]
    return "the Job is finished" if done else ""


_JOB = {
    "suspend": Recipe("Suspend", common_suspend.patch, either(_job_is_over, common_suspend.refusal)),
    "resume": Recipe("Resume", common_unsuspend.patch, either(_job_is_over, common_unsuspend.refusal)),
}
_CRON_JOB = {
    "create-job": Recipe("Run now", _job_of, creates=True),
    "suspend": common_suspend,
    "resume": common_unsuspend,
}


def _renewed(obj: Manifest, now: datetime, _parameters: Parameters) -> Patch:
    """cert-manager renews a Certificate whose condition Issuing is True; the version guards the whole list."""
    others = [one for one in items(obj, "status", "conditions") if text(one, "type") != "Issuing"]
    issuing = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "Renewal was asked for by hand",
        "lastTransitionTime": stamp(now),
        "observedGeneration": number(obj, "metadata", "generation"),
    }
    version = text(obj, "metadata", "resourceVersion")
    return {"metadata": {"resourceVersion": version}, "status": {"conditions": [*others, issuing]}}


def _is_issuing(obj: Manifest) -> str:
    issuing = conditions(obj).get("Issuing")
    return "it is being issued already" if issuing and issuing.status == "True" else ""


def _switch(name: str, on: str, *, word: str) -> dict[str, Recipe]:
    """Pause and resume by an annotation."""

    def is_on(obj: Manifest) -> bool:
        return annotation(obj, name) == on

    return {
        "pause": Recipe(
            "Pause", annotate(name, on), lambda obj: f"{word} is paused already" if is_on(obj) else ""
        ),
        "resume": Recipe(
            "Resume", annotate(name, None), lambda obj: "" if is_on(obj) else f"{word} is not paused"
        ),
    }


_refresh = {"refresh": Recipe("Refresh", annotate("force-sync", seconds))}
_FLUX = {
    "reconcile": Recipe("Reconcile", annotate("reconcile.fluxcd.io/requestedAt", stamp)),
    "suspend": common_suspend,
    "resume": common_unsuspend,
}
_CROSSPLANE = _switch("crossplane.io/paused", "true", word="reconciliation")
_KEDA = _switch("autoscaling.keda.sh/paused", "true", word="scaling")

_BY_KIND: dict[tuple[str, str], Mapping[str, Recipe]] = {
    ("apps", "Deployment"): {
        "restart": Recipe(
            "Restart", common_restart.patch, if_flag(PAUSED, "a paused Deployment does not restart")
        ),
        "pause": common_pause,
        "resume": common_resume,
        "scale": common_scale,
    },
    ("apps", "StatefulSet"): {"restart": common_restart, "scale": common_scale},
    ("apps", "DaemonSet"): {"restart": common_restart},
    ("apps", "ReplicaSet"): {"scale": common_scale},
    ("batch", "Job"): _JOB,
    ("batch", "CronJob"): _CRON_JOB,
    ("argoproj.io", "Rollout"): ROLLOUT,
    ("argoproj.io", "AnalysisRun"): TERMINATE,
    ("argoproj.io", "Experiment"): TERMINATE,
    ("argoproj.io", "Workflow"): WORKFLOW,
    ("argoproj.io", "CronWorkflow"): {
        "create-workflow": SUBMIT,
        "suspend": common_suspend,
        "resume": common_unsuspend,
    },
    ("argoproj.io", "WorkflowTemplate"): {"create-workflow": SUBMIT},
    ("argoproj.io", "Application"): {
        "refresh": Recipe("Refresh", annotate("argocd.argoproj.io/refresh", "normal")),
    },
    ("external-secrets.io", "ExternalSecret"): _refresh,
    ("external-secrets.io", "ClusterExternalSecret"): _refresh,
    ("external-secrets.io", "PushSecret"): _refresh,
    ("cert-manager.io", "Certificate"): {"renew": Recipe("Renew", _renewed, _is_issuing)},
    ("keda.sh", "ScaledObject"): _KEDA,
    ("keda.sh", "ScaledJob"): _KEDA,
}
