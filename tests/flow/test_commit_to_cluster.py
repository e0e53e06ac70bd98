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
    assert set(ResourceStatus.objects.values_list("kind", "status")) == {("Namespace", "Synced"), ("ConfigMap", "Synced")}
    assert list(Event.objects.order_by("id").values_list("name", flat=True)) == [
        "drift-detected",
        "sync-started",
        "sync-succeeded",
        "deployed",
        "drift-resolved",
    ]
