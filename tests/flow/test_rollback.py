"""Rollback as a Pin, conditional hooks, confirmations: the rules of sync-semantics.md 12 through the hall."""

from __future__ import annotations

import shutil

import pytest

from hub.services import operations
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import one_pass

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: %s}\n"
JOB = """apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {argocd.argoproj.io/hook: PreSync, "gitops-hub.io/hook-run-when": "changed: images"}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: migrate, image: "registry.example.com/app:%s"}]}}
"""
AUTOMATED = {"automated": {"prune": True, "self_heal": True}}


def _colour(world: World) -> str:
    return str(world.kube.get("v1", "ConfigMap", "settings", "shop")["data"]["colour"])


def test_e50_rollback_keeps_auto_sync(world: World) -> None:
    """A bad commit is rolled back; polls and self-heal keep the old state; the next commit lifts the Pin."""
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    bad = world.commit({"deploy/config.yaml": CONFIG % "red"})
    world.poll()
    world.run(app)
    assert _colour(world) == "red"
    operations.rollback(DANA, app, 1, reason="red is bad")
    world.run(app)
    assert _colour(world) == "blue"
    assert app.operations.first().kind == "rollback"
    assert next(c["message"] for c in app.conditions if c["type"] == "Pinned").endswith("red is bad")
    world.poll()
    world.run(app)
    world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": "pink"}}, "shop")
    world.run(app)
    assert _colour(world) == "blue"
    world.commit({"deploy/config.yaml": CONFIG % "green"})
    world.poll()
    world.run(app)
    assert (_colour(world), app.pin) == ("green", {})
    assert bad not in app.revisions


def test_e51_conditional_migration_skips(world: World) -> None:
    """A commit that changes no image does not run the migration; one that does runs it once."""
    world.commit(
        {"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue", "deploy/job.yaml": JOB % "1"}
    )
    app = world.application(sync_policy=AUTOMATED)
    world.run(app, until=lambda a: a.operation_phase == "Succeeded", passes=200)
    first = world.kube.get("batch/v1", "Job", "migrate", "shop")["metadata"]["uid"]
    world.commit({"deploy/config.yaml": CONFIG % "green"})
    world.poll()
    world.run(
        app,
        until=lambda a: a.synced_revisions == a.revisions and a.operation_phase == "Succeeded",
        passes=200,
    )
    row = next(row for row in app.operations.first().results if row["kind"] == "Job")
    assert (row["code"], row["message"].startswith("fingerprint")) == ("HookSkipped", True)
    assert world.kube.get("batch/v1", "Job", "migrate", "shop")["metadata"]["uid"] == first
    world.commit({"deploy/job.yaml": JOB % "2"})
    world.poll()
    world.run(app, until=lambda a: a.operations.count() == 3 and a.operation_phase == "Succeeded", passes=200)
    assert world.kube.get("batch/v1", "Job", "migrate", "shop")["metadata"]["uid"] != first


def test_a_rollback_asks_what_to_do_with_the_migration(world: World) -> None:
    """Default block when the hook's images differ: a schema newer than the code is a human decision (rule 9)."""
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/job.yaml": JOB % "1"})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app, until=lambda a: a.operation_phase == "Succeeded", passes=200)
    world.commit({"deploy/job.yaml": JOB % "2"})
    world.poll()
    world.run(app, until=lambda a: a.operations.count() == 2 and a.operation_phase == "Succeeded", passes=200)
    operation = operations.rollback(DANA, app, 1)
    world.run(app, until=lambda a: bool(a.operations.first().wait.get("digest")), passes=50)
    operation.refresh_from_db()
    assert (operation.phase, operation.wait["code"]) == ("Queued", "hook_decision")
    operations.confirm(DANA, app, operation.wait["digest"], "skip")
    world.run(app, until=lambda a: a.operation_phase == "Succeeded", passes=100)
    operation.refresh_from_db()
    assert operation.phase == "Succeeded"
    assert next(row["code"] for row in operation.results if row["kind"] == "Job") == "HookSkipped"


def test_e28_protected_prune_is_deferred(world: World) -> None:
    """A PVC that left Git stays until a person confirms the prune plan; the rest is applied."""
    pvc = """apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/pvc.yaml": pvc, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    world.commit({"deploy/pvc.yaml": None, "deploy/config.yaml": CONFIG % "green"})
    world.poll()
    world.run(app)
    assert _colour(world) == "green"
    assert world.kube.get("v1", "PersistentVolumeClaim", "data", "shop") is not None
    assert (app.sync_status, app.operation_phase) == ("OutOfSync", "Succeeded")
    digest = app.operations.first().wait["prune_plan"]["digest"]
    operations.confirm(DANA, app, digest)
    world.run(app)
    assert world.kube.get("v1", "PersistentVolumeClaim", "data", "shop") is None
    assert app.sync_status == "Synced"


@pytest.mark.parametrize("git", ["there", "gone"])
def test_a_pin_whose_manifests_were_lost_never_lets_the_bad_revision_in(world: World, git: str) -> None:
    """A restored backup without manifest sets: they are rendered again, or nothing is done."""
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    world.commit({"deploy/config.yaml": CONFIG % "red"})
    world.poll()
    world.run(app)
    operations.rollback(DANA, app, 1)
    world.run(app)
    faults.forget_sets()
    if git == "gone":
        shutil.rmtree(world.repository_path)
        shutil.rmtree(world.folder / "mirrors", ignore_errors=True)
    world.kube.patch("v1", "ConfigMap", "settings", {"data": {"colour": "pink"}}, "shop")
    for _ in range(5):
        one_pass(app)
    assert _colour(world) == ("blue" if git == "there" else "pink")
    app.refresh_from_db()
    assert app.pin
    if git == "gone":
        assert any("cannot be rendered" in text for text in faults.conditions(app))
