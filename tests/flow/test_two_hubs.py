"""Two hubs on one cluster, with applications of one name (security-and-reliability.md H22)."""

from __future__ import annotations

from typing import Any

from clusters.core.manifests import MANAGED_BY_LABEL
from hub.services import applications
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config


def live(world: World, name: str) -> dict[str, Any]:
    found = world.kube.get("v1", "ConfigMap", name, "shop")
    assert found is not None
    return found


def test_h22_what_another_hub_took_is_neither_pruned_nor_changed(world: World) -> None:
    """The tracking id is the same: only the label tells the hubs apart."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("kept") + config("wanted") + config("dropped")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    assert app.sync_status == "Synced"
    for name in ("wanted", "dropped"):
        patch = {"metadata": {"labels": {MANAGED_BY_LABEL: "other-hub"}}, "data": {"value": "theirs"}}
        world.kube.patch("v1", "ConfigMap", name, patch, "shop")
    before = live(world, "wanted"), live(world, "dropped")
    world.commit({"deploy/c.yaml": config("kept", "2") + config("wanted")})
    world.poll()
    world.run(app)
    faults.ended(world, world.sync(app, prune=True))
    world.run(app)
    assert (live(world, "wanted"), live(world, "dropped")) == before
    assert live(world, "kept")["data"] == {"value": "2"}
    assert faults.conditions(app, "SharedResource") == ["ConfigMap/shop/wanted belongs to hub other-hub"]
    assert not app.resources.filter(name="dropped").exists()


def test_h22_a_deletion_leaves_what_another_hub_owns(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("mine") + config("theirs")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    world.kube.patch(
        "v1", "ConfigMap", "theirs", {"metadata": {"labels": {MANAGED_BY_LABEL: "other-hub"}}}, "shop"
    )
    applications.request_deletion(DANA, app, "cascade")
    world.run(app)
    assert not type(app).objects.filter(id=app.id).exists()
    assert faults.names(world) == ["theirs"]
