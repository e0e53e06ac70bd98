"""Worked examples of sync-semantics.md 13 on a real API server, one process with SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.models import Application, SyncOperation
from tests.flow import faults
from tests.live.controlplane.instance import ControlPlane
from tests.live.hubworld import HubWorld

pytestmark = pytest.mark.live


@pytest.fixture
def world(
    control_plane: ControlPlane, tmp_path: Path, transactional_db: None, settings: Any
) -> Iterator[HubWorld]:
    settings.HUB_MIRROR_DIR = tmp_path / "mirrors"
    yield HubWorld(control_plane, tmp_path)


def config(name: str, value: str = "1", wave: int = 0) -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, "
        f'annotations: {{argocd.argoproj.io/sync-wave: "{wave}"}}}}\ndata: {{value: "{value}"}}\n---\n'
    )


def deployment(name: str, *, ready_after: str = "0s", image: str = "x:1", wave: int = 0) -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, "
        f'annotations: {{argocd.argoproj.io/sync-wave: "{wave}"}}}}\n'
        f"spec: {{selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}, "
        f"annotations: {{sim/ready-after: {ready_after}}}}}, spec: {{containers: [{{name: c, image: '{image}'}}]}}}}}}\n---\n"
    )


def hook(name: str, phase: str, spec: str = "") -> str:
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: {phase}}}}}\n"
        f"spec: {{{spec}template: {{metadata: {{annotations: {{sim/ends-after: 200ms}}}}, "
        "spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}\n---\n"
    )


def begun(world: HubWorld, text: str) -> tuple[Application, SyncOperation]:
    """An application of this text, and a sync of it that nobody has carried on yet."""
    world.commit({"deploy/all.yaml": text})
    app = world.application("web", destination={"cluster": "dev", "namespace": world.namespace})
    world.run(app)
    return app, world.sync(app)


def finished(world: HubWorld, operation: SyncOperation) -> None:
    faults.ended(world, operation, passes=600)
    assert operation.phase == "Succeeded", operation.message


def test_e01_single_wave_is_done_after_apply(world: HubWorld) -> None:
    app, operation = begun(world, deployment("api", ready_after="2s"))
    finished(world, operation)
    faults.one_pass(app)
    app.refresh_from_db()
    assert app.health_status == "Progressing"
    world.run(app, until=lambda found: found.health_status == "Healthy", passes=600)


def test_e02_second_wave_waits_for_first(world: HubWorld) -> None:
    _, operation = begun(world, deployment("api", ready_after="1s") + config("two", wave=1))
    faults.waits_for(world, operation, "health")
    assert operation.message.startswith(f"waiting for healthy state of apps/Deployment/{world.namespace}/api")
    assert world.get("ConfigMap", "two") is None
    finished(world, operation)
    assert world.get("Deployment", "api")["status"]["availableReplicas"] == 1
    assert world.get("ConfigMap", "two") is not None


def test_e03_ten_configmap_waves_do_not_pause(world: HubWorld) -> None:
    app, operation = begun(world, "".join(config(f"c{n}", wave=n) for n in range(10)))
    faults.one_pass(app)
    operation.refresh_from_db()
    assert operation.phase == "Succeeded"
    versions = [int(world.get("ConfigMap", f"c{n}")["metadata"]["resourceVersion"]) for n in range(10)]
    assert versions == sorted(versions)


def test_e04_stale_health_is_not_believed(world: HubWorld) -> None:
    """A rolled-out Deployment changes: wave 1 starts only when the new pods are ready."""
    app, operation = begun(world, deployment("api") + config("two", "a", wave=1))
    finished(world, operation)
    world.run(app)
    world.commit(
        {"deploy/all.yaml": deployment("api", image="x:2", ready_after="1s") + config("two", "b", wave=1)}
    )
    world.poll()
    second = world.sync(app)
    faults.waits_for(world, second, "health")
    assert world.get("ConfigMap", "two")["data"] == {"value": "a"}
    finished(world, second)
    live = world.get("Deployment", "api")
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
    assert live["status"]["updatedReplicas"] == live["status"]["availableReplicas"] == 1
    assert world.get("ConfigMap", "two")["data"] == {"value": "b"}


def test_e14_postsync_waits_for_healthy(world: HubWorld) -> None:
    _, operation = begun(world, deployment("api", ready_after="1s") + hook("after", "PostSync"))
    faults.waits_for(world, operation, "health")
    assert world.get("Job", "after") is None
    finished(world, operation)
    assert world.get("Job", "after")["status"]["succeeded"] == 1


def test_e19_ttl_zero_hook_is_seen(world: HubWorld) -> None:
    _, operation = begun(world, hook("before", "PreSync", "ttlSecondsAfterFinished: 0, ") + config("one"))
    finished(world, operation)
    assert {row["name"]: row["state"] for row in operation.results}["before"] == "Succeeded"
    world.eventually(lambda: world.get("Job", "before") is None)
    assert world.get("ConfigMap", "one") is not None


def test_e35_adoption_moves_fields(world: HubWorld) -> None:
    """What kubectl applied is taken over: fields that Git lacks go, ours are owned by gitops-hub."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one", "namespace": world.namespace},
        "data": {"value": "1", "old": "f"},
    }
    path = f"/api/v1/namespaces/{world.namespace}/configmaps?fieldManager=kubectl-client-side-apply"
    world.kube.plane.request("POST", path, body)
    _, operation = begun(world, config("one"))
    finished(world, operation)
    live = world.get("ConfigMap", "one")
    assert live["data"] == {"value": "1"}
    assert {entry["manager"] for entry in live["metadata"]["managedFields"]} == {"gitops-hub"}


def test_e36_ssa_false_same_outcome(world: HubWorld) -> None:
    text = config("one").replace("argocd", "argocd.argoproj.io/sync-options: ServerSideApply=false, argocd")
    _, operation = begun(world, text + config("two"))
    finished(world, operation)
    one, two = world.get("ConfigMap", "one"), world.get("ConfigMap", "two")
    assert one["data"] == two["data"]
    assert "kubectl.kubernetes.io/last-applied-configuration" not in one["metadata"]["annotations"]
    shapes = [
        [(e["manager"], e["operation"]) for e in obj["metadata"]["managedFields"]] for obj in (one, two)
    ]
    assert shapes == [[("gitops-hub", "Apply")]] * 2


def test_e46_drift_is_healed_partially(world: HubWorld) -> None:
    world.commit({"deploy/all.yaml": config("one") + config("two")})
    app = world.application(
        "web",
        destination={"cluster": "dev", "namespace": world.namespace},
        sync_policy={"automated": {"prune": True, "self_heal": True}},
    )
    world.run(app)
    other = world.get("ConfigMap", "two")["metadata"]["resourceVersion"]
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "drift"}}, world.namespace)
    world.run(app)
    assert world.get("ConfigMap", "one")["data"] == {"value": "1"}
    assert world.get("ConfigMap", "two")["metadata"]["resourceVersion"] == other
    heal = app.operations.get(kind="self-heal")
    assert [row["name"] for row in heal.results] == ["one"]
