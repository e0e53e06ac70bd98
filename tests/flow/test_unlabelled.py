"""The daily search for what lost the hub's label (sync-semantics.md 5.4)."""

from __future__ import annotations

from typing import Any

from clusters.core.manifests import MANAGED_BY_LABEL
from hub.services import unlabelled
from hub.tasks import hints
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config

ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: %s}\nrules: []\n---\n"


def unlabel(world: World, version: str, kind: str, name: str, *space: str) -> None:
    world.kube.patch(version, kind, name, {"metadata": {"labels": {MANAGED_BY_LABEL: None}}}, *space)


def test_what_is_no_longer_wanted_is_found_without_its_label_and_pruned(world: World) -> None:
    """Its row was lost, too: no watch and no list by label shows it any more."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("kept") + config("old") + ROLE % "kept" + ROLE % "old"})
    app = world.run(world.application(sync_policy=AUTOMATED))
    unlabel(world, "v1", "ConfigMap", "old", "shop")
    unlabel(world, "rbac.authorization.k8s.io/v1", "ClusterRole", "old")
    app.resources.filter(name="old").delete()
    world.commit({"deploy/c.yaml": config("kept") + ROLE % "kept"})
    world.poll()
    world.run(app)
    assert (app.sync_status, faults.names(world)) == ("Synced", ["kept", "old"])
    assert unlabelled.find(world.cluster.id) == [app.id]
    world.run(app, until=lambda app: faults.names(world) == ["kept"])
    assert world.kube.get("rbac.authorization.k8s.io/v1", "ClusterRole", "old") is None
    assert unlabelled.find(world.cluster.id) == []


def test_copies_and_objects_of_other_hubs_are_left_alone(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("kept")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    for name, tracked, labels in (
        ("copy", "kept", {}),
        ("theirs", "theirs", {MANAGED_BY_LABEL: "other-hub"}),
    ):
        annotations = {"gitops-hub.io/tracking-id": f"web:/ConfigMap:shop/{tracked}"}
        metadata = {"name": name, "namespace": "shop", "annotations": annotations, "labels": labels}
        world.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    assert unlabelled.find(world.cluster.id) == []
    world.run(app)
    assert faults.names(world) == ["copy", "kept", "theirs"]


def test_the_tick_asks_for_it_once_a_day(world: World, monkeypatch: Any) -> None:
    world.application()
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(hints.nudges, "send", lambda name, ids: sent.append((name, ids)))
    hints.tick()
    hints.tick()
    assert sent.count(("hub.find_unlabelled", [str(world.cluster.id)])) == 1
