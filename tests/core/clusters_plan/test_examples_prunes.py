"""Worked examples of sync-semantics.md 13: prunes, ownership, options, people, ends of operations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clusters.core.hooks import HookSuccess
from clusters.core.manifests import ResourceKey, key_of
from clusters.core.plan import (
    ApprovalFact,
    Done,
    Failed,
    Problem,
    Progress,
    RetryPolicy,
    Step,
    Wait,
    WindowBlock,
    advance,
    deletion_approved,
    describe,
    hook_successes,
    may_supersede,
    next_retry,
    plan_digest,
    prune_digest,
    results,
    stalled,
)
from clusters.core.plan.retry import Unfinished
from tests.core.clusters_plan.world import OPTIONS, START, Run, World, config, deployment, hook, obj

API = ResourceKey("apps", "Deployment", "shop", "api")


def test_e23_prune_runs_in_reverse():
    world = World()
    for wave in (0, 1, 2):
        world.put_managed(config(f"x{wave}", wave))
    run = Run(world, [])
    assert isinstance(run.walk(), Done)
    assert world.written("delete") == ["ConfigMap/shop/x2", "ConfigMap/shop/x1", "ConfigMap/shop/x0"]


def test_a_prune_wave_waits_until_the_former_is_gone():
    world = World()
    held = config("x2", 2)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    key = world.put_managed(held)
    world.put_managed(config("x0", 0))
    run = Run(world, [])
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.reason.startswith("waiting for deletion of ConfigMap/shop/x2 (finalizer example.com/hold)")
    assert world.has("ConfigMap/shop/x0")
    world.remove(key)
    assert isinstance(run.walk(), Done)
    assert world.written("delete") == ["ConfigMap/shop/x2", "ConfigMap/shop/x0"]


def test_e24_prune_failure_stops_lower_waves():
    world = World()
    for wave in (0, 1, 2):
        world.put_managed(config(f"x{wave}", wave))
    world.refuse("delete", ResourceKey("", "ConfigMap", "shop", "x2"))
    verdict = Run(world, []).walk()
    assert isinstance(verdict, Failed)
    verdict = Run(world, [], "DryRun=local").walk()
    assert isinstance(verdict, Failed)
    assert world.has("ConfigMap/shop/x1")
    assert world.has("ConfigMap/shop/x0")


def test_e25_prune_last_after_healthy():
    world = World()
    world.put_managed(deployment("a"))
    run = Run(world, [deployment("b")], "PruneLast=true")
    assert isinstance(run.walk(), Wait)
    assert world.has("apps/Deployment/shop/a")
    world.ready("b")
    assert isinstance(run.walk(), Done)
    assert not world.has("apps/Deployment/shop/a")


def test_e26_no_prune_stays_out_of_sync():
    world = World()
    world.put_managed(config("x", annotations={OPTIONS: "Prune=false"}))
    run = Run(world, [config("c")])
    assert isinstance(run.walk(), Done)
    found = run.result("ConfigMap/shop/x")
    assert (found.code, found.message, found.state) == ("PruneSkipped", "ignored (no prune)", "Succeeded")
    assert world.written("delete") == []


def test_pruning_must_be_asked_for():
    world = World()
    world.put_managed(config("x"))
    run = Run(world, [config("c")], prune=False)
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/x").message == "ignored (requires pruning)"


def test_e27_prune_confirm_holds_the_batch():
    world = World()
    key = world.put_managed(config("x", annotations={OPTIONS: "Prune=confirm"}))
    run = Run(world, [config("c")])
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert (verdict.code, verdict.reason) == (
        "prune_confirmation",
        "waiting for pruning confirmation of ConfigMap/shop/x",
    )
    assert world.written() == []
    older = Unfinished(automated=True, phase="Running", wait_code=verdict.code)
    assert may_supersede(older)[0] == "supersede"
    run.observe_with(confirmed=frozenset({key}))
    assert isinstance(run.walk(), Done)
    assert world.written() == ["ConfigMap/shop/x", "ConfigMap/shop/c"]


def test_e28_protected_prune_is_deferred():
    world = World()
    key = world.put_managed(obj("PersistentVolumeClaim", "data"))
    run = Run(world, [config("c")])
    assert isinstance(run.walk(), Done)
    found = run.result("PersistentVolumeClaim/shop/data")
    assert found.code == "PruneSkipped"
    assert found.message.startswith("waits for confirmation of prune plan ")
    uid = world.get("PersistentVolumeClaim/shop/data")["metadata"]["uid"]
    follow = Run(world, [config("c")], kind="prune", facts={"confirmed_prunes": {key: uid}})
    assert isinstance(follow.walk(), Done)
    assert not world.has("PersistentVolumeClaim/shop/data")
    assert world.written("apply") == ["ConfigMap/shop/c"]
    assert prune_digest(follow.plan.prunes)[:12] in found.message


def test_a_confirmed_prune_of_another_uid_does_nothing():
    world = World()
    key = world.put_managed(obj("PersistentVolumeClaim", "data"))
    run = Run(world, [], kind="prune", facts={"confirmed_prunes": {key: "someone else"}})
    assert isinstance(run.walk(), Done)
    assert world.has("PersistentVolumeClaim/shop/data")


def test_a_prune_list_over_the_budget_waits():
    world = World()
    for n in range(21):
        world.put_managed(config(f"x{n}"))
    run = Run(world, [config("c")])
    assert isinstance(run.walk(), Done)
    assert "21 objects would be deleted, more than 20" in run.result("ConfigMap/shop/x0").message
    assert world.written("delete") == []


def test_e29_incomplete_list_prunes_nothing():
    world = World()
    world.put_managed(config("x"))
    world.put_managed(obj("Secret", "s"))
    run = Run(world, [config("c")], facts={"incomplete": frozenset({("", "ConfigMap")})})
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/x").message == "listing of ConfigMap is incomplete"
    assert world.written("delete") == ["Secret/shop/s"]


def test_a_prune_carries_uid_and_tracking_id():
    world = World()
    key = world.put_managed(config("x"))
    run = Run(world, [])
    step = run.decide()
    assert isinstance(step, Step)
    (action,) = step.groups[0]
    assert (action.uid, action.must_carry, action.propagation) == (
        world.objects[key]["metadata"]["uid"],
        "shop:/ConfigMap:shop/x",
        "Foreground",
    )
    world.touch(key, metadata={**world.objects[key]["metadata"], "annotations": {}})
    run.progress = Progress.begin(START)
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/x").code == "PruneSkipped"
    assert world.has("ConfigMap/shop/x")


def test_what_the_project_forbids_is_left():
    world = World()
    key = world.put_managed(config("x"))
    run = Run(world, [], facts={"violations": {key: "kind not allowed"}})
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/x").message == "left: not permitted (kind not allowed)"


def test_e32_foreign_tracking_is_refused():
    world = World()
    service = obj("Service", "s", annotations={"argocd.argoproj.io/tracking-id": "web:/Service:shop/s"})
    world.put(service)
    run = Run(world, [obj("Service", "s"), config("c")])
    assert isinstance(run.walk(), Done)
    found = run.result("Service/shop/s")
    assert (found.code, found.message) == ("SharedSkipped", "is owned by Argo CD application web")
    assert [f.type for f in run.plan.findings] == ["SharedResource"]
    assert world.written("apply") == ["ConfigMap/shop/c"]
    assert isinstance(Run(world, [obj("Service", "s"), config("new")], kind="takeover").walk(), Done)
    annotations = world.get("Service/shop/s")["metadata"]["annotations"]
    assert "gitops-hub.io/tracking-id" in annotations
    assert "argocd.argoproj.io/tracking-id" not in annotations
    assert not world.has("ConfigMap/shop/new"), "a takeover writes nothing that nobody owned"


def test_a_takeover_prunes_nothing_and_runs_no_hook():
    world = World()
    world.put_managed(config("x"))
    world.put(obj("Service", "s", annotations={"argocd.argoproj.io/tracking-id": "web:/Service:shop/s"}))
    run = Run(world, [obj("Service", "s"), hook("h", "PreSync")], kind="takeover")
    assert isinstance(run.walk(), Done)
    assert [task.key.name for task in run.plan.tasks] == ["s"]
    assert world.has("ConfigMap/shop/x")
    assert not world.has("Job/shop/h")


def test_e33_two_applications_share():
    world = World()
    world.put_managed(config("c"), app="a")
    run = Run(world, [config("c")])
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/c").message == "is owned by application a"
    verdict = Run(world, [config("c")], "FailOnSharedResource=true").walk()
    assert isinstance(verdict, Failed)
    assert verdict.message == "Shared resource found: ConfigMap/shop/c is owned by application a"
    assert world.log == []
    gone = Run(world, [config("c")], facts={"living": lambda name: False})
    assert isinstance(gone.walk(), Done)
    assert "owner gone" in gone.result("ConfigMap/shop/c").message


def test_e35_adoption_moves_fields():
    world = World()
    live = config("c")
    live["metadata"]["managedFields"] = [{"manager": "kubectl-client-side-apply", "operation": "Update"}]
    world.put(live)
    run = Run(world, [config("c")])
    assert isinstance(run.walk(), Done)
    assert run.steps == ["adopt", "apply"]
    assert "adopts existing object" in run.result("ConfigMap/shop/c").message
    run = Run(world, [config("c")], "ClientSideApplyMigration=false")
    world.put(live)
    assert isinstance(run.walk(), Done)
    assert run.steps == ["apply"]


def test_what_appears_unseen_is_not_overwritten():
    world = World()
    run = Run(world, [config("c")])
    step = run.decide()
    assert isinstance(step, Step)
    assert step.groups[0][0].force is False
    world.put_managed(config("c"), app="other")
    assert isinstance(run.walk_timers(), Done)
    assert run.result("ConfigMap/shop/c").code == "SharedSkipped"


def test_e38_force_replace_recreates_jobs_only():
    world = World()
    both = {OPTIONS: "Force=true,Replace=true"}
    job = obj("Job", "j", annotations=both, spec={"a": 1})
    space = obj("Namespace", "extra", annotations=both)
    uids = []
    for number in (1, 2):
        assert isinstance(Run(world, [job, space], operation=str(number)).walk(), Done)
        uids.append(
            (
                world.get("batch/Job/shop/j")["metadata"]["uid"],
                world.get("Namespace/extra")["metadata"]["uid"],
            )
        )
    assert uids[0][0] != uids[1][0]
    assert uids[0][1] == uids[1][1]


def test_e39_immutable_names_the_field():
    world = World()
    key = world.put_managed(obj("Service", "s", spec={"clusterIP": "10.0.0.1"}))
    world.refuse("apply", key, "immutable", "spec.clusterIPs[0]: may not change once set")
    run = Run(world, [obj("Service", "s", spec={"clusterIP": "10.0.0.2"})])
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert "spec.clusterIPs[0]: may not change once set; set Force=true" in verdict.message


@pytest.mark.parametrize("option", ["Force=true", ""])
def test_force_or_on_immutable_recreates(option):
    world = World()
    annotations = {OPTIONS: option} if option else {"gitops-hub.io/on-immutable": "recreate"}
    key = world.put_managed(obj("Service", "s", annotations=annotations, spec={"clusterIP": "10.0.0.1"}))
    old = world.objects[key]["metadata"]["uid"]
    world.refuse("apply", key, "immutable", "spec.clusterIPs[0]: may not change once set")
    run = Run(world, [obj("Service", "s", annotations=annotations, spec={"clusterIP": "10.0.0.2"})])
    run.step()
    world.refusals.clear()
    assert isinstance(run.walk(), Done)
    assert world.objects[key]["metadata"]["uid"] != old
    assert run.result("Service/shop/s").message.startswith("recreated")


def test_a_finished_job_is_recreated_when_its_template_changes():
    world = World()
    key = world.put_managed(obj("Job", "j", spec={"a": 1}))
    world.end_job("j")
    world.refuse("apply", key, "immutable", "spec.template: field is immutable")
    run = Run(world, [obj("Job", "j", spec={"a": 2})])
    run.step()
    world.refusals.clear()
    assert isinstance(run.walk(), Done)
    assert world.written() == ["batch/Job/shop/j"] * 3


def test_replace_puts_with_the_version_it_saw():
    world = World()
    replaced = config("c", annotations={OPTIONS: "Replace=true"})
    world.put_managed(replaced)
    replaced["data"] = {"a": "2"}
    run = Run(world, [replaced])
    assert isinstance(run.walk(), Done)
    assert [verb for verb, _ in world.log] == ["replace"]


def test_e46_drift_is_healed_partially():
    world = World()
    world.put_managed(config("c", namespace="one"))
    world.put_managed(config("c", namespace="two"))
    key = ResourceKey("", "ConfigMap", "two", "c")
    desired = [config("c", namespace="one"), config("c", namespace="two"), hook("h", "PreSync")]
    run = Run(world, desired, kind="self-heal", keys=frozenset({key}))
    assert [str(t.key) for t in run.plan.tasks] == ["ConfigMap/two/c"]
    assert isinstance(run.walk(), Done)
    run = Run(world, desired, "HooksOnSelfHeal=always", kind="self-heal", keys=frozenset({key}))
    assert len(run.plan.tasks) == 2


def test_selective_sync_takes_the_chosen_and_no_hooks():
    world = World()
    world.put_managed(config("x"))
    desired = [config("a"), config("b"), hook("h", "PreSync")]
    run = Run(world, desired, resources=(":ConfigMap:shop/a",))
    assert [str(t.key) for t in run.plan.tasks] == ["ConfigMap/shop/a"]
    run = Run(world, desired, resources=("!:ConfigMap:shop/a",))
    assert [str(t.key) for t in run.plan.tasks] == ["ConfigMap/shop/b", "ConfigMap/shop/x"]


def test_unchanged_objects_are_not_written_and_still_gate():
    world = World()
    key = world.put_managed(deployment("api", 0))
    facts = {"in_place": frozenset({key})}
    run = Run(world, [deployment("api", 0), config("c", 1)], facts=facts)
    assert isinstance(run.walk(), Wait)
    world.ready("api")
    assert isinstance(run.walk(), Done)
    assert run.result("apps/Deployment/shop/api").code == "Unchanged"
    assert world.written() == ["ConfigMap/shop/c"]
    world.degrade("api")
    run = Run(world, [deployment("api", 0), config("c", 1)], "ApplyOutOfSyncOnly=true", facts=facts)
    assert isinstance(run.walk(), Done)
    run = Run(world, [deployment("api", 0), config("c", 1)], "ApplyOutOfSyncOnly=false", facts=facts)
    assert isinstance(run.walk(), Wait)


def test_degraded_for_five_seconds_fails():
    world = World()
    run = Run(world, [deployment("api", 0), config("c", 1)])
    run.walk()
    world.degrade("api")
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.until == START + timedelta(seconds=5)
    world.wait(3)
    world.ready("api")
    world.degrade("api")
    verdict = run.walk()
    world.wait(6)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert "apps/Deployment/shop/api is Degraded" in verdict.message


def test_a_service_settles_after_a_short_quiet():
    world = World()
    run = Run(world, [obj("Service", "s", wave=0, spec={"type": "ClusterIP"}), config("c", 1)])
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.until == START + timedelta(milliseconds=200)
    assert isinstance(run.walk_timers(), Done)


def test_a_vanished_object_is_an_error():
    world = World()
    run = Run(world, [deployment("api", 0), config("c", 1)])
    run.walk()
    world.remove(API)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert "apps/Deployment/shop/api is missing, it might have been deleted" in verdict.message
    assert run.result("apps/Deployment/shop/api").state == "Error"


def test_e49_new_commit_supersedes_retry():
    older = Unfinished(automated=True, phase="Running", attempt=3, wait_code="retry_pause")
    assert may_supersede(older)[0] == "supersede"
    running = Unfinished(automated=True, phase="Running", attempt=3, wait_code="hook", hook_running=True)
    assert may_supersede(running) == ("refuse", "a running hook is never interrupted")


@pytest.mark.parametrize(
    ("older", "more", "answer"),
    [
        (Unfinished(True, "Queued"), {}, "supersede"),
        (Unfinished(True, "Running", wait_code="health"), {}, "refuse"),
        (Unfinished(True, "Running", wait_code="health"), {"mode": "waiting"}, "supersede"),
        (Unfinished(True, "Running", wait_code="health", stalled=True), {}, "supersede"),
        (Unfinished(True, "Queued"), {"mode": "never"}, "refuse"),
        (Unfinished(True, "Queued"), {"newer_plan": False}, "refuse"),
        (Unfinished(False, "Queued", names_revision=True), {}, "refuse"),
        (Unfinished(False, "Queued", names_revision=True), {"manual": True}, "supersede"),
        (Unfinished(True, "Running", wait_code="health"), {"manual": True}, "refuse"),
        (Unfinished(True, "Running"), {"manual": True, "same_request": True}, "join"),
        (Unfinished(True, "Terminating"), {"manual": True}, "refuse"),
    ],
)
def test_superseding_decisions(older, more, answer):
    assert may_supersede(older, **more)[0] == answer


def test_e51_conditional_migration_skips():
    world = World()
    when = {"gitops-hub.io/hook-run-when": "changed: images"}
    first = Run(world, [hook("migrate", "PreSync", annotations=when)])
    first.walk()
    world.end_job("migrate")
    assert isinstance(first.walk(), Done)
    history = hook_successes(first.plan, first.progress)
    assert isinstance(next(iter(history.values())), HookSuccess)
    second = Run(world, [hook("migrate", "PreSync", annotations=when), config("c")], facts={"hooks": history})
    assert isinstance(second.walk(), Done)
    found = second.result("batch/Job/shop/migrate")
    assert found.code == "HookSkipped"
    assert found.message.endswith("unchanged since operation 41 (revision 9f2c1d0)")


def test_an_open_hook_decision_waits_for_a_choice():
    world = World()
    ask = {"gitops-hub.io/hook-run-when": "changed", "gitops-hub.io/hook-on-unknown": "block"}
    run = Run(world, [hook("migrate", "PreSync", annotations=ask), config("c")])
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "hook_decision"
    assert world.log == []
    run.facts_more = {"hook_choices": {"batch/Job/shop/migrate": "skip"}}
    run.plan = run.build()
    assert isinstance(run.walk(), Done)
    assert world.written() == ["ConfigMap/shop/c"]


def test_e55_window_blocks_between_waves():
    world = World()
    run = Run(
        world, [deployment("api", 0), hook("h", "Sync", annotations={"argocd.argoproj.io/sync-wave": "1"})]
    )
    run.walk()
    run.observe_with(window=WindowBlock("night", START + timedelta(hours=1)))
    world.ready("api")
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.reason == f"blocked by sync window night until {(START + timedelta(hours=1)).isoformat()}"
    assert not world.has("batch/Job/shop/h")
    run.observe_with(window=None)
    assert isinstance(run.walk(), Wait)
    run.observe_with(window=WindowBlock("night"), terminate=True)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert verdict.message == "Operation terminated"


def test_time_in_a_window_does_not_count():
    world = World()
    run = Run(world, [hook("h", "PreSync")], "HookTimeout=10m")
    run.walk()
    run.observe_with(window=WindowBlock("night"))
    run.walk()
    world.wait(3600)
    run.observe_with(window=None)
    assert isinstance(run.walk(), Wait)
    world.wait(601)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert "batch/Job/shop/h timed out after 10 min" in verdict.message
    assert not world.has("batch/Job/shop/h")


def test_e56_terminate_cleans_hooks():
    world = World()
    run = Run(world, [hook("migrate", "PreSync"), config("c"), hook("undo", "SyncFail")])
    run.walk()
    run.observe_with(terminate=True)
    verdict = run.walk()
    assert verdict == Failed("Operation terminated", retryable=False, code="terminated")
    assert not world.has("batch/Job/shop/migrate")
    assert not world.has("batch/Job/shop/undo")
    assert run.result("batch/Job/shop/migrate").message == "Terminated"
    assert next_retry(RetryPolicy(limit=-1), verdict, attempt=1, automated=True, ended_at=START) is None


def test_a_hook_that_finished_meanwhile_keeps_its_outcome():
    world = World()
    run = Run(world, [hook("migrate", "PreSync"), config("c")])
    run.walk()
    world.end_job("migrate")
    run.observe_with(terminate=True)
    assert isinstance(run.walk(), Failed)
    assert run.result("batch/Job/shop/migrate").state == "Succeeded"
    assert world.get("batch/Job/shop/migrate")["metadata"]["finalizers"] == []


def test_terminate_with_errors_is_an_error():
    world = World()
    run = Run(world, [hook("migrate", "PreSync")])
    run.walk()
    world.refuse("delete", ResourceKey("batch", "Job", "shop", "migrate"))
    run.observe_with(terminate=True)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert (verdict.phase, verdict.message) == ("Error", "Operation termination had errors: denied")


def test_operation_timeout_terminates_and_names_the_wait():
    world = World()
    run = Run(world, [hook("migrate", "PreSync")], "OperationTimeout=20m")
    run.walk()
    world.wait(900)
    run.retry()
    run.walk()
    world.wait(301)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert verdict.message.startswith("timed out, was waiting for completion of hook batch/Job/shop/migrate")
    assert not verdict.retryable


def test_e58_killed_worker_resumes():
    world = World()
    desired = [hook("migrate", "PreSync"), deployment("a", 1), deployment("b", 2), config("c", 3)]
    run = Run(world, desired)
    run.walk()
    world.end_job("migrate")
    uid = world.get("batch/Job/shop/migrate")["metadata"]["uid"]
    run.walk()
    world.ready("a")
    step = run.decide()
    assert isinstance(step, Step)
    world.carry_out(step)
    assert world.has("apps/Deployment/shop/b")
    verdict = run.walk_timers()
    assert isinstance(verdict, Wait)
    assert "apps/Deployment/shop/b" in verdict.reason
    world.ready("b")
    assert isinstance(run.walk_timers(), Done)
    assert world.get("batch/Job/shop/migrate")["metadata"]["uid"] == uid
    assert world.written("create") == ["batch/Job/shop/migrate"]


def test_a_lost_reply_of_a_hook_does_not_run_it_twice():
    world = World()
    run = Run(world, [hook("migrate", "PreSync")])
    step = run.decide()
    assert isinstance(step, Step)
    world.carry_out(step)
    assert isinstance(run.walk(), Wait)
    world.end_job("migrate")
    assert isinstance(run.walk(), Done)
    assert world.written("create") == ["batch/Job/shop/migrate"]


def test_an_approval_is_asked_after_a_dry_run():
    world = World()
    run = Run(world, [config("c")], observed={"approval": ApprovalFact("missing", "abcdef0123456789")})
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert (verdict.code, verdict.reason) == ("approval", "approval of plan abcdef012345")
    assert world.log == [("dry apply", "ConfigMap/shop/c")]
    run.observe_with(approval=ApprovalFact("pending", "abcdef0123456789", "1 of 2 votes"))
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.reason == "approval of plan abcdef012345: 1 of 2 votes"
    run.observe_with(approval=ApprovalFact("approved", "abcdef0123456789"))
    assert isinstance(run.walk(), Done)
    run = Run(world, [config("d")], observed={"approval": ApprovalFact("rejected", text="rejected by Bob")})
    assert run.walk() == Failed("rejected by Bob", retryable=False, code="approval_rejected")


def test_a_dry_run_operation_writes_nothing_and_no_window_blocks_it():
    world = World()
    world.put_managed(config("x"))
    run = Run(
        world, [config("c"), hook("h", "PreSync")], dry_run=True, observed={"window": WindowBlock("night")}
    )
    assert run.walk() == Done("successfully synced (dry run)")
    assert [verb for verb, _ in world.log] == ["dry create", "dry apply", "dry delete"]


def test_problems_have_a_grace():
    world = World()
    run = Run(world, [config("c")], observed={"problem": Problem("cluster", "connection refused", START)})
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.until == START + timedelta(seconds=30)
    world.wait(30)
    assert run.walk() == Failed("connection refused", phase="Error", code="cluster_error")


def test_a_busy_server_is_asked_again():
    world = World()
    run = Run(world, [config("c")])
    key = ResourceKey("", "ConfigMap", "shop", "c")
    world.refuse("apply", key, "throttled", "too many requests", permanent=False)
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "retry"
    world.refusals.clear()
    assert isinstance(run.walk_timers(), Done)


def test_the_project_is_judged_again_before_each_wave():
    world = World()
    run = Run(world, [deployment("api", 0), config("c", 1)])
    run.walk()
    world.ready("api")
    run.observe_with(violations={ResourceKey("", "ConfigMap", "shop", "c"): "kind not allowed"})
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert (verdict.code, verdict.retryable) == ("ProjectPolicyViolation", False)
    assert world.has("apps/Deployment/shop/api")
    assert not world.has("ConfigMap/shop/c")


def test_retries_wait_as_announced():
    failure = Failed("x")
    policy = RetryPolicy()
    first = next_retry(policy, failure, attempt=1, automated=True, ended_at=START)
    assert first is not None
    assert (first.attempt, first.message) == (2, "attempt 2 of 6 at 12:00:05")
    assert next_retry(policy, failure, attempt=1, automated=False, ended_at=START) is None
    assert next_retry(policy, failure, attempt=6, automated=True, ended_at=START) is None
    endless = next_retry(RetryPolicy(limit=-1), failure, attempt=5000, automated=False, ended_at=START)
    assert endless is not None
    assert endless.at == START + timedelta(seconds=180)


def test_a_stalled_wave_is_named():
    world = World()
    run = Run(world, [deployment("api", 0), config("c", 1)])
    run.walk()
    assert stalled(run.plan, run.progress, run.look(), world.now) == ""
    world.wait(400)
    run.walk()
    assert stalled(run.plan, run.progress, run.look(), world.now).startswith(
        "apps/Deployment/shop/api did not change for 6 min 40 s"
    )


def test_wave_timeout_fails_the_task():
    world = World()
    run = Run(world, [deployment("api", 0), config("c", 1)], "WaveTimeout=1m")
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.until == START + timedelta(minutes=1)
    world.wait(60)
    assert isinstance(run.walk(), Failed)


def test_wave_delay_brings_the_pause_back():
    world = World()
    run = Run(world, [config("a", 0), config("b", 1)], "WaveDelay=2s")
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert (verdict.code, verdict.until) == ("wave_delay", START + timedelta(seconds=2))
    assert isinstance(run.walk_timers(), Done)


def test_the_digest_is_for_the_plan_and_not_for_live_values():
    world = World()
    one = Run(world, [config("c"), hook("h", "PreSync")], identity={"manifest_digest": "m1"})
    again = Run(world, [config("c"), hook("h", "PreSync")], identity={"manifest_digest": "m1"}, attempt=2)
    assert plan_digest(one.plan) == plan_digest(again.plan)
    other = Run(world, [config("c"), hook("h", "PreSync")], identity={"manifest_digest": "m2"})
    assert plan_digest(one.plan) != plan_digest(other.plan)
    skipped = Run(
        world, [config("c"), hook("h", "PreSync")], identity={"manifest_digest": "m1"}, skip_hooks=True
    )
    assert plan_digest(one.plan) != plan_digest(skipped.plan)
    world.put_managed(config("x"))
    drifted = Run(world, [config("c"), hook("h", "PreSync")], identity={"manifest_digest": "m1"})
    assert plan_digest(one.plan) != plan_digest(drifted.plan)


def test_the_preview_says_what_runs_and_why():
    world = World()
    world.put_managed(config("x"))
    run = Run(
        world, [config("c"), hook("h", "PreSync", annotations={"gitops-hub.io/hook-run-when": "never"})]
    )
    seen = describe(run.plan)
    assert [h["decision"] for h in seen["hooks"]] == ["skip"]
    assert seen["hooks"][0]["reason"] == "gitops-hub.io/hook-run-when is never"
    assert [p["key"] for p in seen["prune"]] == ["ConfigMap/shop/x"]
    assert [t["key"] for b in seen["batches"] for t in b["tasks"]] == ["ConfigMap/shop/c", "ConfigMap/shop/x"]


def test_deletion_approved_must_be_newer_than_the_operation():
    assert deletion_approved("2026-01-01T12:00:01Z", START)
    assert not deletion_approved("2026-01-01T11:59:59Z", START)
    assert not deletion_approved("yes", START)


def test_next_step_on_fresh_progress_is_the_same_twice():
    world = World()
    run = Run(world, [config("c"), hook("h", "PreSync")])
    look = run.look()
    assert advance(run.plan, run.progress, look, START) == advance(run.plan, run.progress, look, START)
    assert len(results(run.plan, run.progress)) == 2
    assert key_of(run.desired[0]) == run.plan.tasks[1].key


def test_e53_finished_job_stays_synced():
    world = World()
    job = obj("Job", "once", spec={"ttlSecondsAfterFinished": 60})
    key = key_of(job)
    done = "completed 14:02, removed by its TTL"
    run = Run(world, [job, config("c")], facts={"completed": {key: done}})
    assert isinstance(run.walk(), Done)
    found = run.result("batch/Job/shop/once")
    assert (found.code, found.message) == ("Unchanged", done)
    assert world.created == ["ConfigMap/shop/c"]
    assert isinstance(Run(world, [job], apply_all=True, facts={"completed": {key: done}}).walk(), Done)
    assert world.has("batch/Job/shop/once")


def test_a_wave_with_unchanged_objects_waits_for_the_prunes_before_it():
    world = World()
    held = config("x", 0)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    gone = world.put_managed(held)
    same = world.put_managed(config("same", 1))
    run = Run(world, [config("same", 1), config("new", 1)], facts={"in_place": frozenset({same})})
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "deletion"
    assert not world.has("ConfigMap/shop/new")
    world.remove(gone)
    assert isinstance(run.walk(), Done)


def test_what_is_being_deleted_is_not_applied_before_it_was_read_again():
    world = World()
    both = {OPTIONS: "Force=true,Replace=true"}
    key = world.put_managed(config("c", annotations=both))
    run = Run(world, [config("c", annotations=both)])
    assert run.step().name == "delete"
    look = run.look()
    blind = {k: v for k, v in look.live.items() if k != key}
    run.observe_with(live=blind)
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "retry"
    del run.observed_more["live"]
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/c").message == "recreated"


def test_a_finalizer_list_that_changed_is_read_and_stripped_again():
    world = World()
    run = Run(world, [hook("migrate", "PreSync"), config("c")])
    run.walk()
    world.end_job("migrate")
    key = ResourceKey("batch", "Job", "shop", "migrate")
    world.refuse("patch", key, "invalid", "test failed")
    step = run.step()
    assert isinstance(step, Step)
    assert step.name == "strip_finalizers"
    blind = {k: v for k, v in run.look().live.items() if k != key}
    run.observe_with(live=blind)
    verdict = run.step()
    assert isinstance(verdict, Wait)
    assert verdict.reason == "reading hook batch/Job/shop/migrate again"
    world.refusals.clear()
    del run.observed_more["live"]
    assert isinstance(run.walk(), Done)
    assert world.objects[key]["metadata"]["finalizers"] == []
