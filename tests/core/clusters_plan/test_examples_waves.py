"""Worked examples of sync-semantics.md 13: waves, hooks, phases."""

from __future__ import annotations

from datetime import datetime

import pytest

from clusters.core.manifests import ResourceKey
from clusters.core.plan import Done, Failed, Wait
from tests.core.clusters_plan.world import (
    HOOK,
    Run,
    World,
    config,
    deployment,
    hook,
    obj,
)

API = ResourceKey("apps", "Deployment", "shop", "api")


def crd(wave=None, group="example.com", kind="Widget"):
    spec = {"group": group, "names": {"kind": kind}}
    return obj(
        "CustomResourceDefinition",
        f"{kind.lower()}s.{group}",
        group="apiextensions.k8s.io",
        wave=wave,
        spec=spec,
    )


def test_e01_single_wave_is_done_after_apply():
    world = World()
    run = Run(world, [deployment("api")])
    assert run.walk() == Done("successfully synced (all tasks run)")
    assert run.steps == ["apply"]
    assert run.result("apps/Deployment/shop/api").code == "Synced"


def test_e02_second_wave_waits_for_first():
    world = World()
    run = Run(world, [deployment("api", 0), config("c", 1)])
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "health"
    assert verdict.reason.startswith("waiting for healthy state of apps/Deployment/shop/api")
    assert verdict.reason.endswith("(wave 1 of 2, phase Sync, 0 s of 30 min)")
    assert not world.has("ConfigMap/shop/c")
    world.ready("api")
    assert isinstance(run.walk(), Done)
    assert world.has("ConfigMap/shop/c")


def test_e03_ten_configmap_waves_do_not_pause():
    world = World()
    run = Run(world, [config(f"c{n}", n) for n in range(10)])
    assert isinstance(run.walk(), Done)
    assert run.steps == ["dry_run"] + ["apply"] * 10
    assert world.written() == [f"ConfigMap/shop/c{n}" for n in range(10)]


def test_e04_stale_health_is_not_believed():
    world = World()
    world.put_managed(deployment("api", 0, spec={"replicas": 1}))
    world.ready("api")
    run = Run(world, [deployment("api", 0), config("c", 1)])
    assert isinstance(run.walk(), Wait)
    key = API
    stale = dict(world.objects[key]["status"])
    assert stale["observedGeneration"] == 1
    world.touch(key, status={**stale, "replicas": 1})
    assert isinstance(run.walk(), Wait)
    assert not world.has("ConfigMap/shop/c")
    world.ready("api")
    assert isinstance(run.walk(), Done)


def test_e05_same_wave_orders_by_kind_then_name():
    world = World()
    run = Run(
        world,
        [
            obj("Widget", "w"),
            obj("Ingress", "i"),
            deployment("b"),
            deployment("a"),
            obj("Service", "s"),
            obj("Secret", "s"),
        ],
    )
    assert run.order() == ["Secret/s", "Service/s", "Deployment/a", "Deployment/b", "Ingress/i", "Widget/w"]


def test_e06_namespace_bubbles_to_hook():
    world = World()
    run = Run(world, [obj("Namespace", "x", wave=3), hook("j", "PreSync", namespace="x")])
    assert [(t.phase, t.wave, t.key.kind) for t in run.plan.tasks] == [
        ("PreSync", 0, "Namespace"),
        ("PreSync", 0, "Job"),
    ]


def test_e07_crd_bubbles_to_instance():
    world = World()
    from clusters.core.discovery import Discovery
    from tests.core.clusters_plan.world import kinds

    world.discovery = Discovery(kinds(without=[("example.com", "Widget")]))
    run = Run(world, [crd(5), config("c", 0), obj("Widget", "w", wave=1)])
    assert [(t.wave, t.key.kind) for t in run.plan.tasks] == [
        (0, "ConfigMap"),
        (1, "CustomResourceDefinition"),
        (1, "Widget"),
    ]
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "established"
    assert not world.has("example.com/Widget/shop/w")
    assert ("dry apply", "example.com/Widget/shop/w") not in world.log
    key = ResourceKey("apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.com")
    world.touch(key, status={"conditions": [{"type": "Established", "status": "True"}]})
    assert isinstance(run.walk(), Wait)
    world.discovery = Discovery(kinds())
    assert isinstance(run.walk_timers(), Done)
    assert world.has("example.com/Widget/shop/w")


def test_a_crd_that_is_never_established_fails_the_operation():
    world = World()
    run = Run(world, [crd(), obj("Widget", "w")])
    assert isinstance(run.walk(), Wait)
    world.wait(60)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert "was not Established within 1 min" in verdict.message
    assert not world.has("example.com/Widget/shop/w")


def test_e08_missing_kind_is_invalid():
    world = World()
    from clusters.core.discovery import Discovery
    from tests.core.clusters_plan.world import kinds

    widget = obj("Widget", "x", group="gate.io", wave=1)
    run = Run(world, [widget, hook("undo", "SyncFail")])
    verdict = run.walk()
    assert verdict == Failed(
        "one or more synchronization tasks are not valid: the cluster does not serve gate.io/Widget",
        retryable=True,
        code="kind_not_served",
        details=verdict.details,
    )
    assert world.log == []
    widget["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] = "SkipDryRunOnMissingResource=true"
    run = Run(world, [config("c", 0), widget])
    world.discovery = Discovery({**kinds(), ("gate.io", "Widget"): kinds()["example.com", "Widget"]})
    assert isinstance(run.walk_timers(), Done)
    assert ("dry apply", "gate.io/Widget/shop/x") not in world.log


def test_e09_dry_run_failure_writes_nothing():
    world = World()
    bad = ResourceKey("", "Service", "shop", "s")
    world.refuse("dry apply", bad, "invalid", "spec.ports: Required value")
    run = Run(world, [config("c", 0), obj("Service", "s", wave=1), hook("undo", "SyncFail")])
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert verdict.message == "one or more objects failed to apply (dry run): spec.ports: Required value"
    assert world.written() == []


def test_e10_create_namespace_before_dry_run():
    world = World()
    world.objects.clear()
    run = Run(world, [config("a", 0), config("b", 1)], "CreateNamespace=true")
    assert isinstance(run.walk(), Done)
    assert run.steps == ["create_namespace", "apply", "apply"]
    assert "annotations" not in world.get("Namespace/shop")["metadata"]
    world.objects.clear()
    world.refuse("create", ResourceKey("", "Namespace", "", "shop"), message="no right")
    run = Run(world, [config("a", 0), hook("undo", "SyncFail")], "CreateNamespace=true")
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert verdict.message == "the namespace failed to apply: no right"
    assert not world.has("batch/Job/shop/undo")


def test_the_created_namespace_is_never_pruned():
    world = World()
    run = Run(world, [], "CreateNamespace=true")
    assert isinstance(run.walk(), Done)
    assert run.plan.prunes == ()


def test_managed_namespace_metadata_is_applied_by_its_own_manager():
    world = World()
    more = {"labels": {"team": "a"}}
    run = Run(
        world,
        [config("c")],
        "CreateNamespace=true",
        namespace_metadata=more,
        namespace_manager="gitops-hub-ns-7",
    )
    assert isinstance(run.walk(), Done)
    assert run.steps == ["create_namespace", "apply"]
    assert world.get("Namespace/shop")["metadata"]["labels"] == {"team": "a"}


def test_e11_presync_failure_stops():
    world = World()
    run = Run(world, [hook("migrate", "PreSync"), config("c"), hook("undo", "SyncFail")])
    assert isinstance(run.walk(), Wait)
    world.end_job("migrate", good=False)
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert "waiting for completion of hook batch/Job/shop/undo" in verdict.reason
    world.end_job("undo")
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert verdict.retryable
    assert verdict.message.startswith("one or more synchronization tasks completed unsuccessfully, reason:")
    assert not world.has("ConfigMap/shop/c")
    assert world.written("create") == ["batch/Job/shop/migrate", "batch/Job/shop/undo"]


def test_e12_syncfail_runs_on_apply_error():
    world = World()
    world.refuse("apply", API, message='admission webhook "w" denied the request')
    run = Run(world, [deployment("api"), config("c"), obj("Ingress", "i"), hook("undo", "SyncFail")])
    assert isinstance(run.walk(), Wait)
    assert world.has("ConfigMap/shop/c")
    assert world.has("networking.k8s.io/Ingress/shop/i")
    world.end_job("undo")
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert verdict.message == (
        'one or more objects failed to apply, reason: admission webhook "w" denied the request'
    )
    assert run.result("batch/Job/shop/undo").state == "Succeeded"


def test_a_failed_syncfail_hook_is_named_too():
    world = World()
    world.refuse("apply", API)
    run = Run(world, [deployment("api"), hook("undo", "SyncFail")])
    run.walk()
    world.end_job("undo", good=False)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert "one or more SyncFail hooks failed, reason: batch/Job/shop/undo is Degraded" in verdict.message


def test_e13_syncfail_declared_changes_nothing():
    world = World()
    run = Run(world, [hook("h", "Sync"), deployment("api"), hook("undo", "SyncFail")])
    assert isinstance(run.walk(), Wait)
    world.end_job("h")
    assert isinstance(run.walk(), Done)
    assert not world.has("batch/Job/shop/undo")


def test_e14_postsync_waits_for_healthy():
    world = World()
    run = Run(world, [deployment("api"), hook("smoke", "PostSync")])
    assert isinstance(run.walk(), Wait)
    assert not world.has("batch/Job/shop/smoke")
    world.ready("api")
    assert isinstance(run.walk(), Wait)
    assert world.has("batch/Job/shop/smoke")
    world.end_job("smoke")
    assert run.walk() == Done("successfully synced (no more tasks)")


def test_e15_default_policy_recreates():
    world = World()
    world.put_managed(hook("migrate", "PreSync"))
    world.end_job("migrate")
    old = world.get("batch/Job/shop/migrate")["metadata"]["uid"]
    run = Run(world, [hook("migrate", "PreSync"), config("c")])
    assert isinstance(run.walk(), Wait)
    new = world.get("batch/Job/shop/migrate")["metadata"]["uid"]
    assert new != old
    assert world.written() == ["batch/Job/shop/migrate", "batch/Job/shop/migrate"]
    assert not world.has("ConfigMap/shop/c")
    world.end_job("migrate")
    assert isinstance(run.walk(), Done)
    assert run.result("batch/Job/shop/migrate").uid == new


def test_e16_old_success_never_counts():
    world = World()
    left = hook("migrate", "PreSync", "HookSucceeded")
    left["metadata"]["annotations"]["gitops-hub.io/operation"] = "40.1"
    left["metadata"]["finalizers"] = ["gitops-hub.io/hook-finalizer"]
    world.put_managed(left)
    world.end_job("migrate")
    run = Run(world, [hook("migrate", "PreSync", "HookSucceeded")])
    assert isinstance(run.walk(), Wait)
    assert run.steps == ["strip_finalizers", "delete", "apply"]
    assert world.get("batch/Job/shop/migrate")["metadata"]["annotations"]["gitops-hub.io/operation"] == "41.1"


def test_e17_hook_succeeded_waits_for_the_operation():
    world = World()
    run = Run(world, [hook("migrate", "PreSync", "HookSucceeded"), deployment("api"), config("c", 1)])
    run.walk()
    world.end_job("migrate")
    assert isinstance(run.walk(), Wait)
    assert world.has("batch/Job/shop/migrate")
    world.ready("api")
    assert isinstance(run.walk(), Done)
    assert not world.has("batch/Job/shop/migrate")


def test_e18_hook_failed_keeps_the_good_one():
    world = World()
    run = Run(world, [hook("a", "PreSync", "HookFailed"), hook("b", "PreSync", "HookFailed")])
    run.walk()
    world.end_job("a", good=False)
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    world.end_job("b")
    assert isinstance(run.walk(), Failed)
    assert not world.has("batch/Job/shop/a")
    assert world.has("batch/Job/shop/b")
    assert world.get("batch/Job/shop/b")["metadata"]["finalizers"] == []


def test_e19_ttl_zero_hook_is_seen():
    world = World()
    migrate = hook("migrate", "PreSync")
    migrate["spec"]["ttlSecondsAfterFinished"] = 0
    run = Run(world, [migrate, config("c")])
    run.walk()
    world.end_job("migrate")
    assert world.get("batch/Job/shop/migrate")["metadata"]["deletionTimestamp"]
    assert isinstance(run.walk(), Done)
    assert run.result("batch/Job/shop/migrate").state == "Succeeded"
    assert run.result("batch/Job/shop/migrate").message == "job Complete"
    assert not world.has("batch/Job/shop/migrate")
    assert world.has("ConfigMap/shop/c")


def test_e20_generate_name_is_stable():
    world = World()
    world.now = datetime.fromisoformat("2023-11-14T22:13:20+00:00")
    smoke = hook("x", "PostSync")
    smoke["metadata"] = {**smoke["metadata"], "generateName": "smoke-"}
    del smoke["metadata"]["name"]
    run = Run(world, [smoke])
    for _ in range(3):
        assert isinstance(run.walk(), Wait)
    jobs = [key.name for key in world.objects if key.kind == "Job"]
    assert jobs == ["smoke-9f2c1d0-postsync-1700000000"]
    world.end_job(jobs[0])
    assert isinstance(run.walk(), Done)


def test_e22_skip_and_test_are_invisible():
    world = World()
    skipped = config("kept", annotations={HOOK: "Skip"})
    world.put_managed(skipped)
    run = Run(world, [skipped, hook("t", "ignored", annotations={"helm.sh/hook": "test"}), config("c")])
    assert [str(t.key) for t in run.plan.tasks] == ["ConfigMap/shop/c"]
    run = Run(world, [config("c")])
    assert run.plan.prunes == ()


def test_a_typo_in_a_hook_is_a_finding():
    run = Run(World(), [hook("t", "presync"), config("c")])
    assert [(f.type, f.key) for f in run.plan.findings] == [("UnknownHook", "batch/Job/shop/t")]


def test_one_hook_in_two_phases_runs_twice_and_no_more():
    world = World()
    run = Run(world, [hook("check", "PreSync,PostSync"), config("c")])
    run.walk()
    first = world.get("batch/Job/shop/check")["metadata"]["uid"]
    world.end_job("check")
    assert isinstance(run.walk(), Wait)
    second = world.get("batch/Job/shop/check")["metadata"]["uid"]
    assert first != second
    world.end_job("check")
    assert isinstance(run.walk(), Done)
    assert world.written("create") == ["batch/Job/shop/check"] * 2


def test_the_operation_goes_on_only_when_a_left_over_hook_is_gone():
    world = World()
    left = hook("migrate", "PreSync")
    left["metadata"]["finalizers"] = ["example.com/hold"]
    key = world.put_managed(left)
    run = Run(world, [left])
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "deletion"
    assert "finalizer example.com/hold" in verdict.reason
    world.wait(601)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert "finalizers: example.com/hold" in verdict.message
    world.remove(key)
    run.retry()
    run.walk()
    world.end_job("migrate")
    assert isinstance(run.walk(), Done)


@pytest.mark.parametrize(
    ("option", "installed", "ran"),
    [
        ("HelmHooks=argocd", False, ["both", "fresh", "newer"]),
        ("HelmHooks=argocd", True, ["both", "fresh", "newer"]),
        ("HelmHooks=helm", False, ["both", "fresh"]),
        ("HelmHooks=helm", True, ["both", "newer"]),
    ],
)
def test_helm_hooks_run_as_helm_would_when_asked(option: str, installed: bool, ran: list[str]):
    """3.8: install hooks until the first full sync succeeded, upgrade hooks only after it; the others are told."""
    words = {"fresh": "pre-install", "newer": "pre-upgrade", "both": "pre-install,pre-upgrade"}
    hooks = [obj("Job", name, annotations={"helm.sh/hook": text}) for name, text in words.items()]
    plan = Run(World(), [*hooks, config("c")], option, facts={"installed": installed}).plan
    tasks = {task.key.name: task for task in plan.tasks if task.hook}
    assert sorted(name for name, task in tasks.items() if task.action == "run_hook") == ran
    left = [task for task in tasks.values() if task.action != "run_hook"]
    assert all((task.code, task.reason[:12]) == ("HookSkipped", "Helm runs it") for task in left)
