"""What people do to live objects through the door: every built-in action, its right and its audit (sync-semantics.md 8.1)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.api import nudging
from hub.models import Application, AuditEvent
from tests.flow.conftest import World
from tests.flow.faults import NAMESPACE
from tests.hub import factories
from tests.hub.conftest import Api

ROLLOUTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout", "listKind": "RolloutList"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}
FILES = """apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: api, namespace: shop}
spec:
  replicas: 2
  strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: shop}
spec: {template: {metadata: {annotations: {sim/ends-after: 1h}}, spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}
"""
ROLLOUT = "group=argoproj.io&kind=Rollout&namespace=shop&name=api"
PROGRESSING = {
    "currentPodHash": "new",
    "stableRS": "old",
    "currentStepIndex": 0,
    "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}],
}


@pytest.fixture
def app(world: World, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setattr(nudging, "look", lambda ids: None)
    world.kube.create(NAMESPACE)
    world.kube.create(ROLLOUTS)
    world.commit({"deploy/all.yaml": FILES})
    found = world.run(world.application(sync_policy={"automated": {}}))
    assert found.sync_status == "Synced"
    world.kube.patch(
        "argoproj.io/v1alpha1", "Rollout", "api", {"status": PROGRESSING}, "shop", subresource="status"
    )
    return found


def rollout(world: World) -> dict[str, Any]:
    found = world.kube.get("argoproj.io/v1alpha1", "Rollout", "api", "shop")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("action", "part", "left"),
    [
        ("restart", "spec", "restartAt"),
        ("promote-full", "status", {"promoteFull": True}),
        ("abort", "status", {"abort": True}),
        ("skip-current-step", "status", {"currentStepIndex": 1}),
        ("pause", "spec", {"paused": True}),
    ],
)
def test_a_rollout_is_driven_as_its_own_tool_would(
    world: World, app: Application, action: str, part: str, left: Any
) -> None:
    """Owners may, readers may not; what is done is audited and is no drift."""
    alice = Api(factories.user("alice", "owner", world.project))
    bob = Api(factories.user("bob", "reader", world.project))
    path = f"/applications/{app.name}/resource/actions?{ROLLOUT}"
    offered = {each["name"]: each["disabled"] for each in bob.get(path).json()["items"]}
    assert offered[action] == ""
    assert bob.post(path, {"action": action}).status_code == 403
    done = alice.post(path, {"action": action})
    assert done.status_code == 202, done.content
    changed = rollout(world)[part]
    assert left in changed if isinstance(left, str) else {name: changed.get(name) for name in left} == left
    told = AuditEvent.objects.filter(action=f"action {action}").order_by("id")
    assert [(row.actor_name, row.outcome) for row in told] == [("alice", "begun"), ("alice", "done")]
    assert world.run(app).sync_status == "Synced"


def test_an_aborted_rollout_is_retried_and_a_paused_one_resumed(world: World, app: Application) -> None:
    alice = Api(factories.user("alice", "owner", world.project))
    path = f"/applications/{app.name}/resource/actions?{ROLLOUT}"
    refused = alice.post(path, {"action": "retry"})
    assert (refused.status_code, refused.json()["code"]) == (422, "action_refused")
    for action in ("abort", "retry", "pause", "resume"):
        assert alice.post(path, {"action": action}).status_code == 202
    found = rollout(world)
    assert (found["status"]["abort"], found["spec"]["paused"]) == (False, False)
    assert not found["status"].get("pauseConditions")


@pytest.mark.parametrize(("kind", "name"), [("CronJob", "nightly"), ("Job", "once")])
def test_jobs_and_cron_jobs_are_suspended_and_resumed(
    world: World, app: Application, kind: str, name: str
) -> None:
    alice = Api(factories.user("alice", "owner", world.project))
    path = f"/applications/{app.name}/resource/actions?group=batch&kind={kind}&namespace=shop&name={name}"
    for action, suspended in (("suspend", True), ("resume", False)):
        done = alice.post(path, {"action": action})
        assert done.status_code == 202, done.content
        found = world.kube.get("batch/v1", kind, name, "shop")
        assert found is not None
        assert found["spec"]["suspend"] is suspended


def test_an_action_makes_nothing_that_the_project_does_not_permit(world: World, app: Application) -> None:
    alice = Api(factories.user("alice", "owner", world.project))
    path = f"/applications/{app.name}/resource/actions?group=batch&kind=CronJob&namespace=shop&name=nightly"
    allow = [{"group": "batch", "kind": "CronJob"}]
    world.project.rules = {**world.project.rules, "namespaced_kinds": {"allow": allow}}
    world.project.save()
    before = len(world.kube.list("batch/v1", "Job", "shop"))
    refused = alice.post(path, {"action": "create-job"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    assert len(world.kube.list("batch/v1", "Job", "shop")) == before
    assert alice.post(path, {"action": "suspend"}).status_code == 202
