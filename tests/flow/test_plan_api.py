"""The doors of previews and rollbacks."""

from __future__ import annotations

from django.test import Client

from hub.models import User
from tests.flow.conftest import World

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: %s}\n"


def test_a_plan_is_shown_and_a_rollback_asked_for_by_rest(world: World) -> None:
    user = User.objects.create_superuser(username="dana", password="dana-has-a-long-password")
    client = Client()
    client.force_login(user)
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application(sync_policy={"automated": {"prune": True}})
    world.run(app)
    world.commit({"deploy/config.yaml": CONFIG % "red"})
    world.poll()
    world.run(app)
    plan = client.post(f"/api/v1/applications/{app.name}/plan", {}, content_type="application/json").json()
    assert plan["prune"] == []
    answer = client.post(
        f"/api/v1/applications/{app.name}/rollback",
        {"operation": 1, "reason": "bad"},
        content_type="application/json",
    )
    assert (answer.status_code, answer.json()["kind"]) == (202, "rollback")
    world.run(app)
    assert world.kube.get("v1", "ConfigMap", "settings", "shop")["data"] == {"colour": "blue"}
    assert client.delete(f"/api/v1/applications/{app.name}/pin").status_code == 204
    world.run(app)
    assert world.kube.get("v1", "ConfigMap", "settings", "shop")["data"] == {"colour": "red"}
    refused = client.post(
        f"/api/v1/applications/{app.name}/rollback", {"operation": 77}, content_type="application/json"
    )
    assert (refused.status_code, refused.json()["code"]) == (404, "no_such_state")


def test_a_sync_of_a_named_revision_goes_there(world: World) -> None:
    first = world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application()
    world.run(app)
    world.sync(app)
    world.run(app)
    world.commit({"deploy/config.yaml": CONFIG % "red"})
    world.poll()
    world.run(app)
    world.sync(app)
    world.run(app)
    operation = world.sync(app, revisions=[first])
    world.run(app)
    operation.refresh_from_db()
    assert (operation.phase, operation.revisions) == ("Succeeded", [first])
    assert world.kube.get("v1", "ConfigMap", "settings", "shop")["data"] == {"colour": "blue"}
