"""A definition and its objects in one Application: discovery is asked again while a kind is missing."""

from __future__ import annotations

from tests.flow.conftest import World
from tests.flow.faults import config
from tests.flow.test_bad_input import CRD, WIDGET, last, synced


def test_e07_crd_bubbles_to_instance_through_the_hall(world: World) -> None:
    app = synced(world, WIDGET + CRD + config("calm"))
    assert (last(app).phase, app.sync_status) == ("Succeeded", "Synced")
    assert world.kube.get("example.com/v1", "Widget", "one", "shop")["spec"] == {"a": 1}


def test_a_kind_that_somebody_else_installs_is_noticed(world: World) -> None:
    app = synced(world, WIDGET)
    assert (last(app).phase, app.sync_status) == ("Failed", "OutOfSync")
    world.commit({"other/crd.yaml": CRD})
    world.poll()
    other = world.application("definitions", path="other")
    world.run(other)
    world.sync(other)
    world.run(other, passes=200)
    assert other.sync_status == "Synced"
    world.run(app)
    world.sync(app)
    world.run(app, passes=200)
    assert (last(app).phase, app.sync_status) == ("Succeeded", "Synced")
