"""Whose object it is, and how it changes hands (sync-semantics.md 5.3; E32, E33)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.api import nudging
from hub.models import Application, AuditEvent, User
from hub.services import operations
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config
from tests.hub import factories
from tests.hub.conftest import Api

TRACKING = "argocd.argoproj.io/tracking-id"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def theirs(name: str) -> dict[str, Any]:
    """What Argo CD left with client-side apply."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "annotations": {TRACKING: f"old:/ConfigMap:shop/{name}", LAST_APPLIED: "{}"},
        },
        "data": {"value": "theirs"},
    }


def shared(world: World) -> Application:
    world.kube.create(NAMESPACE)
    for name in ("one", "two"):
        world.kube.create(theirs(name))
    world.commit({"deploy/c.yaml": config("one") + config("two") + config("three")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    assert app.resources.filter(reason="shared").count() == 2
    return app


def live(world: World, name: str) -> dict[str, Any]:
    found = world.kube.get("v1", "ConfigMap", name, "shop")
    assert found is not None
    return found


def test_e32_after_a_takeover_the_object_is_ours(world: World) -> None:
    """Only what was chosen; our keys on it, the former owner's and the last-applied annotation off."""
    app = shared(world)
    chosen = {"group": "", "kind": "ConfigMap", "namespace": "shop", "name": "one"}
    operation = faults.ended(world, operations.takeover(DANA, app, {"resources": [chosen]}))
    assert (operation.phase, operation.kind) == ("Succeeded", "takeover")
    assert [(row["name"], row["code"]) for row in operation.results] == [("one", "Synced")]
    assert "taken over from Argo CD application old" in operation.results[0]["message"]
    one, two = live(world, "one"), live(world, "two")
    assert one["data"] == {"value": "1"}
    assert one["metadata"]["annotations"].keys() & {TRACKING, LAST_APPLIED} == set()
    assert one["metadata"]["annotations"]["gitops-hub.io/tracking-id"] == "web:/ConfigMap:shop/one"
    assert two["metadata"]["annotations"][TRACKING] == "old:/ConfigMap:shop/two"
    world.run(app)
    assert list(app.resources.filter(reason="shared").values_list("name", flat=True)) == ["two"]
    faults.ended(world, operations.takeover(DANA, app, {}))
    world.run(app)
    assert app.sync_status == "Synced"
    assert not faults.conditions(app, "SharedResource")


def test_a_takeover_is_no_sync_of_the_revision(world: World) -> None:
    """A newer commit that waits is not counted as attempted by it."""
    app = shared(world)
    before = app.memory["attempted"]
    faults.ended(world, operations.takeover(DANA, app, {}))
    app.refresh_from_db()
    assert app.memory["attempted"]["number"] == before["number"]


def test_e33_both_owners_say_that_they_share(world: World) -> None:
    """And a takeover from another Application of this hub changes the owner, with both sides told."""
    world.kube.create(NAMESPACE)
    world.commit({"a/c.yaml": config("common", "a"), "b/c.yaml": config("common", "b")})
    first = world.run(world.application("a", path="a", sync_policy={"automated": {}}))
    second = world.run(world.application("b", path="b", sync_policy={"automated": {}}))
    world.run(first)
    assert faults.conditions(first, "SharedResource") == [
        "ConfigMap/shop/common is wanted by application b, too"
    ]
    assert faults.conditions(second, "SharedResource") == ["ConfigMap/shop/common belongs to application a"]
    faults.ended(world, operations.takeover(DANA, second, {}))
    assert live(world, "common")["data"] == {"value": "b"}
    world.run(first)
    assert faults.conditions(first, "SharedResource") == ["ConfigMap/shop/common belongs to application b"]


def test_a_takeover_needs_the_right_to_override_and_is_audited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nudging, "look", lambda ids: None)
    app = shared(world)
    alice = factories.user("alice", "owner", world.project)
    bob = factories.user("bob", "reader", world.project)
    charlie = User.objects.create_user(username="charlie")
    assert Api(bob).post("/applications/web/takeover", {}).status_code == 403
    assert Api(charlie).post("/applications/web/takeover", {}).status_code == 404
    assert Api(alice).post("/applications/web/takeover", {"prune": True}).status_code == 400
    planned = Api(alice).post("/applications/web/plan", {"takeover": True}).json()
    tasks = [task["key"] for batch in planned["batches"] for task in batch["tasks"]]
    assert tasks == ["ConfigMap/shop/one", "ConfigMap/shop/two"]
    assert not app.operations.filter(kind="takeover").exists()
    asked = Api(alice).post("/applications/web/takeover", {"reason": "leaving Argo CD"})
    assert asked.status_code == 202, asked.content
    assert (asked.json()["kind"], asked.json()["phase"]) == ("takeover", "Queued")
    said = AuditEvent.objects.get(action="takeover")
    assert (said.object_name, said.reason) == ("web", "leaving Argo CD")
    faults.ended(world, app.operations.get(kind="takeover"))
    assert TRACKING not in live(world, "one")["metadata"]["annotations"]
