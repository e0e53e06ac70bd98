"""Sync options on a real API server: PUT, recreation, propagation, order and names (sync-semantics.md 3.7, 4.2)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hub.models import Application, SyncOperation
from tests.flow import faults
from tests.flow.faults import one_pass
from tests.live.realworld import RealWorld, real_world

__all__ = ["real_world"]
pytestmark = pytest.mark.live


def notes(options: str = "", **more: str) -> str:
    held = {"sync-options": options, **more}
    return ", ".join(f'argocd.argoproj.io/{name}: "{text}"' for name, text in held.items() if text)


def deployment(
    name: str = "api", options: str = "", image: str = "x:1", label: str = "api", **more: str
) -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, annotations: {{{notes(options, **more)}}}}}\n"
        f"spec:\n  replicas: 2\n  selector: {{matchLabels: {{app: {label}}}}}\n"
        f"  template: {{metadata: {{labels: {{app: {label}}}}}, spec: {{containers: [{{name: c, image: '{image}'}}]}}}}\n---\n"
    )


def service(options: str = "", port: int = 80) -> str:
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: api, annotations: {{{notes(options)}}}}}\n"
        f"spec: {{selector: {{app: api}}, ports: [{{port: {port}}}]}}\n---\n"
    )


def job(name: str, options: str = "", meta: str = "", **more: str) -> str:
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{{name}{meta}, annotations: {{{notes(options, **more)}}}}}\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}\n---\n"
    )


def config(name: str, value: str = "1", options: str = "", **more: str) -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{{notes(options, **more)}}}}}\n"
        f"data: {{value: '{value}'}}\n---\n"
    )


def synced(world: RealWorld, app: Application, **asked: Any) -> SyncOperation:
    operation = world.sync(app, **asked)
    for _ in range(600):
        one_pass(app)
        operation.refresh_from_db()
        if operation.phase not in ("Queued", "Running"):
            break
        threading.Event().wait(0.05)
    assert operation.phase == "Succeeded", (operation.message, operation.results)
    world.run(app)
    return operation


def uid(world: RealWorld, kind: str, name: str) -> str:
    return str(world.get(kind, name)["metadata"]["uid"])


def test_a_put_of_the_usual_kinds_is_in_sync_and_takes_away_what_others_added(real_world: RealWorld) -> None:
    world, put = real_world, "Replace=true"
    text = deployment(options=put) + service(put) + config("one", options=put)
    app = world.deployed({"all.yaml": text})
    assert app.sync_status == "Synced", app.resources.filter(status="OutOfSync").values("kind", "drift")
    before = [uid(world, kind, name) for kind, name in (("Deployment", "api"), ("Service", "api"))]
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"extra": "x"}}, world.namespace)
    world.change(app, {"all.yaml": text.replace("x:1", "x:2").replace("port: 80", "port: 81")})
    synced(world, app)
    assert world.run(app).sync_status == "Synced"
    assert before == [uid(world, kind, name) for kind, name in (("Deployment", "api"), ("Service", "api"))]
    assert world.get("ConfigMap", "one")["data"] == {"value": "1"}
    assert world.get("Service", "api")["spec"]["ports"][0]["port"] == 81


def test_force_deletes_and_creates_only_what_is_refused_as_immutable(real_world: RealWorld) -> None:
    world, force = real_world, "Force=true"
    app = world.deployed({"all.yaml": deployment(options=force) + config("one", options=force)})
    first = uid(world, "Deployment", "api"), uid(world, "ConfigMap", "one")
    world.change(
        app, {"all.yaml": deployment(options=force, label="new") + config("one", "2", options=force)}
    )
    synced(world, app)
    assert uid(world, "Deployment", "api") != first[0]
    assert (uid(world, "ConfigMap", "one"), world.get("ConfigMap", "one")["data"]["value"]) == (first[1], "2")


def test_e38_force_replace_runs_a_job_at_every_full_sync(real_world: RealWorld) -> None:
    world = real_world
    app = world.deployed({"all.yaml": job("name: each", "Force=true,Replace=true")}, passes=300)
    first = uid(world, "Job", "each")
    synced(world, app)
    assert uid(world, "Job", "each") != first


def test_a_finished_job_is_recreated_when_its_template_changes(real_world: RealWorld) -> None:
    world, text = real_world, job("name: once")
    app = world.deployed({"all.yaml": text})
    world.eventually(lambda: world.get("Job", "once")["status"].get("succeeded"))
    first = uid(world, "Job", "once")
    world.change(app, {"all.yaml": text.replace("image: x", "image: z")})
    synced(world, app)
    assert uid(world, "Job", "once") != first


def test_orphan_keeps_the_replica_set(real_world: RealWorld) -> None:
    world = real_world
    policy = {"sync_options": ["PrunePropagationPolicy=orphan"]}
    app = world.deployed({"all.yaml": deployment() + config("one")}, sync_policy=policy)
    world.eventually(lambda: world.kube.list("", "ReplicaSet", world.namespace))
    world.change(app, {"all.yaml": config("one")})
    synced(world, app, prune=True)
    assert world.get("Deployment", "api") is None
    assert len(world.kube.list("", "ReplicaSet", world.namespace)) == 1


def test_e25_prune_last_after_healthy(real_world: RealWorld) -> None:
    """A renamed Deployment: the old one goes only after the new one is available."""
    world = real_world
    policy = {"sync_options": ["PruneLast=true"]}
    app = world.deployed({"all.yaml": deployment("old", label="old")}, sync_policy=policy)
    world.change(app, {"all.yaml": deployment("new", label="new")})
    available: list[bool] = []

    def look(step: Any) -> None:
        if step.name == "prune":
            status = world.get("Deployment", "new")["status"]
            available.append(status.get("availableReplicas") == 2)

    with faults.before_steps(look):
        synced(world, app, prune=True)
    assert (available, world.get("Deployment", "old")) == ([True], None)


def test_e20_generated_names_are_stable_and_each_sync_has_its_own(real_world: RealWorld) -> None:
    world = real_world
    hook = job("generateName: smoke-", hook="PostSync", **{"hook-delete-policy": "HookSucceeded"})
    kept = job("generateName: kept-", hook="PostSync")
    app = world.deployed({"all.yaml": config("one") + hook + kept}, passes=300)
    synced(world, app)
    names = {obj["metadata"]["name"].split("-")[0] for obj in world.kube.list("", "Job", world.namespace)}
    assert names == {"kept"}, "HookSucceeded removes its own after the operation"
    sha = app.revisions[0][:7]
    assert all(
        obj["metadata"]["name"].startswith(f"kept-{sha}-postsync-") and not obj["metadata"].get("finalizers")
        for obj in world.kube.list("", "Job", world.namespace)
    )
