"""The hub on a sandbox and on a real control plane: autoscalers, tree, live objects, actions, logs, events."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import kube
from clusters.sandbox import Sandbox
from hub.models import ResourceStatus
from tests.live.hubworld import HubWorld

REAL = [pytest.param("real", marks=pytest.mark.live)] if os.environ.get("HUB_LIVE") == "1" else []
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: api}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: api}}}}
  template:
    metadata: {{labels: {{app: api}}}}
    spec: {{containers: [{{name: main, image: "example.com/api:{tag}"}}]}}
"""
SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
        "minReplicas": 5,
        "maxReplicas": 10,
    },
}


@pytest.fixture(params=["sandbox", *REAL])
def world(
    request: pytest.FixtureRequest, tmp_path: Path, transactional_db: None, settings: Any
) -> Iterator[HubWorld]:
    settings.HUB_MIRROR_DIR = tmp_path / "mirrors"
    if request.param == "real":
        yield HubWorld(request.getfixturevalue("control_plane"), tmp_path)
    else:
        with Sandbox(port=0, ready_after=0.02) as sandbox:
            yield HubWorld(sandbox, tmp_path)
    kube.shutdown()


def replicas(world: HubWorld) -> int:
    found: int = world.get("Deployment", "api")["spec"]["replicas"]
    return found


def scaled_to_five(world: HubWorld) -> None:
    """An autoscaler that nobody manages takes over; on a real server its controller scales, here we do."""
    world.kube.create(SCALER | {"metadata": {"name": "api", "namespace": world.namespace}})
    if not world.real:
        world.kube.patch("apps/v1", "Deployment", "api", {"spec": {"replicas": 5}}, world.namespace, "scale")
    world.eventually(lambda: replicas(world) == 5)


def message(app: Any) -> str:
    return str(ResourceStatus.objects.get(application=app, kind="Deployment").message)


def test_e40_hpa_replicas_are_ignored(world: HubWorld) -> None:
    app = world.deployed({"api.yaml": DEPLOYMENT.format(tag=1)})
    assert (app.sync_status, replicas(world)) == ("Synced", 2)
    scaled_to_five(world)
    world.run(app)
    assert app.sync_status == "Synced"
    assert message(app) == f"replicas ignored: scaled by HorizontalPodAutoscaler {world.namespace}/api"
    world.change(app, {"api.yaml": DEPLOYMENT.format(tag=2)})
    assert app.sync_status == "OutOfSync"
    world.sync(app)
    world.run(app)
    assert (app.sync_status, app.operation_phase, replicas(world)) == ("Synced", "Succeeded", 5)
    container = world.get("Deployment", "api")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example.com/api:2"
    world.kube.delete("autoscaling/v2", "HorizontalPodAutoscaler", "api", world.namespace)
    world.eventually(lambda: world.get("HorizontalPodAutoscaler", "api") is None)
    world.run(app)
    assert (app.sync_status, message(app)) == ("OutOfSync", "differs from Git")
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 2)


def test_replicas_that_only_we_own_keep_their_live_value_under_a_new_autoscaler(world: HubWorld) -> None:
    """4.4: a solely owned field that is dropped would be defaulted to 1 by the server."""
    app = world.deployed({"api.yaml": DEPLOYMENT.format(tag=1)})
    quiet = {**SCALER["spec"], "minReplicas": 1}  # type: ignore[dict-item]
    world.kube.create({**SCALER, "spec": quiet, "metadata": {"name": "api", "namespace": world.namespace}})
    world.change(app, {"api.yaml": DEPLOYMENT.format(tag=2).replace("replicas: 2", "replicas: 3")})
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 2)


def test_respect_autoscaler_false_writes_what_git_says(world: HubWorld) -> None:
    own = DEPLOYMENT.format(tag=1).replace(
        "{name: api}", '{name: api, annotations: {gitops-hub.io/respect-autoscaler: "false"}}'
    )
    app = world.deployed({"api.yaml": own})
    world.kube.patch("apps/v1", "Deployment", "api", {"spec": {"replicas": 5}}, world.namespace, "scale")
    quiet = {**SCALER["spec"], "minReplicas": 1}  # type: ignore[dict-item]
    world.kube.create({**SCALER, "spec": quiet, "metadata": {"name": "api", "namespace": world.namespace}})
    world.run(app)
    assert (app.sync_status, message(app)) == ("OutOfSync", "differs from Git")
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 2)


@pytest.mark.parametrize(("options", "left"), [([], 2), (["RespectIgnoreDifferences=true"], 4)])
def test_e41_ignored_but_written(world: HubWorld, options: list[str], left: int) -> None:
    rules = [{"group": "apps", "kind": "Deployment", "json_pointers": ["/spec/replicas"]}]
    app = world.deployed(
        {"api.yaml": DEPLOYMENT.format(tag=1)},
        ignore_differences=rules,
        sync_policy={"sync_options": options},
    )
    world.kube.patch("apps/v1", "Deployment", "api", {"spec": {"replicas": 4}}, world.namespace)
    world.run(app)
    assert app.sync_status == "Synced"
    world.change(app, {"api.yaml": DEPLOYMENT.format(tag=2)})
    world.sync(app)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", left)
