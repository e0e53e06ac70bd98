"""Sync options through the hall: each one changes what happens in the cluster (sync-semantics.md 3.12, 4.2)."""

from __future__ import annotations

import pytest

from hub.models import Application, SyncOperation
from hub.services import applications, operations
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment, job, later, one_pass
from tests.flow.test_faults_examples import (
    changed,
    endless_job,
    jobs,
    prepared,
    slow_deployment,
    synced,
)

FINALIZER = {"metadata": {"finalizers": ["foreign.io/hold"]}}


@pytest.fixture(autouse=True)
def shop(world: World) -> None:
    world.kube.create(NAMESPACE)


def options(*texts: str, **more: object) -> dict[str, object]:
    return {"sync_options": list(texts), **more}


def failed(world: World, app: Application) -> SyncOperation:
    operation = faults.ended(world, world.sync(app), passes=600)
    assert operation.phase == "Failed", operation.message
    return operation


def test_validate_false_leaves_out_what_the_schema_lacks(world: World) -> None:
    app = prepared(world, deployment("api").replace("replicas: 1", "replicas: 1\n  nonsense: 5"))
    assert "nonsense" in failed(world, app).message
    rows = synced(world, app, sync_options=["Validate=false"])
    assert ".spec.nonsense" in rows["api"]["message"]


def test_orphan_keeps_what_the_pruned_object_owned(world: World) -> None:
    app = prepared(
        world, deployment("api") + config("one"), sync_policy=options("PrunePropagationPolicy=orphan")
    )
    synced(world, app)
    world.run(app, until=lambda _: bool(world.kube.list("apps/v1", "ReplicaSet", "shop")))
    changed(world, app, config("one"))
    synced(world, app, prune=True)
    assert world.kube.get("apps/v1", "Deployment", "api", "shop") is None
    assert len(world.kube.list("apps/v1", "ReplicaSet", "shop")) == 1


@pytest.mark.parametrize(("option", "applied"), [("ApplyOutOfSyncOnly=false", True), ("DryRun=auto", False)])
def test_what_is_in_place_is_applied_only_when_that_is_asked_for(
    world: World, option: str, applied: bool
) -> None:
    app = prepared(world, config("one"), sync_policy=options(option))
    synced(world, app)
    steps: list[str] = []
    with faults.before_steps(lambda step: steps.append(step.name)):
        synced(world, app)
    assert ("apply" in steps) is applied


def test_a_put_takes_away_what_others_added(world: World) -> None:
    app = prepared(world, config("one", options="Replace=true"))
    synced(world, app)
    before = world.kube.get("v1", "ConfigMap", "one", "shop")["metadata"]["uid"]
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"extra": "x"}}, "shop")
    synced(world, app)
    live = world.kube.get("v1", "ConfigMap", "one", "shop")
    assert (live["metadata"]["uid"], live["data"]) == (before, {"value": "1"})
    assert world.run(app).sync_status == "Synced"


def test_wait_for_healthy_waits_for_the_last_batch_too(world: World) -> None:
    app = prepared(
        world, slow_deployment("api"), sync_policy=options("WaitForHealthy=true", "WaveTimeout=1s")
    )
    assert "apps/Deployment/shop/api timed out after 1 s" in failed(world, app).message


@pytest.mark.parametrize("place", ["option", "annotation"])
def test_a_hook_that_runs_out_of_time_is_deleted_and_syncfail_runs(world: World, place: str) -> None:
    before = endless_job("before", hook="PreSync")
    if place == "annotation":
        before = before.replace('PreSync"', 'PreSync", gitops-hub.io/timeout: 1s')
    policy = options("HookTimeout=1s" if place == "option" else "HookTimeout=1h")
    app = prepared(world, before + config("one") + job("rescue", hook="SyncFail"), sync_policy=policy)
    assert "batch/Job/shop/before timed out after 1 s" in failed(world, app).message
    assert (set(jobs(world)), faults.names(world)) == ({"rescue"}, [])


def test_an_operation_out_of_time_is_terminated_and_not_repeated(world: World) -> None:
    policy = options("OperationTimeout=1s", retry={"limit": 5})
    app = prepared(world, endless_job("before", hook="PreSync") + config("one"), sync_policy=policy)
    operation = failed(world, app)
    assert operation.message.startswith("timed out, was waiting for completion of hook batch/Job/shop/before")
    assert (operation.attempt, jobs(world)) == (1, {})


def test_a_phase_out_of_time_fails_what_it_waits_for(world: World) -> None:
    text = slow_deployment("api") + config("two", wave="1")
    app = prepared(world, text, sync_policy=options("PhaseTimeout=1s"))
    assert "was not done when phase Sync timed out after 1 s" in failed(world, app).message


def test_a_prune_that_hangs_names_the_finalizer_and_fails_in_time(world: World) -> None:
    app = prepared(world, config("one") + config("old"), sync_policy=options("DeleteTimeout=1s"))
    synced(world, app)
    world.kube.patch("v1", "ConfigMap", "old", FINALIZER, "shop")
    changed(world, app, config("one") + config("new", wave="5"))
    operation = faults.waits_for(world, world.sync(app, prune=True), "deletion")
    assert "finalizer foreign.io/hold" in operation.message
    faults.ended(world, operation, passes=600)
    assert operation.message.endswith("was not gone after 1 s (finalizers: foreign.io/hold)")


def test_a_hook_that_cannot_be_deleted_is_no_deadlock(world: World) -> None:
    app = prepared(
        world, job("before", hook="PreSync") + config("one"), sync_policy=options("DeleteTimeout=1s")
    )
    synced(world, app)
    world.kube.patch("batch/v1", "Job", "before", FINALIZER, "shop")
    assert "foreign.io/hold" in failed(world, app).message
    world.kube.patch("batch/v1", "Job", "before", {"metadata": {"finalizers": None}}, "shop")
    synced(world, app)


def test_hooks_run_on_self_heal_when_that_is_asked_for(world: World) -> None:
    policy = {**AUTOMATED, **options("HooksOnSelfHeal=always")}
    app = prepared(world, job("before", hook="PreSync") + config("one"), sync_policy=policy)
    before = jobs(world)
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "drift"}}, "shop")
    later(app, 100)
    world.run(app, until=lambda app: app.operations.filter(kind="self-heal", phase="Succeeded").exists())
    assert jobs(world) != before


def test_delete_confirm_holds_a_deletion_as_a_whole(world: World) -> None:
    app = prepared(world, config("one", options="Delete=confirm") + config("two"), sync_policy=AUTOMATED)
    applications.request_deletion(DANA, app, "cascade")
    operation = faults.waits_for(world, SyncOperation.objects.get(kind="delete"), "prune_confirmation")
    assert operation.message == "waiting for deletion confirmation of ConfigMap/shop/one"
    assert faults.names(world) == ["one", "two"]
    operations.confirm(DANA, app, operation.wait["digest"])
    for _ in range(20):
        if Application.objects.exists():
            one_pass(app)
    assert faults.names(world) == []
