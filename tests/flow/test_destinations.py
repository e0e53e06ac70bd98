"""An Application that moves: what was known of the former cluster says nothing about the next one."""

from __future__ import annotations

from dataclasses import replace

from clusters.core.diff import Baseline
from clusters.models import Cluster
from hub.models import Event
from hub.services import applications
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, one_pass
from tests.flow.test_faults_examples import prepared


def test_another_cluster_starts_without_baselines_and_nothing_counts_as_deleted(world: World) -> None:
    world.kube.create(NAMESPACE)
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    kube = world.sandbox.cluster("two")
    kube.create(NAMESPACE)
    Cluster.objects.create(name="two", server=kube.server, token=kube.token)
    # Somebody's object of that name, with the very version that the former one had.
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "shop"}}
    kube.create({**theirs, "data": {"value": "theirs"}})
    row = app.resources.get(name="one")
    found = kube.get("v1", "ConfigMap", "one", "shop")["metadata"]["resourceVersion"]
    former = world.kube.get("v1", "ConfigMap", "one", "shop")["metadata"]["resourceVersion"]
    document = {**applications.document(app), "destination": {"cluster": "two", "namespace": "shop"}}
    applications.update(DANA, app, document)
    world.run(app)
    assert kube.get("v1", "ConfigMap", "one", "shop")["data"] == {"value": "1"}, (found, former, row.reason)
    assert (app.sync_status, app.health_status) == ("Synced", "Healthy")
    assert app.resources.get(name="one").adopted
    assert faults.names(world) == ["one"], "the former cluster is left as it was"


def test_a_move_is_no_deletion_outside_git(world: World) -> None:
    world.kube.create(NAMESPACE)
    app = prepared(world, config("one"), sync_policy={"automated": {}})
    kube = world.sandbox.cluster("two")
    kube.create(NAMESPACE)
    Cluster.objects.create(name="two", server=kube.server, token=kube.token)
    document = {**applications.document(app), "destination": {"cluster": "two", "namespace": "shop"}}
    applications.update(DANA, app, document)
    world.run(app)
    assert app.sync_status == "Synced"
    assert not Event.objects.filter(name="object-deleted").exists()


def test_a_cluster_that_was_built_anew_starts_without_baselines(world: World) -> None:
    """The same record and address, another kube-system: the versions are counted from one again."""
    world.kube.create(NAMESPACE)
    Cluster.objects.update(uid="first")
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "theirs"}}, "shop")
    live = world.kube.get("v1", "ConfigMap", "one", "shop")["metadata"]["resourceVersion"]
    row = app.resources.get(name="one")
    baseline = replace(Baseline.from_bytes(bytes(row.baseline)), resource_version=live)
    app.resources.update(baseline=baseline.to_bytes(), resource_version=live)
    Cluster.objects.update(uid="second", paused=True)
    one_pass(app)
    Cluster.objects.update(paused=False)
    one_pass(app)
    app.refresh_from_db()
    assert app.memory["seen_in"][1] == "second"
    world.run(app)
    assert world.kube.get("v1", "ConfigMap", "one", "shop")["data"] == {"value": "1"}
