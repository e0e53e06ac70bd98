"""Labels and annotations of the destination Namespace that an Application manages (sync-semantics.md 4.2, 7.2)."""

from __future__ import annotations

from typing import Any

from hub.models import Application
from hub.services import applications
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import config

SPACE = {"labels": {"team": "shop"}, "annotations": {"owner": "alice"}}


def policy(metadata: dict[str, Any] | None, **automated: bool) -> dict[str, Any]:
    held = {"sync_options": ["CreateNamespace=true"], "managed_namespace_metadata": metadata}
    if automated:
        held["automated"] = automated
    return {name: value for name, value in held.items() if value is not None}


def labels(world: World) -> dict[str, str]:
    found = world.kube.get("v1", "Namespace", "shop")
    assert found is not None
    return {
        name: value
        for name, value in found["metadata"].get("labels", {}).items()
        if name != "kubernetes.io/metadata.name"
    }


def edit(world: World, **values: str | None) -> None:
    world.kube.patch("v1", "Namespace", "shop", {"metadata": {"labels": values}})


def started(world: World, **automated: bool) -> Application:
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application(sync_policy=policy(SPACE, **automated))
    world.run(app)
    if not automated:
        faults.ended(world, world.sync(app))
        world.run(app)
    assert (app.sync_status, labels(world)) == ("Synced", {"team": "shop"})
    return app


def test_an_edit_of_the_managed_metadata_is_out_of_sync(world: World) -> None:
    """Somebody else's labels are nobody's business."""
    app = started(world)
    edit(world, cost="high")
    assert world.run(app).sync_status == "Synced"
    edit(world, team="bank")
    world.run(app)
    assert (app.sync_status, app.counts) == ("OutOfSync", {"namespace": 1})
    faults.ended(world, world.sync(app))
    world.run(app)
    assert (app.sync_status, labels(world)) == ("Synced", {"team": "shop", "cost": "high"})


def test_self_heal_brings_the_metadata_back(world: World) -> None:
    app = started(world, self_heal=True)
    edit(world, team=None)
    world.run(app, until=lambda app: labels(world) == {"team": "shop"})
    world.run(app)
    heal = app.operations.order_by("-number").first()
    assert heal is not None
    assert (app.sync_status, heal.kind, heal.phase) == ("Synced", "self-heal", "Succeeded")


def test_what_is_no_longer_managed_goes_from_the_namespace(world: World) -> None:
    app = started(world, self_heal=False)
    for metadata, left in (({"labels": {"tier": "1"}}, {"tier": "1"}), (None, {})):
        document = applications.document(app) | {"sync_policy": policy(metadata, self_heal=False)}
        applications.update(DANA, app, document)
        world.run(app)
        assert (app.sync_status, labels(world)) == ("Synced", left)


def test_two_applications_keep_each_others_labels(world: World) -> None:
    first = started(world, self_heal=True)
    world.commit({"other/c.yaml": config("two")})
    world.poll()
    mine = policy({"labels": {"team2": "bank"}}, self_heal=True)
    second = world.run(world.application("other", path="other", sync_policy=mine))
    assert labels(world) == {"team": "shop", "team2": "bank"}
    assert (world.run(first).sync_status, second.sync_status) == ("Synced", "Synced")
