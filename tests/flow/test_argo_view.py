"""What imported triggers and templates see of an application that really ran: Argo CD's shapes (notifications.md 2)."""

from __future__ import annotations

from typing import Any

from hub.models import Application
from hub.services.argoview import MOST_RESOURCES, application_view, shapes
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment


def _view(app: Application) -> dict[str, Any]:
    return application_view(Application.objects.select_related("project", "cluster").get(id=app.id))


def test_a_synced_application_has_every_part_that_templates_read(world: World) -> None:
    world.kube.create(NAMESPACE)
    sha = world.commit({"deploy/d.yaml": deployment("web", image="x:1") + config("one")})
    options = ["CreateNamespace=true"]
    app = world.application(sync_policy={**AUTOMATED, "sync_options": options})
    world.run(app, until=lambda a: a.health_status == "Healthy", passes=1000)
    view = _view(app)
    spec, status = view["spec"], view["status"]
    assert spec["syncPolicy"] == {"automated": {"prune": True, "selfHeal": True}, "syncOptions": options}
    assert status["summary"] == {"images": ["x:1"]}
    assert status["health"]["lastTransitionTime"]
    assert {(one["kind"], one["name"], one["status"]) for one in status["resources"]} == {
        ("ConfigMap", "one", "Synced"),
        ("Deployment", "web", "Synced"),
    }
    (deployed,) = status["history"]
    assert (deployed["id"], deployed["revision"], deployed["initiatedBy"]) == (1, sha, {"automated": True})
    result = status["operationState"]["syncResult"]
    assert (result["revision"], result["source"]["path"]) == (sha, "deploy")
    assert {one["status"] for one in result["resources"]} == {"Synced"}


def test_templates_hear_which_tool_renders(world: World) -> None:
    world.commit({"deploy/c.yaml": config("one")})
    source = {"repo_url": world.repository.url, "path": "deploy", "directory": {"recurse": True}}
    details = shapes(world.application(sources=[source]))["source_details"]
    assert details == {"type": "Directory", "directory": {"recurse": True}}


def test_what_did_not_change_is_synced_too(world: World) -> None:
    """`Synced`, `SyncFailed`, `Pruned` and `PruneSkipped` are all that templates know."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    world.sync(app, apply_all=True)
    world.run(app)
    state = _view(app)["status"]["operationState"]
    assert [one["status"] for one in state["syncResult"]["resources"]] == ["Synced"]
    assert state["operation"]["initiatedBy"] == {"username": "dana"}


def test_a_dry_run_is_no_sync_to_tell(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application())
    world.sync(app, dry_run=True)
    world.run(app)
    assert "operationState" not in _view(app)["status"]


def test_what_is_wrong_comes_first_and_the_rest_is_cut(world: World) -> None:
    world.kube.create(NAMESPACE)
    many = [config(f"c-{number:03}") for number in range(MOST_RESOURCES + 20)]
    world.commit({"deploy/c.yaml": "".join(many)})
    app = world.run(world.application(sync_policy={"automated": {"self_heal": False}}))
    world.kube.patch("v1", "ConfigMap", "c-219", {"data": {"value": "red"}}, "shop")
    world.run(app)
    status = _view(app)["status"]
    assert len(status["resources"]) == MOST_RESOURCES
    assert (status["resources"][0]["name"], status["resources"][0]["status"]) == ("c-219", "OutOfSync")
    assert len(status["operationState"]["syncResult"]["resources"]) == MOST_RESOURCES
