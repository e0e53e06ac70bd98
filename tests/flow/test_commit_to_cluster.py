"""A commit becomes objects, waves keep their order, the state of the world is asserted."""

from __future__ import annotations

from hub.models import Event, ResourceStatus
from tests.flow.conftest import World

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"


def test_a_commit_reaches_the_cluster_by_a_manual_sync(world: World) -> None:
    sha = world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG})
    app = world.application()
    world.run(app)
    assert (app.sync_status, app.revisions) == ("OutOfSync", [sha])
    world.sync(app)
    world.run(app)
    assert world.kube.get("v1", "ConfigMap", "settings", "shop")["data"] == {"colour": "blue"}
    assert (app.sync_status, app.health_status, app.operation_phase) == ("Synced", "Healthy", "Succeeded")
    assert set(ResourceStatus.objects.values_list("kind", "status")) == {
        ("Namespace", "Synced"),
        ("ConfigMap", "Synced"),
    }
    assert list(Event.objects.order_by("id").values_list("name", flat=True)) == [
        "created",
        "drift-detected",
        "sync-started",
        "sync-succeeded",
        "deployed",
        "drift-resolved",
    ]


AUTOMATED = {"automated": {"prune": True, "self_heal": True}}


def test_an_automated_application_follows_commits_and_prunes(world: World) -> None:
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    assert app.sync_status == "Synced"
    world.commit(
        {
            "deploy/config.yaml": CONFIG.replace("blue", "green"),
            "deploy/more.yaml": CONFIG.replace("settings", "more"),
        }
    )
    world.poll()
    world.run(app)
    assert world.kube.get("v1", "ConfigMap", "settings", "shop")["data"] == {"colour": "green"}
    assert world.kube.get("v1", "ConfigMap", "more", "shop") is not None
    world.commit({"deploy/more.yaml": None})
    world.poll()
    world.run(app)
    assert world.kube.get("v1", "ConfigMap", "more", "shop") is None
    assert set(ResourceStatus.objects.values_list("name", flat=True)) == {"shop", "settings"}


def test_e46_drift_is_healed_partially(world: World) -> None:
    """Only the edited key is written, by one self-heal without hooks that leaves no history of a full sync."""
    world.commit(
        {
            "deploy/ns.yaml": NAMESPACE,
            "deploy/config.yaml": CONFIG,
            "deploy/other.yaml": CONFIG.replace("settings", "other"),
        }
    )
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    other = world.kube.get("v1", "ConfigMap", "other", "shop")["metadata"]["resourceVersion"]
    world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": "red"}}, "shop")
    world.run(app)
    assert world.kube.get("v1", "ConfigMap", "settings", "shop")["data"] == {"colour": "blue"}
    assert world.kube.get("v1", "ConfigMap", "other", "shop")["metadata"]["resourceVersion"] == other
    heal = app.operations.get(kind="self-heal")
    assert (heal.phase, [row["name"] for row in heal.results]) == ("Succeeded", ["settings"])
    assert heal.initiator["via"] == "self-heal"


def test_e31_stripped_label_is_not_deletion(world: World) -> None:
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    label = "gitops-hub.io/managed-by"
    world.kube.patch("v1", "ConfigMap", "settings", {"metadata": {"labels": {label: None}}}, "shop")
    world.run(app)
    assert label in world.kube.get("v1", "ConfigMap", "settings", "shop")["metadata"]["labels"]
    assert not Event.objects.filter(name="object-deleted").exists()
    assert app.operations.filter(kind="self-heal").count() == 1


def test_e60_missing_after_baseline_shows(world: World) -> None:
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG})
    app = world.application(sync_policy={"automated": {"prune": True, "self_heal": False}})
    world.run(app)
    world.kube.delete("v1", "ConfigMap", "settings", "shop")
    world.run(app)
    assert (app.sync_status, app.health_status) == ("OutOfSync", "Missing")
    assert Event.objects.filter(name="object-deleted").count() == 1
    assert app.gate["reason"] == "already attempted: operation 1 succeeded and self-heal is off"
