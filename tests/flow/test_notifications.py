"""What a channel hears of the life of an application (notifications.md 12)."""

from __future__ import annotations

import json
from datetime import timedelta

from django.utils import timezone

import hub.source as source
from clusters.models import Cluster
from hub.models import Application, Event
from hub.services import applications, events, probing, switches
from notifications.models import Delivery
from notifications.services import due_deliveries
from tests import gitserver
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.desk import Desk, desk
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment, quick_gate

BROKEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: [unclosed\n"

__all__ = ["desk"]


def _world_of_one(world: World, **more: object) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    return world.application(**more)


def _replace_pods(world: World) -> None:
    """Somebody drains a node: the pods go, their controller makes new ones."""
    for pod in world.kube.list("v1", "Pod", "shop"):
        world.kube.delete("v1", "Pod", pod["metadata"]["name"], "shop")


def test_deployed_is_told_once_per_operation(world: World, desk: Desk) -> None:
    """18: synced, Progressing, Healthy; pods are replaced later: one message."""
    desk.subscribe("deployed")
    world.kube.create(NAMESPACE)
    slow = ', annotations: {sim/ready-after: "0.5"}'
    world.commit({"deploy/d.yaml": deployment("web", more=slow)})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app, until=lambda a: a.health_status == "Progressing")
    desk.tell()
    assert desk.roots() == []
    world.run(app, until=lambda a: a.health_status == "Healthy", passes=1000)
    desk.tell()
    assert desk.roots() == ["✅ web is deployed and healthy"]
    _replace_pods(world)
    world.run(app, until=lambda a: a.health_status != "Healthy", passes=1000)
    world.run(app, until=lambda a: a.health_status == "Healthy", passes=1000)
    desk.tell()
    assert len(desk.slack.messages("ops")) == 1


def test_a_second_commit_is_a_second_deployment(world: World, desk: Desk) -> None:
    desk.subscribe("deployed")
    app = _world_of_one(world, sync_policy=AUTOMATED)
    desk.tell(world, app)
    sha = world.commit({"deploy/c.yaml": config("one", "2")}, message="Raise the value\n\nBecause.")
    world.poll()
    desk.tell(world, app)
    assert len(desk.roots()) == 2
    told = Event.objects.filter(name="deployed").latest("id").data
    assert [one["sha"] for one in told["revisions"]] == [sha]
    assert f"{sha[:7]} Raise the value" in json.dumps(desk.slack.roots("ops")[1])


def test_early_failure_names_the_revision(world: World, desk: Desk) -> None:
    """19: rendering fails before there is any result; the message names the commit that was tried."""
    desk.subscribe("status-unknown", "sync-failed", "status-known")
    app = _world_of_one(world, sync_policy=AUTOMATED)
    desk.tell(world, app)
    broken = world.commit({"deploy/c.yaml": BROKEN}, message="Break it")
    world.poll()
    desk.tell(world, app)
    (told,) = Event.objects.filter(name="status-unknown")
    assert told.data["revisions"][0]["sha"] == broken
    (root,) = desk.slack.roots("ops")
    assert f"{broken[:7]} Break it" in json.dumps(root)
    mended = world.commit({"deploy/c.yaml": config("one", "3")})
    world.poll()
    desk.tell(world, app)
    (known,) = Event.objects.filter(name="status-known")
    assert known.data["revisions"][0]["sha"] == mended
    assert len(desk.thread(0)) == 1


def test_a_sync_of_a_revision_that_cannot_be_rendered_names_it(world: World, desk: Desk) -> None:
    desk.subscribe("sync-failed")
    app = _world_of_one(world)
    broken = world.commit({"deploy/c.yaml": BROKEN}, message="Break it")
    world.commit({"deploy/c.yaml": config("one")})
    world.poll()
    world.run(app)
    world.sync(app, revisions=[broken])
    desk.tell(world, app)
    (told,) = Event.objects.filter(name="sync-failed")
    assert told.data["revisions"][0]["sha"] == broken
    (root,) = desk.slack.roots("ops")
    assert f"{broken[:7]} Break it" in json.dumps(root)


def test_drift_speaks_once_per_diff(world: World, desk: Desk) -> None:
    """21: the same diff in 10 passes, another one, in sync, the first again: three threads' worth of messages."""
    app = _world_of_one(world, sync_policy={"automated": {"prune": True, "self_heal": False}})
    desk.tell(world, app)
    desk.subscribe("drift-detected", "drift-resolved")

    def edit(value: str) -> None:
        world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": value}}, "shop")

    edit("red")
    for _ in range(10):
        desk.tell(world, app)
    assert (len(desk.roots()), desk.thread(0)) == (1, [])
    edit("blue")
    desk.tell(world, app)
    assert (len(desk.roots()), len(desk.thread(0))) == (1, 1)
    edit("1")
    desk.tell(world, app)
    assert len(desk.roots()) == 1
    assert desk.thread(0)[1].endswith("web is in sync again")
    edit("red")
    desk.tell(world, app)
    assert (len(desk.roots()), len(desk.thread(0)), desk.thread(1)) == (2, 2, [])


def test_a_second_edit_of_a_secret_is_another_difference(world: World) -> None:
    """Both look the same in the diff; the values enter its digest by a keyed mark alone."""
    world.kube.create(NAMESPACE)
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: shop}\nstringData: {password: first}\n"
    world.commit({"deploy/s.yaml": secret})
    app = world.run(world.application(sync_policy={"automated": {"prune": True, "self_heal": False}}))
    for value in ("c2Vjb25k", "dGhpcmQ=", "dGhpcmQ="):
        world.kube.patch("v1", "Secret", "login", {"data": {"password": value}}, "shop")
        world.run(app)
    told = Event.objects.filter(name="drift-detected").order_by("id")
    assert len({event.data["drift"]["digest"] for event in told}) == told.count() == 2
    shown = json.dumps([event.data for event in told])
    assert [text for text in ("c2Vjb25k", "dGhpcmQ", "Zmlyc3Q", "hmac:") if text in shown] == []


def test_two_applications_in_trouble_have_two_threads(world: World, desk: Desk) -> None:
    """The first period of one application is not that of another, nor is drift the trouble of health."""
    world.kube.create(NAMESPACE)
    world.commit({"a/c.yaml": config("one"), "b/c.yaml": config("two")})
    calm = {"automated": {"prune": True, "self_heal": False}}
    apps = [world.application(name, path=name, sync_policy=calm) for name in "ab"]
    for app in apps:
        desk.tell(world, app)
    desk.subscribe("drift-detected", "drift-resolved")
    for app, name in zip(apps, ("one", "two"), strict=True):
        world.kube.patch("v1", "ConfigMap", name, {"data": {"value": "red"}}, "shop")
        desk.tell(world, app)
    assert desk.roots() == ["⚠️ a drifted from Git", "⚠️ b drifted from Git"]
    assert [desk.thread(0), desk.thread(1)] == [[], []]
    world.kube.patch("v1", "ConfigMap", "two", {"data": {"value": "1"}}, "shop")
    desk.tell(world, apps[1])
    assert [desk.thread(0), desk.thread(1)] == [[], ["✅ b is in sync again"]]


def test_a_lost_cluster_is_one_message(world: World, desk: Desk) -> None:
    """22: a cluster of 80 applications is gone: one message with 20 names and the count, no status-unknown."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    web = world.application("app-00", sync_policy=AUTOMATED)
    world.run(web)
    for number in range(1, 80):
        world.application(f"app-{number:02}")
    probing.probe(world.cluster.id)
    desk.subscribe("cluster-unreachable", "cluster-recovered", "status-unknown")
    desk.tell()
    with quick_gate():
        world.kube.faults.add("drop")
        probing.probe(world.cluster.id)
        faults.one_pass(web)
        faults.later(web, 31)
        faults.one_pass(web)
        web.refresh_from_db()
        assert web.sync_status == "Unknown"
        probing.probe(world.cluster.id)
        desk.tell()
    (root,) = desk.slack.messages("ops")
    text = json.dumps(root)
    assert "Cluster dev cannot be reached" in text
    assert [f"app-{number:02}" in text for number in (0, 19, 20)] == [True, True, False]
    assert "80" in text
    assert not Event.objects.filter(name="status-unknown").exists()
    world.kube.faults.clear()
    probing.probe(world.cluster.id)
    assert Cluster.objects.get().state == "Connected"
    desk.tell()
    assert desk.thread(0) == ["✅ Cluster dev answers again"]


def test_a_disabled_auto_sync_is_remembered(world: World, desk: Desk) -> None:
    """25: off for 32 days: told at once, then reminders on day 1, 8, 15, 22 and 29; the end is told in the thread."""
    app = _world_of_one(world, sync_policy=AUTOMATED)
    desk.subscribe("auto-sync-disabled", "auto-sync-reminder", "auto-sync-enabled")
    off = applications.document(app) | {"sync_policy": {"automated": {"enabled": False}}}
    applications.update(DANA, app, off)
    begun = timezone.now()
    reminded = []
    for hour in range(0, 32 * 24, 6):
        before = Event.objects.filter(name="auto-sync-reminder").count()
        switches.remind(begun + timedelta(hours=hour, minutes=1))
        if Event.objects.filter(name="auto-sync-reminder").count() > before:
            reminded.append(hour // 24)
    assert reminded == [1, 8, 15, 22, 29]
    desk.tell()
    assert len(desk.roots()) == 1
    assert [line.split(" is ")[1] for line in desk.thread(0)] == [
        f"off for {days} day{'s' if days > 1 else ''} (by dana)" for days in (1, 8, 15, 22, 29)
    ]
    applications.update(DANA, app, off | {"sync_policy": AUTOMATED})
    desk.tell()
    assert desk.thread(0)[-1] == "✅ Auto-sync of web was switched on again by dana"
    switches.remind(begun + timedelta(days=60))
    assert events.undispatched() == []
    assert due_deliveries() == []


def test_auto_sync_without_words_is_on(world: World) -> None:
    """`automated: {}` syncs by itself: nobody is reminded that it is off, and taking it away is told."""
    app = _world_of_one(world, sync_policy={"automated": {}})
    assert events.basis(app)["app"]["auto_sync"]["enabled"] is True
    applications.update(DANA, app, applications.document(app) | {"labels": {"a": "b"}})
    assert not Event.objects.filter(name="auto-sync-disabled").exists()
    applications.update(DANA, app, applications.document(app) | {"sync_policy": {}})
    assert Event.objects.filter(name="auto-sync-disabled").count() == 1


def test_an_application_is_announced_when_it_is_created(world: World, desk: Desk) -> None:
    desk.subscribe("created")
    _world_of_one(world)
    desk.tell()
    assert desk.roots() == ["ℹ️ web was created by dana"]


def test_a_hook_that_was_skipped_says_why(world: World, desk: Desk) -> None:
    desk.subscribe("sync-succeeded")
    world.kube.create(NAMESPACE)
    note = '"argocd.argoproj.io/hook": PreSync, "gitops-hub.io/hook-run-when": "changed: images"'
    hook = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, namespace: shop, "
        f"annotations: {{{note}}}}}\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}\n---\n"
    )
    world.commit({"deploy/c.yaml": config("one"), "deploy/hook.yaml": hook})
    app = world.application(sync_policy=AUTOMATED)
    desk.tell(world, app)
    world.commit({"deploy/c.yaml": config("one", "2")})
    world.poll()
    desk.tell(world, app)
    told = Event.objects.filter(name="sync-succeeded").latest("id").data
    (skipped,) = [change for change in told["changes"] if change["action"] == "skipped"]
    assert (skipped["kind"], skipped["name"]) == ("Job", "migrate")
    assert skipped["hook_reason"]
    assert skipped["hook_reason"] in json.dumps(desk.slack.messages("ops")[-1])


def test_a_storm_is_folded(world: World, desk: Desk) -> None:
    """41: 40 applications deployed by one commit: few messages, all 40 named or counted, rows `merged`."""
    world.kube.create(NAMESPACE)
    names = [f"app-{number:02}" for number in range(40)]
    world.commit({f"{name}/c.yaml": config(name) for name in names})
    apps = [world.application(name, path=name, sync_policy=AUTOMATED) for name in names]
    for app in apps:
        world.run(app)
    desk.tell()
    desk.subscribe("deployed")
    world.commit({f"{name}/c.yaml": config(name, "2") for name in names})
    world.poll()
    for app in apps:
        world.run(app)
        assert app.sync_status == "Synced"
    desk.tell()
    texts = [message["text"] for message in desk.slack.messages("ops")]
    assert len(texts) == 1
    assert texts[0].startswith("✅ 40 applications: deployed\n")
    assert [name in texts[0] for name in (names[0], names[19], names[20])] == [True, True, False]
    assert texts[0].endswith("and 20 more")
    assert Delivery.objects.filter(state="merged").count() == 39
    assert set(Delivery.objects.filter(state="merged").values_list("folded_into__state", flat=True)) == {
        "sent"
    }


def test_a_force_push_is_told_and_an_ordinary_push_is_not(world: World, desk: Desk) -> None:
    desk.subscribe("force-pushed")
    app = _world_of_one(world, sync_policy=AUTOMATED)
    world.run(app)
    old = world.commit({"deploy/c.yaml": config("one", "2")})
    world.poll()
    desk.tell(world, app)
    assert desk.roots() == []
    new = gitserver.commit(
        world.repository_path, {"deploy/c.yaml": config("one", "3")}, parent="", message="forced"
    )
    world.poll()
    world.poll()
    desk.tell(world, app)
    assert desk.roots() == [f"⚠️ main was force-pushed from {old[:7]} to {new[:7]}: web follows"]
    assert app.revisions == [new]


def test_a_tag_that_moves_is_told(world: World, desk: Desk) -> None:
    desk.subscribe("tag-moved", "force-pushed")
    world.kube.create(NAMESPACE)
    first = world.commit({"deploy/c.yaml": config("one")})
    gitserver.tag(world.repository_path, "v1", first)
    source = {"repo_url": world.repository.url, "path": "deploy", "target_revision": "v1"}
    app = world.application(sync_policy=AUTOMATED, sources=[source])
    world.run(app)
    second = world.commit({"deploy/c.yaml": config("one", "2")})
    gitserver.tag(world.repository_path, "v1", second)
    world.poll()
    desk.tell(world, app)
    assert desk.roots() == [f"⚠️ Tag v1 was moved from {first[:7]} to {second[:7]}: web follows"]


def test_the_next_version_of_a_range_is_no_moved_tag(world: World, desk: Desk) -> None:
    desk.subscribe("tag-moved", "force-pushed")
    world.kube.create(NAMESPACE)
    gitserver.tag(world.repository_path, "v1.0.0", world.commit({"deploy/c.yaml": config("one")}))
    source = {"repo_url": world.repository.url, "path": "deploy", "target_revision": "1.x"}
    app = world.application(sync_policy=AUTOMATED, sources=[source])
    world.run(app)
    second = world.commit({"deploy/c.yaml": config("one", "2")})
    gitserver.tag(world.repository_path, "v1.1.0", second)
    world.poll()
    desk.tell(world, app)
    assert (app.revisions, desk.roots()) == ([second], [])


def test_a_mirror_that_had_to_be_built_anew_is_told(world: World, desk: Desk) -> None:
    desk.subscribe("mirror-rebuilt")
    app = _world_of_one(world, sync_policy=AUTOMATED)
    desk.tell(world, app)
    source.close_all()
    (folder,) = (world.folder / "mirrors").glob("*.git")
    for held in folder.glob("objects/*/*"):
        held.chmod(0o600)
        held.write_bytes(held.read_bytes()[:20])
    applications.refresh(DANA, app, hard=True)
    desk.tell(world, app)
    assert desk.roots() == [f"ℹ️ The mirror of {world.repository.url} was damaged and is built anew"]
    assert (app.sync_status, app.health_status) == ("Synced", "Healthy")
