"""A preview writes nothing and its digest is stable (issue: previews; notifications.md 8.2)."""

from __future__ import annotations

from hub.reconcile.previewing import preview
from tests.flow.conftest import World

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: %s}\n"


def test_a_preview_of_another_revision_writes_nothing_and_repeats_its_digest(world: World) -> None:
    first = world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application()
    world.run(app)
    world.sync(app)
    world.run(app)
    world.commit({"deploy/config.yaml": CONFIG % "green"})
    world.poll()
    world.run(app)
    one, two = preview(app, {"prune": True}), preview(app, {"prune": True})
    assert one["digest"] == two["digest"]
    assert [line["path"] for entry in one["diff"] for line in entry["lines"]] == [".data.colour"]
    assert preview(app, {"revisions": [first]})["diff"] == []
    assert world.kube.get("v1", "ConfigMap", "settings", "shop")["data"] == {"colour": "blue"}
