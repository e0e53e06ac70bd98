"""What people may ask of an operation, and what becomes of odd requests: choices, retries, joins, rollbacks, hooks."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.core.plan import Step
from clusters.models import Cluster
from hub.api.operations import needed_right
from hub.errors import HubError
from hub.models import Application, SyncOperation
from hub.services import applications, looks, operations
from hub.services.documents import InvalidDocument
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, job, one_pass
from tests.flow.test_faults_examples import changed, endless_job, failing_job, prepared, synced

MIGRATION = job("migrate", hook="PreSync").replace(
    'PreSync"', 'PreSync", gitops-hub.io/hook-run-when: "changed: images"'
)


@pytest.fixture(autouse=True)
def shop(world: World) -> None:
    world.kube.create(NAMESPACE)


def value(world: World, name: str = "one") -> str:
    return str((world.kube.get("v1", "ConfigMap", name, "shop") or {})["data"]["value"])


def test_a_choice_without_namespace_means_every_one(world: World) -> None:
    app = prepared(world, config("one") + config("two"))
    synced(world, app, resources=[{"kind": "ConfigMap", "name": "one"}])
    assert faults.names(world) == ["one"]


def test_a_choice_that_fits_nothing_is_no_success(world: World) -> None:
    app = prepared(world, config("one"))
    operation = faults.ended(world, world.sync(app, resources=[{"kind": "ConfigMap", "name": "oen"}]))
    assert operation.phase == "Failed"
    assert operation.message.endswith("nothing of this application is :ConfigMap:oen")


def test_a_sync_of_some_labels_is_no_sync_of_the_whole(world: World) -> None:
    labelled = config("one").replace("annotations", "labels: {tier: front}, annotations")
    app = prepared(world, labelled + config("two"))
    synced(world, app, labels={"tier": "front"})
    app.refresh_from_db()
    assert (faults.names(world), app.synced_digest) == (["one"], "")


def test_an_unknown_option_of_a_request_is_refused() -> None:
    with pytest.raises(InvalidDocument) as refused:
        operations.read_request({"sync_options": ["Replase=true"]})
    assert "Replase" in str(refused.value.fields)


@pytest.mark.parametrize(
    "asked", [{"sync_options": ["Replace=true"]}, {"strategy": "apply"}, {"run_all_hooks": True}]
)
def test_overriding_the_application_needs_the_right_to(asked: dict[str, object]) -> None:
    assert needed_right(asked) == ["sync", "override"]


def test_a_request_never_joins_an_operation_that_is_being_terminated(world: World) -> None:
    app = prepared(world, endless_job("before", hook="PreSync") + config("one"))
    faults.waits_for(world, world.sync(app), "hook")
    operations.terminate(DANA, app)
    with pytest.raises(HubError, match="is running"):
        world.sync(app)


def test_a_retry_may_take_the_newest_commit(world: World) -> None:
    world.kube.faults.add("deny", resource="configmaps", name="^bad$", message="no")
    app = prepared(world, config("good") + config("bad"))
    operation = world.sync(app, retry={"limit": 3, "refresh": True})
    faults.waits_for(world, operation, "retry_pause")
    world.commit({"web/all.yaml": config("good")})
    world.poll()
    SyncOperation.objects.filter(id=operation.id).update(retry_at=timezone.now())
    faults.ended(world, operation)
    assert (operation.phase, operation.attempt) == ("Succeeded", 2)


def test_an_operation_that_works_again_gives_way_to_nobody(world: World) -> None:
    """While its second attempt applies, its row does not say that it still waits for that attempt."""
    world.kube.faults.add("deny", resource="configmaps", name="^one$", message="no")
    app = prepared(world, config("one") + endless_job("after", hook="PostSync"))
    operation = world.sync(app, retry={"limit": 3})
    faults.waits_for(world, operation, "retry_pause")
    world.kube.faults.clear()
    SyncOperation.objects.filter(id=operation.id).update(retry_at=timezone.now())
    seen: list[str] = []

    def look(step: Step) -> None:
        if step.name != "dry_run":
            seen.append(SyncOperation.objects.get(id=operation.id).wait.get("code", ""))

    with faults.before_steps(look):
        faults.waits_for(world, operation, "hook")
    assert seen
    assert "retry_pause" not in seen


def test_a_cluster_that_is_away_while_a_hook_runs_lets_no_other_operation_in(world: World) -> None:
    app = prepared(world, endless_job("before", hook="PreSync") + config("one"))
    operation = faults.waits_for(world, world.sync(app), "hook")
    with faults.quick_gate():
        world.kube.faults.add("status", code=503)
        for _ in range(2):
            one_pass(app)
        operation.refresh_from_db()
        assert operation.wait["code"] == "problem"
        with pytest.raises(HubError, match="is running"):
            world.sync(app, prune=True)


@pytest.mark.parametrize("asked", [{"dry_run": True}, {"resources": [{"kind": "ConfigMap", "name": "one"}]}])
def test_a_rehearsal_or_a_part_is_no_state_to_go_back_to(world: World, asked: dict[str, object]) -> None:
    app = prepared(world, config("one"))
    operation = faults.ended(world, world.sync(app, **asked))
    with pytest.raises(HubError, match="left no state"):
        operations.rollback(DANA, app, operation.number)


def test_a_rollback_until_a_time_without_zone_is_refused(world: World) -> None:
    app = prepared(world, config("one"), sync_policy=AUTOMATED)
    number = app.operations.get().number
    with pytest.raises(HubError, match="with its zone"):
        operations.rollback(DANA, app, number, until="2026-12-31T10:00:00")
    operations.rollback(DANA, app, number, until="2036-12-31T10:00:00Z")
    world.run(app)
    assert faults.conditions(app, "Pinned")


def test_an_empty_render_is_not_pruned_by_hand_without_confirmation(world: World) -> None:
    app = prepared(world, config("one") + config("two"))
    synced(world, app)
    world.commit({"web/all.yaml": None, "web/README.md": "x"})
    world.poll()
    world.run(app)
    rows = synced(world, app, prune=True)
    assert faults.names(world) == ["one", "two"]
    assert "nothing is wanted any more" in rows["one"]["message"]
    plan = app.operations.first().wait["prune_plan"]
    faults.ended(world, operations.confirm(DANA, app, plan["digest"]))
    assert faults.names(world) == []


def test_a_failed_operation_keeps_the_prune_plan_that_it_names(world: World) -> None:
    claim = (
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk, namespace: shop}\n"
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n---\n"
    )
    app = prepared(world, config("one") + claim)
    synced(world, app)
    changed(world, app, config("one", "2"))
    world.kube.faults.add("deny", resource="configmaps", message="no")
    operation = faults.ended(world, world.sync(app, prune=True))
    assert operation.phase == "Failed"
    faults.ended(world, operations.confirm(DANA, app, operation.wait["prune_plan"]["digest"]))
    assert world.kube.get("v1", "PersistentVolumeClaim", "disk", "shop") is None


def test_a_skipped_hook_names_the_operation_by_its_number(world: World) -> None:
    app = prepared(world, MIGRATION + config("one"), sync_policy=AUTOMATED)
    app = changed(world, app, MIGRATION + config("one", "2"))
    row = next(row for row in app.operations.first().results if row["name"] == "migrate")
    assert "unchanged since operation 1 (revision" in row["message"]


def test_a_hook_that_succeeded_in_another_cluster_runs_in_this_one(world: World) -> None:
    app = prepared(world, MIGRATION + config("one"), sync_policy=AUTOMATED)
    kube = world.sandbox.cluster("two")
    kube.create(NAMESPACE)
    Cluster.objects.create(name="two", server=kube.server, token=kube.token)
    document = {**applications.document(app), "destination": {"cluster": "two", "namespace": "shop"}}
    applications.update(DANA, app, document)
    world.run(app)
    row = next(row for row in app.operations.first().results if row["name"] == "migrate")
    assert (app.operations.count(), row["code"]) == (2, "Synced")


def test_a_hook_that_succeeded_before_its_operation_was_replaced_does_not_run_again(world: World) -> None:
    """Superseded between two waves by a person: the migration is done all the same."""
    app = prepared(world, MIGRATION + endless_job("long", hook="PostSync") + config("one"))
    operation = faults.waits_for(world, world.sync(app), "hook")
    while operation.results[0]["state"] != "Succeeded":
        one_pass(app)
        operation.refresh_from_db()
    operations.terminate(DANA, app)
    faults.ended(world, operation)
    second = faults.waits_for(world, world.sync(app), "hook")
    row = next(row for row in second.results if row["name"] == "migrate")
    assert row["code"] == "HookSkipped"


def _completed(world: World, app: Application) -> None:
    for _ in range(100):
        one_pass(app)
        if app.resources.filter(name="once").exclude(completed_at=None).exists():
            world.kube.delete("batch/v1", "Job", "once", "shop", propagation="Background")
            world.run(app)
            return
        threading.Event().wait(0.02)
    raise AssertionError("the Job never completed")


TTL = "ttlSecondsAfterFinished: 60, "


def test_a_job_that_failed_and_was_removed_keeps_its_last_result(world: World) -> None:
    app = prepared(world, failing_job("once").replace("backoffLimit", f"{TTL}backoffLimit"))
    faults.ended(world, world.sync(app))
    _completed(world, app)
    world.run(app)
    row = app.resources.get(name="once")
    assert (app.sync_status, row.reason) == ("Synced", "completed")
    assert (app.health_status, row.health) == ("Degraded", "Degraded")


def test_the_end_of_an_earlier_job_says_nothing_of_the_next(world: World) -> None:
    app = prepared(world, job("once", spec=TTL))
    synced(world, app)
    _completed(world, app)
    following = endless_job("once").replace("spec: {template", f"spec: {{{TTL}template", 1)
    app = changed(world, app, following.replace("image: x", "image: z"))
    synced(world, app)
    world.kube.delete("batch/v1", "Job", "once", "shop", propagation="Background")
    world.run(app)
    assert (app.sync_status, app.resources.get(name="once").reason) == ("OutOfSync", "missing")


def test_a_dependency_that_has_not_rendered_its_newest_commit_is_not_ready(world: World) -> None:
    """One commit changes both: what is first looked at waits for the other, and looks again by itself."""
    db = prepared(world, config("table"), name="db", sync_policy=AUTOMATED)
    policy = {**AUTOMATED, "depends_on": [{"application": "db"}]}
    web = prepared(world, config("one"), sync_policy=policy)
    world.commit({"web/all.yaml": config("one", "2"), "db/all.yaml": config("table", "2")})
    world.poll()
    one_pass(web)
    web.refresh_from_db()
    assert (value(world), web.gate["reason"]) == ("1", "waiting for application db")
    assert web.next_look_at - timezone.now() < timedelta(seconds=15)
    world.run(db)
    one_pass(web)
    assert value(world) == "2"


def test_a_newer_commit_starts_as_soon_as_the_running_hook_has_ended(world: World) -> None:
    """A running hook is never interrupted; when its operation ends nobody has to ask for the next one (3.11)."""
    world.commit({"web/all.yaml": endless_job("before", hook="PreSync") + config("one")})
    app = world.application("web", path="web", sync_policy=AUTOMATED)
    world.poll()
    for _ in range(4):
        one_pass(app)
    world.commit({"web/all.yaml": config("one", "2")})
    world.poll()
    for _ in range(3):
        one_pass(app)
    operation = app.operations.get()
    assert operation.wait["code"] == "hook"
    done = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1}
    world.kube.patch("batch/v1", "Job", "before", {"status": done}, "shop", "status")
    faults.ended(world, operation)
    assert app.id in looks.due(10)
    one_pass(app)
    assert value(world) == "2"
