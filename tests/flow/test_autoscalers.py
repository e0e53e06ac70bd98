"""Autoscalers through the hall: an error is never "nothing is scaled", and their watch asks for a look (6.5, 7.3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from clusters import kube, live
from clusters.services import freshness, watched
from hub.models import Application, ResourceStatus
from hub.reconcile import reconcile
from hub.tasks.watching import Watching
from tests.flow.conftest import World
from tests.live.worldview import until

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: main, image: "example.com/api:1"}]}
"""
SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "api", "namespace": "shop"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
        "maxReplicas": 10,
    },
}
HPA = ("autoscaling", "HorizontalPodAutoscaler")


@pytest.fixture
def app(world: World) -> Iterator[Application]:
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/api.yaml": DEPLOYMENT})
    app = world.application(sync_policy={"automated": {"enabled": True, "self_heal": True}})
    world.run(app, until=lambda found: found.health_status == "Healthy", passes=400)
    world.run(app)
    yield app
    kube.shutdown()


def scale(world: World, replicas: int) -> None:
    world.kube.patch("apps/v1", "Deployment", "api", {"spec": {"replicas": replicas}}, "shop", "scale")


def replicas(world: World) -> int:
    found = world.kube.get("apps/v1", "Deployment", "api", "shop")
    assert found is not None
    return int(found["spec"]["replicas"])


def test_self_heal_leaves_replicas_to_the_autoscaler(world: World, app: Application) -> None:
    world.kube.create(SCALER)
    scale(world, 5)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 5)


def test_a_listing_that_failed_never_scales_down(world: World, app: Application) -> None:
    world.kube.create(SCALER)
    scale(world, 5)
    world.run(app)
    fault = world.kube.faults.add("status", verb="list", group="autoscaling", code=500, message="down")
    reconcile(app.id)
    app.refresh_from_db()
    row = ResourceStatus.objects.get(kind="Deployment")
    assert (app.sync_status, row.status, replicas(world)) == ("Unknown", "Unknown", 5)
    assert "autoscalers cannot be listed" in row.message
    operation = world.sync(app, apply_all=True)
    world.run(app)
    operation.refresh_from_db()
    assert (operation.phase, replicas(world)) == ("Succeeded", 5)
    world.kube.faults.active.remove(fault)
    world.run(app)
    assert (app.sync_status, replicas(world)) == ("Synced", 5)


def test_a_narrow_account_that_may_not_list_them_is_told_and_goes_on(world: World, app: Application) -> None:
    world.kube.faults.add(
        "status", verb="list", group="autoscaling", code=403, message="forbidden", reason="Forbidden"
    )
    world.run(app)
    assert app.sync_status == "Synced"
    messages = [each["message"] for each in app.conditions]
    assert any("listing of autoscaling/HorizontalPodAutoscaler is incomplete" in text for text in messages)


def test_without_replicas_in_git_nothing_is_asked(world: World, app: Application) -> None:
    world.commit({"deploy/api.yaml": DEPLOYMENT.replace("  replicas: 2\n", "")})
    world.poll()
    world.run(app)
    world.kube.faults.add("status", verb="list", group="autoscaling", code=500, message="down")
    world.run(app)
    assert app.sync_status == "Synced"


class Hints:
    """The runtime of a worker, as far as the watches know it."""

    def __init__(self) -> None:
        self.asked: list[uuid.UUID] = []

    def hint(self, application: uuid.UUID) -> None:
        self.asked.append(application)

    def learn(self, application: uuid.UUID, cluster: uuid.UUID) -> None:
        pass


def test_autoscalers_of_strangers_are_watched_and_ask_for_a_look(world: World, app: Application) -> None:
    hints: Any = Hints()
    watching = Watching(hints)
    try:
        result = reconcile(app.id)
        assert result.app is not None
        assert HPA in result.kinds
        watching.tend()
        watching.after_pass(result.app, result.kinds, result.phase)
        identity = str(world.cluster.id)
        until(lambda: watched(identity) and HPA in freshness(identity))
        watching.tend()
        assert freshness(identity)[HPA].healthy  # a tend without a pass keeps the watch
        hints.asked.clear()
        world.kube.create(SCALER)

        def told() -> bool:
            watching.tend()
            return app.id in hints.asked

        until(told)
        fault = world.kube.faults.add("status", verb="list", group="autoscaling", code=500)
        scale(world, 5)
        world.run(app)
        assert (app.sync_status, replicas(world)) == ("Synced", 5)  # from the watch: no LIST was needed
        world.kube.faults.active.remove(fault)
    finally:
        watching.stop()
        live.set_listener(None)
