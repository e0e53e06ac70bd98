"""Which events the life of an application makes, and what they say (notifications.md 2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.models import Application, Event
from hub.services import applications, telling
from hub.services.argoview import application_view
from hub.tasks import hints
from tests.flow.conftest import DANA, World
from tests.flow.desk import Desk, desk
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment

__all__ = ["desk"]
NO_HEAL = {"automated": {"prune": True, "self_heal": False}}


def _one(world: World, **more: object) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    return world.run(world.application(**more))


def _names(app: Application) -> list[str]:
    return list(Event.objects.filter(application=app.id).order_by("id").values_list("name", flat=True))


def _edit(world: World, value: str) -> None:
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": value}}, "shop")


def test_what_the_first_pass_synced_is_told(world: World) -> None:
    """The second application of a repository finds its commit at hand, so one pass does everything."""
    world.kube.create(NAMESPACE)
    world.commit({"a/c.yaml": config("one"), "b/c.yaml": config("two")})
    for name in "ab":
        app = world.run(world.application(name, path=name, sync_policy=AUTOMATED))
        assert _names(app) == ["created", "sync-started", "sync-succeeded", "deployed"]


def test_a_sync_that_brings_nothing_new_is_no_deployment(world: World) -> None:
    app = _one(world, sync_policy=NO_HEAL)
    world.sync(app)
    world.run(app)
    assert (_names(app).count("sync-succeeded"), _names(app).count("deployed")) == (2, 1)


def test_a_new_commit_with_the_same_manifests_is_a_deployment_when_somebody_syncs_it(world: World) -> None:
    app = _one(world, sync_policy=NO_HEAL)
    sha = world.commit({"other/readme.md": "nothing"})
    world.poll()
    world.sync(app)
    world.run(app)
    told = Event.objects.filter(application=app.id, name="deployed").latest("id").data
    assert (_names(app).count("deployed"), told["revisions"][0]["sha"], told["reason"]) == (2, sha, "manual")


def test_drift_that_somebody_took_back_was_reverted(world: World) -> None:
    app = _one(world, sync_policy=NO_HEAL)
    _edit(world, "red")
    world.run(app)
    _edit(world, "1")
    world.run(app)
    told = Event.objects.get(name="drift-resolved").data
    assert (told["reason"], told["drift"]["how"], told["episode"]) == ("reverted", "reverted", 1)


def test_drift_says_what_ended_it(world: World) -> None:
    app = _one(world, sync_policy=NO_HEAL)
    _edit(world, "red")
    world.run(app)
    world.sync(app)
    world.run(app)
    assert Event.objects.filter(name="drift-resolved").latest("id").data["reason"] == "sync"


def test_drift_that_the_hub_healed_was_healed(world: World) -> None:
    app = _one(world, sync_policy=AUTOMATED)
    _edit(world, "red")
    world.run(app)
    told = Event.objects.get(name="drift-resolved").data
    assert (told["reason"], told["initiator"]["via"]) == ("self-heal", "self-heal")


def test_a_revision_that_a_window_holds_back_is_drift(world: World) -> None:
    app = _one(world, sync_policy=AUTOMATED)
    closed = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    world.project.rules = {**world.project.rules, "windows": [closed]}
    world.project.save()
    world.commit({"deploy/c.yaml": config("one", "2")})
    world.poll()
    world.run(app)
    told = Event.objects.get(name="drift-detected").data
    assert (told["reason"], told["summary"]) == ("new-revision", "web is out of sync: Git moved on")


def test_a_deletion_is_told_once_and_says_who_asked(world: World) -> None:
    """What the hub takes away is neither drift nor deleted outside Git, and its deletion is no sync."""
    app = _one(world, sync_policy=AUTOMATED)
    before = len(_names(app))
    applications.request_deletion(DANA, app, "cascade")
    world.run(app)
    assert _names(app)[before:] == ["deleted"]
    told = Event.objects.get(name="deleted").data
    assert told["summary"] == "web was deleted by dana (cascade)"
    assert (told["initiator"]["kind"], told["initiator"]["name"]) == ("user", "dana")
    assert told["application"]["metadata"]["name"] == "web"


def test_an_imported_trigger_hears_of_every_deletion(world: World, desk: Desk) -> None:
    note = {"notifications.argoproj.io/subscribe.on-deleted.slack": "ops"}
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    for mode in ("detach", "cascade"):
        app = world.application(f"web-{mode}", sync_policy=AUTOMATED, annotations=note)
        desk.tell(world, app)
        applications.request_deletion(DANA, app, mode)
        world.run(app)
        desk.tell()
    assert desk.roots() == ["web-detach is being deleted.", "web-cascade is being deleted."]


def test_events_say_why_and_by_whom_in_the_words_of_the_design(world: World) -> None:
    app = _one(world, sync_policy=AUTOMATED)
    started = Event.objects.filter(name="sync-started").latest("id").data
    assert (started["reason"], started["initiator"]["via"]) == ("git", "git")
    world.sync(app)
    world.run(app)
    started = Event.objects.filter(name="sync-started").latest("id").data
    assert (started["reason"], started["initiator"]["name"]) == ("manual", "dana")


def test_a_message_of_drift_names_the_object_and_its_field(world: World, desk: Desk) -> None:
    desk.subscribe("drift-detected")
    app = _one(world, sync_policy=AUTOMATED)
    _edit(world, "red")
    desk.tell(world, app)
    told = Event.objects.get(name="drift-detected").data
    (line,) = told["detail"]["resources"]
    assert line.startswith("ConfigMap/shop/one: .data.value (by ")
    assert line.split(" (by ")[0] in desk.slack.messages("ops")[0]["text"]


def test_another_commit_is_another_drift_where_nothing_syncs_it(world: World) -> None:
    app = _one(world, sync_policy=AUTOMATED)
    applications.update(DANA, app, applications.document(app) | {"sync_policy": {}})
    for value in ("2", "3"):
        world.commit({"deploy/c.yaml": config("one", value)})
        world.poll()
        world.run(app)
        world.run(app)
    assert _names(app).count("drift-detected") == 2


def test_changes_say_what_was_created_and_what_was_only_configured(world: World) -> None:
    app = _one(world, sync_policy=AUTOMATED)
    created = Event.objects.filter(name="sync-succeeded").latest("id").data["changes"]
    world.commit({"deploy/c.yaml": config("one", "2"), "deploy/d.yaml": config("two")})
    world.poll()
    world.run(app)
    told = Event.objects.filter(name="sync-succeeded").latest("id").data
    assert [(one["name"], one["action"]) for one in created] == [("one", "created")]
    assert {(one["name"], one["action"]) for one in told["changes"]} == {
        ("one", "configured"),
        ("two", "created"),
    }
    assert {one["version"] for one in told["changes"]} == {"v1"}
    assert told["changes_omitted"] == 0
    assert sorted(told["links"]) == ["app", "diff", "operation"]


def test_a_new_image_is_named_with_its_old_version(world: World, desk: Desk) -> None:
    desk.subscribe("deployed")
    world.kube.create(NAMESPACE)
    world.commit({"deploy/d.yaml": deployment("web", image="registry.example:5000/web:1.0")})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app, until=lambda a: a.health_status == "Healthy", passes=1000)
    world.commit({"deploy/d.yaml": deployment("web", image="registry.example:5000/web:1.1")})
    world.poll()
    world.run(app, until=lambda a: _names(a).count("deployed") == 2, passes=1000)
    told = Event.objects.filter(name="sync-succeeded").latest("id").data
    assert told["images"] == [{"name": "registry.example:5000/web", "old": "1.0", "new": "1.1", "digest": ""}]


def test_an_event_that_cannot_be_handed_over_holds_back_its_application_alone(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the hub itself, say in the view of one application, silences nobody else."""
    desk.subscribe("created", "sync-started")
    world.kube.create(NAMESPACE)
    world.commit({"a/c.yaml": config("one"), "b/c.yaml": config("two")})
    for name in "ab":
        world.run(world.application(name, path=name, sync_policy=AUTOMATED))
    told = telling.hand_over

    def failing(row: Event) -> list[int]:
        if row.key.endswith("/created") and row.data["app"]["name"] == "a":
            raise AttributeError("no such thing")
        return told(row)

    monkeypatch.setattr(telling, "hand_over", failing)
    hints.dispatch_now()  # ends, although something is left
    desk.tell()
    assert desk.roots() == ["ℹ️ b was created by dana", "ℹ️ Sync of b started, asked by auto-sync"]
    monkeypatch.setattr(telling, "hand_over", told)
    desk.tell()
    assert desk.roots()[2:] == ["ℹ️ a was created by dana", "ℹ️ Sync of a started, asked by auto-sync"]


def test_what_a_failed_sync_never_reached_is_no_change(world: World) -> None:
    """The second wave was not begun: nobody may read that it was configured."""
    world.kube.create(NAMESPACE)
    bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad, namespace: shop}\nspec: {ports: [{port: 99999999}]}\n---\n"
    world.commit({"deploy/c.yaml": bad + config("later", wave="1")})
    policy = {**AUTOMATED, "retry": {"limit": 0}}
    app = world.run(world.application(sync_policy=policy))
    told = Event.objects.get(name="sync-failed").data
    assert [(one["name"], one["action"]) for one in told["changes"]] == [("bad", "failed")]
    assert "must be between 1 and 65535" in told["changes"][0]["message"]
    state = application_view(app)["status"]["operationState"]
    assert [(one["name"], one["status"]) for one in state["syncResult"]["resources"]] == [
        ("bad", "SyncFailed")
    ]


def test_a_message_of_degradation_names_every_object_that_is_degraded(
    world: World, desk: Desk, settings: Any, tmp_path: Path
) -> None:
    rule = {
        "when": "self.data.value == 'red'",
        "status": "Degraded",
        "message": "it is red",
    }
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"health": {"ConfigMap": [rule, {"when": "true", "status": "Healthy"}]}}))
    settings.HUB_RESOURCE_RULES = str(path)
    desk.subscribe("health-degraded", "health-recovered")
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + config("two")})
    app = world.run(world.application(sync_policy=NO_HEAL))
    for name in ("one", "two"):
        world.kube.patch("v1", "ConfigMap", name, {"data": {"value": "red"}}, "shop")
    desk.tell(world, app)
    text = desk.slack.messages("ops")[0]["text"]
    assert "ConfigMap/shop/one: it is red" in text
    assert "ConfigMap/shop/two: it is red" in text
    for name in ("one", "two"):
        world.kube.patch("v1", "ConfigMap", name, {"data": {"value": "1"}}, "shop")
    desk.tell(world, app)
    assert desk.thread(0) == ["✅ web is healthy again"]
