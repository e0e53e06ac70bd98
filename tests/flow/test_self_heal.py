"""The pace and the scope of self-heal through the hall (sync-semantics.md 9.3): edits by hand, refusals, guarded prunes."""

from __future__ import annotations

import threading

import pytest

from hub.models import Application
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, later, one_pass
from tests.flow.test_faults_examples import changed, prepared

CLAIM = (
    "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk, namespace: shop}\n"
    "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n---\n"
)


@pytest.fixture(autouse=True)
def shop(world: World) -> None:
    world.kube.create(NAMESPACE)


def value(world: World, name: str = "one") -> str:
    return str((world.kube.get("v1", "ConfigMap", name, "shop") or {})["data"]["value"])


def edit(world: World, text: str, name: str = "one") -> None:
    world.kube.patch("v1", "ConfigMap", name, {"data": {"value": text}}, "shop")


def heals(app: Application) -> int:
    return app.operations.filter(kind="self-heal").count()


def test_heals_that_are_refused_are_tried_ever_more_seldom(world: World) -> None:
    """Two minutes of passes every 3 s: at 0, 2, 6, 18 and 54 s after the last one, and not at each."""
    app = prepared(world, config("one"), sync_policy={**AUTOMATED, "retry": {"limit": 0}})
    edit(world, "drift")
    world.kube.faults.add("deny", resource="configmaps", message="closed")
    for _ in range(40):
        later(app, 3)
        one_pass(app)
    assert 4 <= heals(app) <= 6
    world.kube.faults.clear()
    later(app, 400)
    one_pass(app)
    assert value(world) == "1"


def test_a_second_edit_within_five_seconds_is_folded_and_not_put_off(world: World) -> None:
    app = prepared(world, config("one") + config("two"), sync_policy=AUTOMATED)
    edit(world, "drift")
    for _ in range(3):
        one_pass(app)
    assert value(world) == "1"
    edit(world, "drift", "two")
    one_pass(app)
    assert value(world, "two") == "drift", "others may follow at once"
    threading.Event().wait(0.25)
    one_pass(app)
    assert value(world, "two") == "1"


@pytest.mark.parametrize("by", ["a manual sync", "a new revision"])
def test_counting_starts_anew(world: World, by: str) -> None:
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    for turn in range(2):
        edit(world, f"drift {turn}")
        later(app, 20)
        for _ in range(3):
            one_pass(app)
    app.refresh_from_db()
    assert app.memory["heals"]["ConfigMap/shop/one"]["count"] == 2
    if by == "a manual sync":
        faults.ended(world, world.sync(app))
    else:
        changed(world, app, config("one", "2"))
    app.refresh_from_db()
    assert "heals" not in app.memory


def test_what_waits_for_a_person_is_no_part_of_a_heal(world: World) -> None:
    """A protected claim and one that asks before it goes: neither holds up the heal, nor makes one each time."""
    careful = config("old", options="Prune=confirm")
    app = prepared(world, config("one") + CLAIM + careful, sync_policy=AUTOMATED)
    app = changed(world, app, config("one"))
    edit(world, "drift")
    later(app, 20)
    for _ in range(3):
        one_pass(app)
    if (first := app.operations.first()) and first.phase == "Running":
        # The new revision has not been applied yet: this is its sync, and it asks about the prune.
        assert first.wait["code"] == "prune_confirmation"
        world.commit({"web/all.yaml": config("one", "2") + careful})
        world.poll()
        world.run(app)
    before = heals(app)
    edit(world, "again")
    later(app, 20)
    for _ in range(5):
        one_pass(app)
    assert value(world) == "2"
    assert heals(app) == before + 1
    rows = app.operations.filter(kind="self-heal").first().results
    assert [row["name"] for row in rows] == ["one"]


def test_an_extra_that_was_adopted_makes_no_heal_after_the_other(world: World) -> None:
    world.kube.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "found", "namespace": "shop"}}
    )
    app = prepared(world, config("one") + config("found"), sync_policy=AUTOMATED)
    app = changed(world, app, config("one", "2"))
    assert app.resources.get(name="found").adopted
    count = app.operations.count()
    for _ in range(5):
        later(app, 400)
        one_pass(app)
    assert (app.operations.count(), app.sync_status) == (count, "OutOfSync")


def test_a_sync_option_that_forbids_pruning_makes_no_operation_after_the_other(world: World) -> None:
    policy = {**AUTOMATED, "sync_options": ["Prune=false"]}
    app = prepared(world, config("one") + config("old"), sync_policy=policy)
    app = changed(world, app, config("one", "2"))
    count = app.operations.count()
    for _ in range(5):
        later(app, 400)
        one_pass(app)
    assert (app.operations.count(), faults.names(world)) == (count, ["old", "one"])
