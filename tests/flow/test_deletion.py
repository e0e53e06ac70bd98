"""Deleting an Application: detach keeps the objects, cascade removes them in reverse wave order (section 10)."""

from __future__ import annotations

from hub.models import Application, Event
from hub.services import applications, looks
from tests.flow import faults
from tests.flow.conftest import DANA, World

WAVE = """apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, annotations: {{argocd.argoproj.io/sync-wave: "{wave}"{more}}}}}
data: {{n: "1"}}
"""
JOB = """apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: {hook}}}}}
spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: x}}]}}}}}}
"""
AUTOMATED = {"automated": {"prune": True, "self_heal": True}}


def _files(**more: str) -> dict[str, str | None]:
    files = {f"deploy/{n}.yaml": WAVE.format(name=f"wave-{n}", wave=n, more="") for n in range(3)}
    return {**files, **{f"deploy/{name}.yaml": text for name, text in more.items()}}


def test_detach_takes_only_our_marks(world: World) -> None:
    world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    world.commit(_files())
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    applications.request_deletion(DANA, app, "detach")
    world.run(app)
    assert not Application.objects.exists()
    metadata = world.kube.get("v1", "ConfigMap", "wave-0", "shop")["metadata"]
    assert "gitops-hub.io/managed-by" not in metadata.get("labels", {})
    assert "gitops-hub.io/tracking-id" not in metadata.get("annotations", {})
    assert Event.objects.filter(name="deleted").count() == 1


def test_e57_delete_order(world: World) -> None:
    world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    keep = WAVE.format(name="kept", wave=1, more=', argocd.argoproj.io/sync-options: "Delete=false"')
    world.commit(
        _files(
            keep=keep,
            before=JOB.format(name="before", hook="PreDelete"),
            after=JOB.format(name="after", hook="PostDelete"),
        )
    )
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    assert world.kube.get("batch/v1", "Job", "before", "shop") is None
    applications.request_deletion(DANA, app, "cascade")
    order: list[str] = []
    world.run(
        app, until=lambda _: (_gone(world, order) and False) or not Application.objects.exists(), passes=400
    )
    assert not Application.objects.exists()
    assert order == ["wave-2", "wave-1", "wave-0"]
    assert world.kube.get("v1", "ConfigMap", "kept", "shop") is not None
    assert world.kube.list("batch/v1", "Job", "shop") == []


def _gone(world: World, order: list[str]) -> bool:
    for name in ("wave-2", "wave-1", "wave-0"):
        if name not in order and world.kube.get("v1", "ConfigMap", name, "shop") is None:
            order.append(name)
    return True


def test_applications_are_deleted_in_the_reverse_of_their_dependencies(world: World) -> None:
    """Both are to go: the database stays until the web that depends on it is gone (12 rule 13)."""
    world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    world.commit(
        {
            "db/all.yaml": WAVE.format(name="db", wave=0, more=""),
            "web/all.yaml": WAVE.format(name="web", wave=0, more=""),
        }
    )
    db = world.run(world.application("db", path="db", sync_policy=AUTOMATED))
    policy = {**AUTOMATED, "depends_on": [{"application": "db"}]}
    web = world.run(world.application("web", path="web", sync_policy=policy))
    assert web.sync_status == "Synced"
    for app in (db, web):
        applications.request_deletion(DANA, app, "cascade")
    for _ in range(3):
        faults.one_pass(db)
    assert faults.conditions(db, "DeletionError") == ["waiting for the deletion of web, which depends on it"]
    assert faults.names(world) == ["db", "web"]
    world.run(web)
    assert faults.names(world) == ["db"]
    db.refresh_from_db()
    assert db.id in looks.due(10)
    world.run(db)
    assert not Application.objects.exists()
    assert faults.names(world) == []


def test_a_deletion_that_fails_says_why_while_it_is_tried_again(world: World) -> None:
    world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    world.commit(_files())
    app = world.run(world.application(sync_policy=AUTOMATED))
    world.kube.faults.add("deny", verb="delete", resource="configmaps", name="^wave-1$", message="held")
    applications.request_deletion(DANA, app, "cascade")
    world.run(app, until=lambda app: bool(faults.conditions(app, "DeletionError")))
    assert "held" in faults.conditions(app, "DeletionError")[0]
    assert faults.names(world) == ["wave-0", "wave-1"]
