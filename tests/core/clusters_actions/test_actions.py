"""Actions on live objects: what is offered, why not now, and the request that does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.core.actions import FIELD_MANAGER, ActionRefused, available, build
from clusters.core.actions.recipes import recipes_for

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SECONDS = "1795521600"


def live(kind: str, group_version: str = "apps/v1", *, name: str = "api", **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": "u-1", **parts.pop("metadata", {})}
    return {"apiVersion": group_version, "kind": kind, "metadata": metadata, **parts}


def rollout(**parts: Any) -> dict[str, Any]:
    return live("Rollout", "argoproj.io/v1alpha1", **parts)


CANARY = {"strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}}
IN_PROGRESS = {"currentPodHash": "b", "stableRS": "a", "currentStepIndex": 1}
PAUSED_AT_STEP = {**IN_PROGRESS, "pauseConditions": [{"reason": "CanaryPauseStep"}]}
DONE = {"currentPodHash": "b", "stableRS": "b", "currentStepIndex": 2}

TABLE: list[tuple[dict[str, Any], str, dict[str, Any], str]] = [
    (
        live("Deployment"),
        "restart",
        {
            "spec": {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-24T12:00:00Z"}}
                }
            }
        },
        "",
    ),
    (live("Deployment"), "pause", {"spec": {"paused": True}}, ""),
    (live("Deployment", spec={"paused": True}), "resume", {"spec": {"paused": False}}, ""),
    (
        live("StatefulSet"),
        "restart",
        {
            "spec": {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-24T12:00:00Z"}}
                }
            }
        },
        "",
    ),
    (rollout(), "restart", {"spec": {"restartAt": "2026-11-24T12:00:00Z"}}, ""),
    (rollout(), "pause", {"spec": {"paused": True}}, ""),
    (rollout(spec={"paused": True}), "resume", {"spec": {"paused": False}}, ""),
    (rollout(status=PAUSED_AT_STEP), "resume", {"status": {"pauseConditions": None}}, "status"),
    (rollout(status=IN_PROGRESS), "abort", {"status": {"abort": True}}, "status"),
    (rollout(status={"abort": True}), "retry", {"status": {"abort": False}}, "status"),
    (rollout(status=PAUSED_AT_STEP), "promote-full", {"status": {"promoteFull": True}}, "status"),
    (
        rollout(spec=CANARY, status=PAUSED_AT_STEP),
        "skip-current-step",
        {"status": {"currentStepIndex": 2, "pauseConditions": None, "controllerPause": False}},
        "status",
    ),
    (live("CronJob", "batch/v1", spec={"suspend": False}), "suspend", {"spec": {"suspend": True}}, ""),
    (live("CronJob", "batch/v1", spec={"suspend": True}), "resume", {"spec": {"suspend": False}}, ""),
    (live("Job", "batch/v1"), "suspend", {"spec": {"suspend": True}}, ""),
    (live("Job", "batch/v1", spec={"suspend": True}), "resume", {"spec": {"suspend": False}}, ""),
    (
        live("ExternalSecret", "external-secrets.io/v1"),
        "refresh",
        {"metadata": {"annotations": {"force-sync": SECONDS}}},
        "",
    ),
    (
        live("HelmRelease", "helm.toolkit.fluxcd.io/v2"),
        "reconcile",
        {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "2026-11-24T12:00:00Z"}}},
        "",
    ),
    (live("Kustomization", "kustomize.toolkit.fluxcd.io/v1"), "suspend", {"spec": {"suspend": True}}, ""),
    (
        live("ScaledObject", "keda.sh/v1alpha1"),
        "pause",
        {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}},
        "",
    ),
    (
        live(
            "Bucket", "s3.aws.upbound.io/v1beta1", metadata={"annotations": {"crossplane.io/paused": "true"}}
        ),
        "resume",
        {"metadata": {"annotations": {"crossplane.io/paused": None}}},
        "",
    ),
    (live("Workflow", "argoproj.io/v1alpha1"), "stop", {"spec": {"shutdown": "Stop"}}, ""),
    (live("AnalysisRun", "argoproj.io/v1alpha1"), "terminate", {"spec": {"terminate": True}}, ""),
]


@pytest.mark.parametrize(("obj", "name", "patch", "subresource"), TABLE, ids=lambda value: str(value)[:30])
def test_an_action_is_one_merge_patch(
    obj: dict[str, Any], name: str, patch: dict[str, Any], subresource: str
) -> None:
    (action,) = build(name, obj, NOON)
    assert (action.verb, action.patch_type, action.subresource) == ("patch", "merge", subresource)
    assert action.body == patch
    assert str(action.key).endswith(f"/{obj['kind']}/shop/api")
    assert action.api_version == obj["apiVersion"]


def test_the_moment_is_told_in_utc() -> None:
    berlin = datetime(2026, 11, 24, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    assert build("restart", live("DaemonSet"), berlin) == build("restart", live("DaemonSet"), NOON)


def test_what_an_action_writes_is_never_taken_for_what_git_wants() -> None:
    (action,) = build("restart", live("Deployment"), NOON)
    assert action.field_manager == FIELD_MANAGER == "gitops-hub-actions"


def test_a_rollout_paused_in_spec_and_at_a_step_is_resumed_by_two_requests() -> None:
    both = rollout(spec={"paused": True}, status=PAUSED_AT_STEP)
    spec, status = build("resume", both, NOON)
    assert (spec.subresource, spec.body) == ("", {"spec": {"paused": False}})
    assert (status.subresource, status.body) == ("status", {"status": {"pauseConditions": None}})


def test_scale_takes_replicas_and_nothing_else() -> None:
    deployment = live("Deployment", spec={"replicas": 3})
    (scale,) = [offer for offer in available(deployment) if offer.name == "scale"]
    assert [(one.name, one.default, one.minimum) for one in scale.parameters] == [("replicas", 3, 0)]
    (action,) = build("scale", deployment, NOON, {"replicas": 5})
    assert action.body == {"spec": {"replicas": 5}}
    for wrong in (
        {},
        {"replicas": -1},
        {"replicas": "5"},
        {"replicas": True},
        {"replicas": 1, "force": 1},
        {"replicas": 10**9},
    ):
        with pytest.raises(ActionRefused):
            build("scale", deployment, NOON, wrong)
    with pytest.raises(ActionRefused, match="have to be: none"):
        build("restart", deployment, NOON, {"replicas": 1})


def test_a_cronjob_runs_now_as_a_job_of_its_own() -> None:
    cron_job = live(
        "CronJob",
        "batch/v1",
        name="report",
        spec={
            "schedule": "0 3 * * *",
            "jobTemplate": {
                "metadata": {"labels": {"app": "report"}, "annotations": {"note": "x"}},
                "spec": {"template": {"spec": {"restartPolicy": "Never"}}},
            },
        },
    )
    (action,) = build("create-job", cron_job, NOON)
    assert (action.verb, str(action.key)) == ("create", f"batch/Job/shop/report-{SECONDS}")
    assert action.body == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"report-{SECONDS}",
            "namespace": "shop",
            "labels": {"app": "report"},
            "annotations": {"note": "x", "cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": "report",
                    "uid": "u-1",
                    "controller": True,
                }
            ],
        },
        "spec": {"template": {"spec": {"restartPolicy": "Never"}}},
    }


def test_names_of_created_objects_fit() -> None:
    long = live("CronJob", "batch/v1", name="a" * 51 + "-b" * 100, spec={"jobTemplate": {"spec": {}}})
    (action,) = build("create-job", long, NOON)
    assert len(action.key.name) <= 63
    assert action.key.name == "a" * 51 + "-" + SECONDS


def test_a_cron_workflow_is_submitted_with_its_spec_and_a_template_by_reference() -> None:
    cron = live("CronWorkflow", "argoproj.io/v1alpha1", spec={"workflowSpec": {"entrypoint": "main"}})
    (action,) = build("create-workflow", cron, NOON)
    assert action.body["spec"] == {"entrypoint": "main"}
    assert action.body["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    template = live("WorkflowTemplate", "argoproj.io/v1alpha1", spec={"entrypoint": "main"})
    (action,) = build("create-workflow", template, NOON)
    assert action.body["spec"] == {"workflowTemplateRef": {"name": "api", "clusterScope": False}}


def test_a_certificate_is_renewed_without_losing_its_other_conditions() -> None:
    ready = {"type": "Ready", "status": "True"}
    certificate = live(
        "Certificate",
        "cert-manager.io/v1",
        metadata={"resourceVersion": "77", "generation": 2},
        status={"conditions": [ready, {"type": "Issuing", "status": "False"}]},
    )
    (action,) = build("renew", certificate, NOON)
    assert action.subresource == "status"
    assert action.body["metadata"] == {"resourceVersion": "77"}
    kept, issuing = action.body["status"]["conditions"]
    assert kept == ready
    assert (issuing["type"], issuing["status"], issuing["observedGeneration"]) == ("Issuing", "True", 2)


@pytest.mark.parametrize(
    ("obj", "name", "sentence"),
    [
        (live("Deployment", spec={"paused": True}), "restart", "a paused Deployment does not restart"),
        (live("Deployment", spec={"paused": True}), "pause", "it is paused already"),
        (live("Deployment"), "resume", "it is not paused"),
        (rollout(status=DONE), "abort", "it is fully promoted"),
        (rollout(status=DONE), "promote-full", "it is fully promoted"),
        (rollout(status={"abort": True}), "abort", "it is aborted already"),
        (rollout(status=IN_PROGRESS), "retry", "it is not aborted"),
        (rollout(status=IN_PROGRESS), "resume", "it is not paused"),
        (rollout(status=IN_PROGRESS), "skip-current-step", "it has no canary steps"),
        (
            rollout(spec=CANARY, status={**IN_PROGRESS, "currentStepIndex": 2}),
            "skip-current-step",
            "all steps are done",
        ),
        (
            live("Job", "batch/v1", status={"conditions": [{"type": "Complete", "status": "True"}]}),
            "suspend",
            "the Job is finished",
        ),
        (live("Workflow", "argoproj.io/v1alpha1", status={"phase": "Succeeded"}), "stop", "it has ended"),
        (
            live("DaemonSet", metadata={"deletionTimestamp": "2026-11-24T11:00:00Z"}),
            "restart",
            "it is being deleted",
        ),
    ],
)
def test_what_cannot_be_done_now_is_offered_with_the_reason_and_refused(
    obj: dict[str, Any], name: str, sentence: str
) -> None:
    assert {offer.name: offer.disabled for offer in available(obj)}[name] == sentence
    with pytest.raises(ActionRefused, match=sentence) as refusal:
        build(name, obj, NOON)
    assert refusal.value.permanent


def test_kinds_without_actions_say_so() -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}}
    assert available(config_map) == ()
    with pytest.raises(ActionRefused) as refusal:
        build("restart", config_map, NOON)
    assert refusal.value.message == "ConfigMap/shop/c has no action restart"
    assert refusal.value.hint == "it has: none"


def test_the_offer_of_a_rollout_is_complete_and_in_order() -> None:
    assert [offer.name for offer in available(rollout())] == [
        "restart",
        "pause",
        "resume",
        "abort",
        "retry",
        "promote-full",
        "skip-current-step",
        "scale",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "paused", "conditions", "strategy", "spec", "metadata"]), inner
        )
    ),
    max_leaves=10,
)


@given(
    st.sampled_from(
        [
            "apps/v1 Deployment",
            "argoproj.io/v1alpha1 Rollout",
            "batch/v1 CronJob",
            "batch/v1 Job",
            "cert-manager.io/v1 Certificate",
        ]
    ),
    json_values,
    json_values,
)
def test_every_enabled_offer_can_be_built_whatever_the_object_holds(
    kind: str, spec: Any, status: Any
) -> None:
    version, _, name = kind.partition(" ")
    obj = live(name, version, spec=spec, status=status)
    for offer in available(obj):
        if not offer.disabled:
            assert build(offer.name, obj, NOON, {one.name: one.minimum for one in offer.parameters})


def test_groups_below_a_domain_share_their_actions() -> None:
    assert recipes_for("source.toolkit.fluxcd.io", "GitRepository") is recipes_for(
        "helm.toolkit.fluxcd.io", "HelmRelease"
    )
    assert recipes_for("toolkit.fluxcd.io", "X") == {}
