"""The story of a Django application with a migration, on a real API server (sync-semantics.md 12 rules 6, 9, 10, 11).

A commit that changes only a replica count does not run the migration, one that changes the image does, once; a Job that
its TTL removed stays Synced; a rollback asks what to do with the migration, keeps auto-sync on, and the next newer
commit goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hub.models import Application, SyncOperation
from hub.services import operations
from tests.flow.conftest import DANA
from tests.flow.faults import AUTOMATED, one_pass
from tests.live.realworld import RealWorld, real_world

__all__ = ["real_world"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]
ENDS = "metadata: {annotations: {sim/ends-after: 100ms}}"
MIGRATION = """apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {argocd.argoproj.io/hook: PreSync, "gitops-hub.io/hook-run-when": "changed: images"}
spec: {template: {%s, spec: {restartPolicy: Never, containers: [{name: migrate, image: "app:%s"}]}}}
"""
SEED = """apiVersion: batch/v1
kind: Job
metadata: {name: seed}
spec:
  ttlSecondsAfterFinished: 3
  template: {%s, spec: {restartPolicy: Never, containers: [{name: seed, image: "seed:1"}]}}
"""
WEB = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "app:%s"}]}}
"""


def files(image: str, replicas: int) -> dict[str, str | None]:
    return {
        "migrate.yaml": MIGRATION % (ENDS, image),
        "seed.yaml": SEED % ENDS,
        "web.yaml": WEB % (replicas, image),
    }


def walk(app: Application, reached: Callable[[], bool], what: str) -> None:
    """Passes, one after the other, until it is so."""
    deadline = time.monotonic() + 40
    while not reached():
        assert time.monotonic() < deadline, (
            what,
            app.sync_status,
            app.health_status,
            app.gate,
            app.conditions,
        )
        one_pass(app)
        app.refresh_from_db()
        threading.Event().wait(0.05)


def ended(app: Application, number: int) -> SyncOperation:
    """The operation of this number, once the application rests on it, in sync and healthy."""
    walk(
        app,
        lambda: (
            app.operations.filter(number=number, phase="Succeeded").exists()
            and (app.sync_status, app.health_status) == ("Synced", "Healthy")
        ),
        f"operation {number}",
    )
    return app.operations.get(number=number)


def migration(operation: SyncOperation) -> str:
    return str(next(row["code"] for row in operation.results if row["name"] == "migrate"))


def image(world: RealWorld) -> str:
    found = world.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
    return str(found)


def uid(world: RealWorld) -> str:
    return str(world.get("Job", "migrate")["metadata"]["uid"])


def test_a_migration_runs_when_the_image_changes_and_a_rollback_asks_about_it(real_world: RealWorld) -> None:
    world = real_world
    world.commit({f"deploy/{name}": text for name, text in files("1", 1).items()})
    where = {"cluster": "dev", "namespace": world.namespace}
    app = world.application(f"web-{world.namespace}", destination=where, sync_policy=AUTOMATED)
    world.poll()
    assert migration(ended(app, 1)) == "Synced"
    first = uid(world)

    world.eventually(lambda: world.get("Job", "seed") is None)
    for _ in range(3):
        one_pass(app)
    app.refresh_from_db()
    assert (app.sync_status, app.health_status, app.operations.count()) == ("Synced", "Healthy", 1)

    world.change(app, files("1", 2))
    assert migration(ended(app, 2)) == "HookSkipped"
    assert (uid(world), world.get("Deployment", "web")["spec"]["replicas"]) == (first, 2)

    world.change(app, files("2", 2))
    assert migration(ended(app, 3)) == "Synced"
    second = uid(world)
    assert (second != first, image(world)) == (True, "app:2")

    back = operations.rollback(DANA, app, 2, reason="2 is broken")
    walk(app, lambda: bool(app.operations.get(id=back.id).wait.get("digest")), "the question")
    back.refresh_from_db()
    assert back.wait["code"] == "hook_decision"
    operations.confirm(DANA, app, back.wait["digest"], "skip")
    assert migration(ended(app, back.number)) == "HookSkipped"
    assert (uid(world), image(world)) == (second, "app:1")
    world.poll()
    for _ in range(3):
        one_pass(app)
    app.refresh_from_db()
    assert (image(world), bool(app.pin), app.sync_policy) == ("app:1", True, AUTOMATED)

    world.change(app, files("3", 2))
    walk(app, lambda: app.pin == {} and image(world) == "app:3", "the next commit")
    last = app.operations.order_by("-number").first()
    assert last is not None
    assert migration(ended(app, last.number)) == "Synced"
    assert uid(world) not in (first, second)
