"""Worked examples of sync-semantics.md 13, end to end through the hall on the sandbox: hooks, waves, waits, options."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from hub.core import gates
from hub.models import Application, Event, Project
from hub.services import operations
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment, job, later, one_pass
from tests.hub.factories import OPEN


@pytest.fixture(autouse=True)
def shop(world: World) -> None:
    world.kube.create(NAMESPACE)


def slow_deployment(name: str, **notes: str) -> str:
    """A Deployment whose pods do not become ready until the fault `not_ready` is cleared and a pod is replaced."""
    text = deployment(name, **notes)
    return text.replace(
        f"labels: {{app: {name}}}}}\n    spec",
        f"labels: {{app: {name}}}, annotations: {{sim/ready-after: 1h}}}}\n    spec",
    )


def failing_job(name: str, **notes: str) -> str:
    return job(name, **notes).replace(
        "template: {spec", 'backoffLimit: 0, template: {metadata: {annotations: {sim/exit-code: "1"}}, spec'
    )


def endless_job(name: str, **notes: str) -> str:
    return job(name, **notes).replace(
        "template: {spec", "template: {metadata: {annotations: {sim/ends-after: 1h}}, spec"
    )


def prepared(world: World, text: str, name: str = "web", **more: object) -> Application:
    world.commit({f"{name}/all.yaml": text})
    app = world.application(name, path=name, **more)
    world.poll()
    world.run(app)
    return app


def changed(world: World, app: Application, text: str) -> Application:
    world.commit({f"{app.name}/all.yaml": text})
    world.poll()
    return world.run(app)


def synced(
    world: World, app: Application, phase: str = "Succeeded", **values: object
) -> dict[str, dict[str, str]]:
    """A sync that ends in this phase; its results by name."""
    operation = faults.ended(world, world.sync(app, **values))
    assert operation.phase == phase, (operation.phase, operation.message, operation.results)
    world.run(app)
    return {row["name"]: row for row in operation.results}


def jobs(world: World) -> dict[str, str]:
    return {o["metadata"]["name"]: o["metadata"]["uid"] for o in world.kube.list("batch/v1", "Job", "shop")}


def gone(world: World) -> None:
    """Every Job goes within two seconds."""
    for _ in range(100):
        if not jobs(world):
            return
        threading.Event().wait(0.02)
    raise AssertionError(f"still there: {jobs(world)}")


def test_e02_second_wave_waits_for_first(world: World) -> None:
    app = prepared(world, slow_deployment("api") + config("two", wave="1"))
    operation = faults.waits_for(world, world.sync(app), "health")
    assert operation.message.startswith("waiting for healthy state of apps/Deployment/shop/api")
    for _ in range(3):
        one_pass(app)
    assert faults.names(world) == []
    ready(world, "api")
    faults.ended(world, operation)
    assert (operation.phase, faults.names(world)) == ("Succeeded", ["two"])


def ready(world: World, name: str) -> None:
    """Let every pod of a Deployment be ready now."""
    for pod in world.kube.list("v1", "Pod", "shop"):
        if pod["metadata"]["name"].startswith(name):
            status = {
                "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "ContainersReady", "status": "True"},
                ],
                "containerStatuses": [
                    {"name": "c", "ready": True, "restartCount": 0, "image": "x", "imageID": ""}
                ],
            }
            world.kube.patch("v1", "Pod", pod["metadata"]["name"], {"status": status}, "shop", "status")
    threading.Event().wait(0.1)


def test_e11_presync_failure_stops(world: World) -> None:
    app = prepared(
        world, failing_job("before", hook="PreSync") + config("one") + job("rescue", hook="SyncFail")
    )
    rows = synced(world, app, "Failed")
    assert faults.names(world) == []
    assert rows["before"]["state"] == "Failed"
    assert set(jobs(world)) == {"before", "rescue"}


def test_e12_syncfail_runs_on_apply_error(world: World) -> None:
    world.kube.faults.add("deny", resource="deployments", message="no")
    app = prepared(world, deployment("api") + config("sibling") + job("rescue", hook="SyncFail"))
    rows = synced(world, app, "Failed", sync_options=["DryRun=local"])
    assert faults.names(world) == ["sibling"]
    assert (rows["api"]["state"], rows["rescue"]["state"]) == ("Failed", "Succeeded")


def test_e13_syncfail_declared_changes_nothing(world: World) -> None:
    app = prepared(
        world, job("during", hook="Sync") + slow_deployment("api") + job("rescue", hook="SyncFail")
    )
    operation = faults.ended(world, world.sync(app), passes=80)
    assert operation.phase == "Succeeded"
    assert "rescue" not in jobs(world)
    assert app.health_status in {"Progressing", "Missing", "Unknown", "Healthy"}


def test_e14_postsync_waits_for_healthy(world: World) -> None:
    app = prepared(world, slow_deployment("api") + job("after", hook="PostSync"))
    operation = faults.waits_for(world, world.sync(app), "health")
    assert jobs(world) == {}
    ready(world, "api")
    faults.ended(world, operation)
    assert (operation.phase, set(jobs(world))) == ("Succeeded", {"after"})


def test_e15_default_policy_recreates(world: World) -> None:
    app = prepared(world, job("before", hook="PreSync") + config("one"))
    synced(world, app)
    first = jobs(world)["before"]
    synced(world, app)
    assert set(jobs(world)) == {"before"}
    assert jobs(world)["before"] != first


def test_e16_old_success_never_counts(world: World) -> None:
    """A Complete Job left by a failed operation is no success of the next one."""
    world.kube.faults.add("deny", resource="configmaps", name="^one$", message="no")
    text = job("before", hook="PreSync", policy="HookSucceeded") + config("one")
    app = prepared(world, text)
    synced(world, app, "Failed", sync_options=["DryRun=local"])
    first = jobs(world)["before"]
    world.kube.faults.clear()
    seen = faults.writes(world)
    synced(world, app)
    made = [uid for kind, _, uid, what in seen if (kind, what) == ("jobs", "new")]
    assert len(made) == 1
    assert made[0] != first


def test_e17_hook_succeeded_waits_for_the_operation(world: World) -> None:
    app = prepared(
        world,
        job("before", hook="PreSync", policy="HookSucceeded")
        + slow_deployment("api")
        + config("z", wave="1"),
    )
    operation = faults.waits_for(world, world.sync(app), "health")
    assert set(jobs(world)) == {"before"}
    ready(world, "api")
    faults.ended(world, operation)
    assert jobs(world) == {}


def test_e18_hook_failed_keeps_the_good_one(world: World) -> None:
    good, bad = (
        job("good", hook="PreSync", policy="HookFailed"),
        failing_job("bad", hook="PreSync", policy="HookFailed"),
    )
    app = prepared(world, good + bad + config("one"))
    synced(world, app, "Failed")
    assert set(jobs(world)) == {"good"}


def test_e19_ttl_zero_hook_is_seen(world: World) -> None:
    app = prepared(world, job("before", spec="ttlSecondsAfterFinished: 0, ", hook="PreSync") + config("one"))
    rows = synced(world, app)
    assert rows["before"]["state"] == "Succeeded"
    gone(world)
    assert faults.names(world) == ["one"]


def test_e20_generate_name_is_stable(world: World) -> None:
    app = prepared(world, config("one") + job("x", more=", generateName: smoke-", hook="PostSync"))
    operation = faults.ended(world, world.sync(app))
    made = jobs(world)
    assert len(made) == 1
    assert operation.started_at is not None
    expected = f"smoke-{app.revisions[0][:7]}-postsync-{int(operation.started_at.timestamp())}"
    assert set(made) == {expected}


def test_e23_prune_runs_in_reverse(world: World) -> None:
    extras = "".join(config(f"extra{n}", wave=str(n)) for n in range(3))
    app = prepared(world, config("keep") + extras)
    synced(world, app)
    changed(world, app, config("keep"))
    seen = faults.writes(world)
    synced(world, app, prune=True)
    assert [name for _, name, _, what in seen if what == "gone"] == ["extra2", "extra1", "extra0"]


def test_e24_prune_failure_stops_lower_waves(world: World) -> None:
    extras = "".join(config(f"extra{n}", wave=str(n)) for n in range(3))
    app = prepared(world, config("keep") + extras)
    synced(world, app)
    changed(world, app, config("keep"))
    world.kube.faults.add("status", verb="delete", name="^extra2$", code=403)
    synced(world, app, "Failed", prune=True, sync_options=["DryRun=local"])
    assert faults.names(world) == ["extra0", "extra1", "extra2", "keep"]


def test_e25_prune_last_after_healthy(world: World) -> None:
    app = prepared(world, deployment("a"), sync_policy={"sync_options": ["PruneLast=true"]})
    synced(world, app)
    changed(world, app, slow_deployment("b"))
    operation = faults.waits_for(world, world.sync(app, prune=True), "health")
    assert world.kube.get("apps/v1", "Deployment", "a", "shop") is not None
    ready(world, "b")
    faults.ended(world, operation)
    assert operation.phase == "Succeeded"
    assert world.kube.get("apps/v1", "Deployment", "a", "shop") is None


def test_e26_no_prune_stays_out_of_sync(world: World) -> None:
    app = prepared(world, config("keep") + config("extra", options="Prune=false"))
    synced(world, app)
    changed(world, app, config("keep"))
    rows = synced(world, app, prune=True)
    assert (rows["extra"]["code"], rows["extra"]["message"]) == ("PruneSkipped", "ignored (no prune)")
    assert (app.sync_status, app.counts.get("extra")) == ("OutOfSync", 1)


def test_e27_prune_confirm_holds_the_batch(world: World) -> None:
    app = prepared(world, config("keep") + config("extra", options="Prune=confirm"))
    synced(world, app)
    changed(world, app, config("keep") + config("new"))
    operation = faults.waits_for(world, world.sync(app, prune=True), "prune_confirmation")
    assert faults.names(world) == ["extra", "keep"]
    operations.confirm(DANA, app, operation.wait["digest"])
    faults.ended(world, operation)
    assert (operation.phase, faults.names(world)) == ("Succeeded", ["keep", "new"])


def test_e28_protected_prune_is_deferred(world: World) -> None:
    claim = (
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: shop}\n"
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n---\n"
    )
    app = prepared(world, config("one") + claim, sync_policy=AUTOMATED)
    assert world.kube.get("v1", "PersistentVolumeClaim", "data", "shop") is not None
    changed(world, app, config("one", "2"))
    found = world.kube.get("v1", "ConfigMap", "one", "shop")
    assert found is not None
    assert found["data"] == {"value": "2"}
    assert world.kube.get("v1", "PersistentVolumeClaim", "data", "shop") is not None
    last = app.operations.exclude(wait={}).first()
    assert last is not None
    plan = last.wait["prune_plan"]
    operation = faults.ended(world, operations.confirm(DANA, app, plan["digest"]))
    assert operation.phase == "Succeeded", operation.message
    going = world.kube.get("v1", "PersistentVolumeClaim", "data", "shop")
    assert going is None or going["metadata"].get("deletionTimestamp")


def test_e38_force_replace_recreates_jobs_only(world: World) -> None:
    plain = job("once", options="Force=true,Replace=true")
    space = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: extra-space, annotations: "
        "{argocd.argoproj.io/sync-options: 'Force=true,Replace=true'}}\n---\n"
    )
    app = prepared(world, plain + space)
    synced(world, app)
    first, held = jobs(world)["once"], world.kube.get("v1", "Namespace", "extra-space")
    synced(world, app)
    again = world.kube.get("v1", "Namespace", "extra-space")
    assert jobs(world)["once"] != first
    assert held is not None
    assert again is not None
    assert held["metadata"]["uid"] == again["metadata"]["uid"]


def test_e39_immutable_names_the_field(world: World) -> None:
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
        "spec: {clusterIP: %s, ports: [{port: 80}], selector: {app: web}}\n---\n"
    )
    app = prepared(world, service % "10.96.0.50")
    synced(world, app)
    changed(world, app, service % "10.96.0.51")
    rows = synced(world, app, "Failed")
    assert "spec.clusterIP" in rows["web"]["message"]
    assert "Force=true" in rows["web"]["message"]
    assert "on-immutable" in rows["web"]["message"]


def test_e47_failed_heal_tries_again(world: World) -> None:
    app = prepared(world, config("one"), sync_policy={**AUTOMATED, "retry": {"limit": 0}})
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "drift"}}, "shop")
    world.kube.faults.add("deny", verb="patch", resource="configmaps", message="closed")
    world.kube.faults.add("deny", verb="update", resource="configmaps", message="closed")
    world.kube.faults.add("deny", verb="apply", resource="configmaps", message="closed")
    world.run(app, until=lambda found: found.operation_phase == "Failed")
    world.kube.faults.clear()
    for _ in range(12):
        later(app, 400)
        one_pass(app)
        if (world.kube.get("v1", "ConfigMap", "one", "shop") or {})["data"]["value"] == "1":
            break
    assert (world.kube.get("v1", "ConfigMap", "one", "shop") or {})["data"]["value"] == "1"
    assert app.operations.filter(kind="self-heal", phase="Succeeded").count() == 1


def test_e48_fight_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "HEAL_STEPS_S", (0.0,))
    app = prepared(world, config("one") + config("calm"), sync_policy=AUTOMATED)
    for turn in range(4):
        world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": f"theirs {turn}"}}, "shop")
        for _ in range(4):
            one_pass(app)
    assert any(
        "kubectl-edit" in text and ".data.value" in text for text in faults.conditions(app, "Fighting")
    )
    heals = app.operations.filter(kind="self-heal").count()
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "again"}}, "shop")
    world.kube.patch("v1", "ConfigMap", "calm", {"data": {"value": "drift"}}, "shop")
    later(app, 6)
    for _ in range(4):
        one_pass(app)
    assert (world.kube.get("v1", "ConfigMap", "one", "shop") or {})["data"]["value"] == "again"
    assert (world.kube.get("v1", "ConfigMap", "calm", "shop") or {})["data"]["value"] == "1"
    assert app.operations.filter(kind="self-heal").count() == heals + 1


def test_e49_new_commit_supersedes_retry(world: World) -> None:
    """Commit A waits to retry, commit B is applied at once; A ends Superseded."""
    world.kube.faults.add("deny", resource="configmaps", name="^bad$", message="no")
    app = prepared(world, config("good"), sync_policy=AUTOMATED)
    world.commit({"web/all.yaml": config("good") + config("bad")})
    world.poll()
    world.run(app, until=lambda found: found.operations.filter(attempt__gt=1).exists())
    first = app.operations.get(attempt__gt=1)
    world.commit({"web/all.yaml": config("good", "2")})
    world.poll()
    world.run(app, until=lambda found: found.sync_status == "Synced")
    first.refresh_from_db()
    assert first.phase == "Superseded"
    assert (world.kube.get("v1", "ConfigMap", "good", "shop") or {})["data"]["value"] == "2"
    assert "bad" not in faults.names(world)


def test_e50_rollback_keeps_auto_sync(world: World) -> None:
    app = prepared(world, config("one", "a"), sync_policy=AUTOMATED)
    good = app.operations.get()
    changed(world, app, config("one", "b"))
    assert value(world) == "b"
    operation = operations.rollback(DANA, app, good.number, reason="b is bad")
    faults.ended(world, operation)
    assert value(world) == "a"
    for _ in range(3):
        world.poll()
        one_pass(app)
    assert value(world) == "a"
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "drift"}}, "shop")
    world.run(app, until=lambda _: value(world) == "a")
    assert faults.conditions(app, "Pinned")
    changed(world, app, config("one", "c"))
    world.run(app)
    assert value(world) == "c"
    assert not faults.conditions(app, "Pinned")


def value(world: World, name: str = "one") -> str:
    found = world.kube.get("v1", "ConfigMap", name, "shop")
    assert found is not None
    return str(found["data"]["value"])


def test_e52_hook_only_commit_runs(world: World) -> None:
    app = prepared(world, config("one") + job("after", hook="PostSync"), sync_policy=AUTOMATED)
    assert app.operations.count() == 1
    changed(world, app, config("one") + job("after", hook="PostSync").replace("image: x", "image: z"))
    for _ in range(6):
        one_pass(app)
    assert app.operations.filter(kind="sync", phase="Succeeded").count() == 2
    app.refresh_from_db()
    assert app.sync_status == "Synced"


def test_an_application_of_hooks_alone_is_synced_once(world: World) -> None:
    app = prepared(world, job("only", hook="Sync"), sync_policy=AUTOMATED)
    for _ in range(6):
        one_pass(app)
    assert list(app.operations.values_list("kind", "phase")) == [("sync", "Succeeded")]
    app.refresh_from_db()
    assert app.sync_status == "Synced"


def test_e53_finished_job_stays_synced(world: World) -> None:
    app = prepared(world, job("once", spec="ttlSecondsAfterFinished: 60, "))
    synced(world, app)
    for _ in range(50):
        one_pass(app)
        if app.resources.filter(name="once").exclude(completed_at=None).exists():
            break
        threading.Event().wait(0.02)
    world.kube.delete("batch/v1", "Job", "once", "shop", propagation="Background")
    world.run(app)
    assert (app.sync_status, app.health_status) == ("Synced", "Healthy")
    assert not Event.objects.filter(name="object-deleted").exists()


def test_e54_depends_on_gates_new_revisions(world: World) -> None:
    """db is Progressing: a commit to web waits, drift in web is healed to what was last applied."""
    db = prepared(world, slow_deployment("db"), name="db", sync_policy=AUTOMATED)
    assert db.health_status != "Healthy"
    policy = {**AUTOMATED, "depends_on": [{"application": "db"}]}
    Application.objects.filter(id=db.id).update(sync_status="Synced", health_status="Healthy")
    web = prepared(world, config("one", "a"), sync_policy=policy)
    assert value(world) == "a", web.gate
    Application.objects.filter(id=db.id).update(health_status="Progressing")
    world.commit({"web/all.yaml": config("one", "b")})
    world.poll()
    for _ in range(3):
        one_pass(web)
    web.refresh_from_db()
    assert web.gate["reason"] == "waiting for application db"
    assert value(world) == "a"
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "drift"}}, "shop")
    for _ in range(4):
        one_pass(web)
    assert value(world) == "a", "self-heal restores what was last applied while a newer Revision waits"
    Application.objects.filter(id=db.id).update(health_status="Healthy")
    for _ in range(4):
        one_pass(web)
    assert value(world) == "b"


def test_e55_window_blocks_between_waves(world: World) -> None:
    app = prepared(world, slow_deployment("api") + config("two", wave="1"))
    operation = faults.waits_for(world, world.sync(app), "health")
    start = datetime.now(UTC) - timedelta(minutes=2)
    window = {
        "kind": "deny",
        "schedule": f"{start.minute} {start.hour} * * *",
        "duration": "1h",
        "applications": ["*"],
        "name": "freeze",
    }
    Project.objects.filter(id=world.project.id).update(rules={**OPEN, "windows": [window]})
    ready(world, "api")
    faults.waits_for(world, operation, "window")
    assert faults.names(world) == []
    operations.terminate(DANA, app)
    faults.ended(world, operation)
    assert (operation.phase, operation.message) == ("Failed", "Operation terminated")


def test_e56_terminate_cleans_hooks(world: World) -> None:
    app = prepared(
        world, endless_job("before", hook="PreSync") + config("one"), sync_policy={"retry": {"limit": 5}}
    )
    operation = faults.waits_for(world, world.sync(app), "hook")
    assert set(jobs(world)) == {"before"}
    operations.terminate(DANA, app)
    faults.ended(world, operation)
    assert (operation.phase, operation.message) == ("Failed", "Operation terminated")
    gone(world)
    assert faults.names(world) == []
    assert operation.attempt == 1
