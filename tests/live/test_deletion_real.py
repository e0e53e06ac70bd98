"""The end of an Application on a real API server: order, finalizers, hooks, definitions, a server that hangs (section 10)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hub.models import Application, SyncOperation
from hub.services import applications, operations
from tests.flow import faults
from tests.flow.conftest import DANA
from tests.flow.faults import AUTOMATED, one_pass, quick_gate
from tests.live.realworld import RealWorld, real_world

__all__ = ["real_world"]
pytestmark = pytest.mark.live


def config(name: str, wave: int = 0, options: str = "") -> str:
    notes = f'argocd.argoproj.io/sync-wave: "{wave}"'
    notes += f", argocd.argoproj.io/sync-options: {options}" if options else ""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{{notes}}}}}\ndata: {{a: b}}\n---\n"


def job(name: str, hook: str, fails: bool = False) -> str:
    """A Job that a simulated node ends; one that fails has no time to run at all."""
    spec = "backoffLimit: 0, activeDeadlineSeconds: 1, " if fails else ""
    container = "{name: c, image: x}"
    pod = (
        f"{{restartPolicy: Never, {'nodeSelector: {no: where}, ' if fails else ''}containers: [{container}]}}"
    )
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: {hook}}}}}\n"
        f"spec: {{{spec}template: {{spec: {pod}}}}}\n---\n"
    )


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: api, annotations: {argocd.argoproj.io/sync-wave: "1"}}
spec:
  selector: {matchLabels: {app: api}}
  template: {metadata: {labels: {app: api}}, spec: {containers: [{name: c, image: x}]}}
---
"""


def passes(app: Application, until: Callable[[], object], most: int = 400) -> None:
    for _ in range(most):
        if until() or not Application.objects.filter(id=app.id).exists():
            return
        one_pass(app)
        threading.Event().wait(0.05)
    raise AssertionError([operation.message for operation in SyncOperation.objects.all()])


def gone(app: Application) -> None:
    passes(app, lambda: False)


def there(world: RealWorld, *names: str) -> set[str]:
    return {name for name in names if world.get("ConfigMap", name)}


def test_e57_delete_order(real_world: RealWorld) -> None:
    """PreDelete, the Deployment of wave 1 with its Pods, wave 0, PostDelete; the kept object remains."""
    world = real_world
    text = config("low") + DEPLOYMENT + config("kept", options="Delete=false")
    app = world.deployed({"all.yaml": text + job("before", "PreDelete") + job("after", "PostDelete")})
    uid = world.get("Deployment", "api")["metadata"]["uid"]
    applications.request_deletion(DANA, app, "cascade")
    passes(app, lambda: world.get("Deployment", "api") is None)
    gone(app)
    assert there(world, "low", "kept") == {"kept"}
    assert [world.get("Job", name) for name in ("before", "after")] == [None, None]
    owned = [
        obj
        for kind in ("ReplicaSet", "Pod")
        for obj in world.kube.list("", kind, world.namespace)
        if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", ()))
    ]
    assert owned == [], "foreground: nobody is left without an owner"


def test_a_failed_deletion_hook_is_skipped_by_a_person(real_world: RealWorld) -> None:
    world = real_world
    app = world.deployed({"all.yaml": config("one") + job("bye", "PreDelete", fails=True)})
    applications.request_deletion(DANA, app, "cascade")
    operation = SyncOperation.objects.get(kind="delete")

    def failed() -> bool:
        operation.refresh_from_db()
        return bool(operation.wait.get("code") == "retry_pause")

    passes(app, failed)
    assert there(world, "one") == {"one"}
    assert faults.conditions(app, "DeletionError")
    operations.confirm(DANA, app, operation.wait["digest"], "skip")
    gone(app)
    assert (there(world, "one"), world.get("Job", "bye")) == (set(), None)


def test_a_deletion_of_a_server_that_hangs_deletes_when_it_answers(real_world: RealWorld) -> None:
    world = real_world
    app = world.deployed({"all.yaml": config("one")}, sync_policy=AUTOMATED)
    with quick_gate():
        world.plane.pause_apiserver()
        try:
            applications.request_deletion(DANA, app, "cascade")
            one_pass(app)
            one_pass(app)
        finally:
            world.plane.resume_apiserver()
        assert SyncOperation.objects.get(kind="delete").plan is None
    gone(app)
    assert there(world, "one") == set()
