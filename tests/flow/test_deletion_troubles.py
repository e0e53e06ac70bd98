"""Deletions that meet trouble: clusters that do not answer, hooks that fail, objects that others want (section 10)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from clusters.models import Cluster
from hub.errors import HubError
from hub.models import Application, Project, SyncOperation, User
from hub.services import applications, looks, operations
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment, job, one_pass, quick_gate
from tests.flow.test_faults_examples import endless_job, failing_job, jobs, prepared
from tests.hub.factories import OPEN

NOW = [{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}]


@pytest.fixture(autouse=True)
def shop(world: World) -> None:
    world.kube.create(NAMESPACE)


def passes(app: Application, until: Callable[[], object], most: int = 60) -> None:
    for _ in range(most):
        if until() or not Application.objects.filter(id=app.id).exists():
            return
        one_pass(app)
        threading.Event().wait(0.02)
    raise AssertionError([operation.message for operation in SyncOperation.objects.all()])


def gone(app: Application) -> None:
    """Passes until the Application is gone."""
    passes(app, lambda: False)


def test_a_deletion_of_an_unreachable_cluster_waits_and_then_deletes(world: World) -> None:
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    with quick_gate():
        world.kube.faults.add("status", code=503)
        applications.request_deletion(DANA, app, "cascade")
        for _ in range(3):
            one_pass(app)
        operation = SyncOperation.objects.get(kind="delete")
        assert operation.wait["code"] == "problem"
        world.kube.faults.clear()
        gone(app)
    assert faults.names(world) == []


def test_a_deletion_leaves_nothing_behind_of_a_kind_that_cannot_be_listed(world: World) -> None:
    app = prepared(world, config("one") + deployment("api"), sync_policy=AUTOMATED)
    world.kube.faults.add("status", code=403, verb="list", resource="configmaps")
    applications.request_deletion(DANA, app, "cascade")
    passes(app, lambda: faults.conditions(app, "DeletionError"))
    assert faults.conditions(app, "DeletionError")[0].startswith("listing of ConfigMap is incomplete")
    world.kube.faults.clear()
    SyncOperation.objects.filter(kind="delete").update(retry_at=timezone.now())
    gone(app)
    assert (faults.names(world), faults.names(world, "Deployment", "apps/v1")) == ([], [])


def test_an_account_that_may_not_list_autoscalers_can_detach(world: World) -> None:
    app = prepared(world, deployment("api"), sync_policy=AUTOMATED)
    world.kube.faults.add("status", code=403, verb="list", resource="horizontalpodautoscalers")
    applications.request_deletion(DANA, app, "detach")
    gone(app)
    assert faults.names(world, "Deployment", "apps/v1") == ["api"]


def test_a_deletion_goes_on_as_soon_as_the_running_operation_is_terminated(world: World) -> None:
    app = prepared(world, endless_job("before", hook="PreSync") + config("one"))
    operation = faults.waits_for(world, world.sync(app), "hook")
    applications.request_deletion(DANA, app, "cascade")
    faults.ended(world, operation)
    assert (operation.phase, operation.message) == ("Failed", "Operation terminated")
    assert app.id in looks.due(10)
    gone(app)


def test_what_waits_for_an_approval_or_a_retry_gives_way_to_the_deletion(world: World) -> None:
    app = prepared(world, config("one"))
    waiting = world.sync(app)
    applications.request_deletion(DANA, app, "cascade")
    waiting.refresh_from_db()
    deletion = SyncOperation.objects.get(kind="delete")
    assert (waiting.phase, waiting.superseded_by) == ("Superseded", deletion)
    assert deletion.initiator["name"] == "dana"
    gone(app)


def test_a_deletion_that_is_asked_for_twice_goes_on(world: World) -> None:
    app = prepared(world, config("one") + endless_job("bye", hook="PreDelete"), sync_policy=AUTOMATED)
    applications.request_deletion(DANA, app, "cascade")
    operation = faults.waits_for(world, SyncOperation.objects.get(kind="delete"), "hook")
    before = jobs(world)
    applications.request_deletion(DANA, app, "cascade", propagation="background")
    for _ in range(3):
        one_pass(app)
    operation.refresh_from_db()
    assert (operation.phase, jobs(world)) == ("Running", before)
    assert operation.request["propagation"] == "background"


def test_no_window_blocks_a_deletion(world: World) -> None:
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    Project.objects.filter(name="shop").update(rules={**OPEN, "windows": NOW})
    applications.request_deletion(DANA, app, "cascade")
    gone(app)
    assert faults.names(world) == []


def test_a_failed_deletion_hook_is_taken_from_the_newest_commit_at_the_next_try(world: World) -> None:
    app = prepared(world, config("one") + failing_job("bye", hook="PreDelete"), sync_policy=AUTOMATED)
    applications.request_deletion(DANA, app, "cascade")
    operation = faults.waits_for(world, SyncOperation.objects.get(kind="delete"), "retry_pause")
    world.commit({"web/all.yaml": config("one") + job("bye", hook="PreDelete")})
    world.poll()
    SyncOperation.objects.filter(id=operation.id).update(retry_at=timezone.now())
    gone(app)
    assert faults.names(world) == []


def test_a_failed_deletion_hook_can_be_skipped_by_a_person(world: World) -> None:
    app = prepared(world, config("one") + failing_job("bye", hook="PreDelete"), sync_policy=AUTOMATED)
    applications.request_deletion(DANA, app, "cascade")
    operation = faults.waits_for(world, SyncOperation.objects.get(kind="delete"), "retry_pause")
    assert "choice=skip" in operation.message
    with pytest.raises(HubError, match="runs again, or is skipped"):
        operations.confirm(DANA, app, operation.wait["digest"], "run")
    operations.confirm(DANA, app, operation.wait["digest"], "skip")
    gone(app)
    assert (faults.names(world), jobs(world)) == ([], {})


def test_what_another_application_wants_stays_and_is_taken_over(world: World) -> None:
    owner = prepared(world, config("one") + config("two"), name="owner", sync_policy=AUTOMATED)
    heir = prepared(world, config("one"), name="heir", sync_policy=AUTOMATED)
    uid = world.kube.get("v1", "ConfigMap", "one", "shop")["metadata"]["uid"]
    applications.request_deletion(DANA, owner, "cascade")
    gone(owner)
    assert faults.names(world) == ["one"]
    assert heir.id in looks.due(10)
    world.run(heir)
    live = world.kube.get("v1", "ConfigMap", "one", "shop")
    assert live["metadata"]["uid"] == uid
    assert live["metadata"]["annotations"]["gitops-hub.io/tracking-id"].startswith("heir:")


CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: toys.shop.io}
spec:
  group: shop.io
  names: {kind: Toy, plural: toys, singular: toy}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""


@pytest.mark.parametrize(("named", "stays"), [((), True), (("toys.shop.io",), False)])
def test_a_definition_goes_only_when_the_request_names_it(
    world: World, named: tuple[str, ...], stays: bool
) -> None:
    app = prepared(world, CRD, sync_policy=AUTOMATED)
    applications.request_deletion(DANA, app, "cascade", crds=named)
    gone(app)
    found = world.kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "toys.shop.io")
    assert (found is not None) is stays


def test_a_sync_asked_for_while_the_cluster_is_away_prunes_what_it_sees_later(world: World) -> None:
    """A plan made blindly would find nothing to prune and call that success."""
    app = prepared(world, config("one") + config("two"))
    faults.ended(world, world.sync(app))
    world.commit({"web/all.yaml": config("one")})
    world.poll()
    with quick_gate():
        world.kube.faults.add("status", code=503)
        operation = world.sync(app, prune=True)
        for _ in range(3):
            one_pass(app)
        world.kube.faults.clear()
        faults.ended(world, operation)
    assert (operation.phase, faults.names(world)) == ("Succeeded", ["one"])


def test_a_rehearsed_deletion_lists_what_goes_what_stays_and_why(
    world: World, client: Client, admin_user: User
) -> None:
    text = config("one") + config("kept", options="Delete=false") + job("bye", hook="PreDelete")
    app = prepared(world, text, sync_policy=AUTOMATED)
    client.force_login(admin_user)
    told = client.delete(f"/api/v1/applications/{app.name}?mode=cascade&dry_run=true").json()["deletion"]
    assert told["delete"] == ["ConfigMap/shop/one"]
    assert told["keep"] == [{"key": "ConfigMap/shop/kept", "reason": "Delete=false"}]
    assert told["hooks"] == ["batch/Job/shop/bye"]
    detached = client.delete(f"/api/v1/applications/{app.name}?mode=detach&dry_run=true").json()["deletion"]
    assert (detached["delete"], len(detached["keep"])) == ([], 2)
    app.refresh_from_db()
    assert app.deletion_requested_at is None


@pytest.mark.parametrize("mode", ["cascade", "detach"])
def test_windows_govern_the_end_where_the_project_says_so(world: World, mode: str) -> None:
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    rules = {**OPEN, "windows": NOW, "governs": ["deletion", "detach"]}
    Project.objects.filter(name="shop").update(rules=rules)
    applications.request_deletion(DANA, app, mode)
    for _ in range(3):
        one_pass(app)
    assert faults.names(world) == ["one"]
    Project.objects.filter(name="shop").update(rules=OPEN)
    gone(app)


def test_a_deletion_has_no_limit_of_time_over_all_attempts(world: World) -> None:
    policy = {**AUTOMATED, "sync_options": ["OperationTimeout=1s"]}
    app = prepared(world, config("one") + endless_job("bye", hook="PreDelete"), sync_policy=policy)
    applications.request_deletion(DANA, app, "cascade")
    operation = faults.waits_for(world, SyncOperation.objects.get(kind="delete"), "hook")
    threading.Event().wait(1.1)
    for _ in range(3):
        one_pass(app)
    operation.refresh_from_db()
    assert (operation.phase, set(jobs(world))) == ("Running", {"bye"})


def test_a_deletion_that_was_ended_by_hand_begins_anew_within_a_minute(world: World) -> None:
    app = prepared(world, config("one") + endless_job("bye", hook="PreDelete"), sync_policy=AUTOMATED)
    applications.request_deletion(DANA, app, "cascade", propagation="background")
    first = faults.waits_for(world, SyncOperation.objects.get(kind="delete"), "hook")
    operations.terminate(DANA, app)
    faults.ended(world, first)
    app.refresh_from_db()
    assert app.next_look_at - timezone.now() <= timedelta(seconds=60)
    one_pass(app)
    second = SyncOperation.objects.filter(kind="delete").exclude(id=first.id).get()
    assert (second.request, second.initiator) == (first.request, first.initiator)


@pytest.mark.parametrize("what", ["application", "cluster"])
def test_what_somebody_paused_is_not_deleted_yet(world: World, what: str) -> None:
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    if what == "cluster":
        Cluster.objects.update(paused=True)
    else:
        Application.objects.update(annotations={"argocd.argoproj.io/skip-reconcile": "true"})
    applications.request_deletion(DANA, app, "cascade")
    for _ in range(3):
        one_pass(app)
    assert faults.names(world) == ["one"]
    assert faults.conditions(app, "Paused")
    Cluster.objects.update(paused=False)
    Application.objects.update(annotations={})
    gone(app)


def test_a_worker_killed_at_any_instant_of_a_deletion_leaves_nothing_and_runs_no_hook_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(3, 150, 14):
        names = [f"a{at}", f"b{at}"]
        hooks = [f"bye{at}", f"end{at}"]
        text = config(names[0]) + config(names[1], wave="1")
        text += job(hooks[0], hook="PreDelete") + job(hooks[1], hook="PostDelete")
        app = prepared(world, text, name=f"app{at}", sync_policy=AUTOMATED)
        seen = faults.writes(world)
        applications.request_deletion(DANA, app, "cascade")
        with contextlib.suppress(faults.Killed), faults.killing(monkeypatch, at):
            gone(app)
        faults.lapse(app)
        gone(app)
        assert not set(names) & set(faults.names(world)), at
        assert not set(hooks) & set(jobs(world)), at
        made = {(name, uid) for _, name, uid, what in seen if name in hooks and what == "new"}
        assert sorted(name for name, _ in made) == hooks, at
