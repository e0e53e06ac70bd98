"""The end of an Application (sync-semantics.md 10)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clusters.core.manifests import ResourceKey, stamp
from clusters.core.plan import (
    ApprovalFact,
    DeletionFacts,
    DeletionRequest,
    Done,
    Failed,
    Progress,
    PruneBudget,
    SyncPlan,
    Wait,
    applications_need_confirmation,
    build_deletion,
    describe,
    detach_step,
    done_hooks,
    parse_sync_options,
)
from tests.core.clusters_plan.test_examples_waves import crd
from tests.core.clusters_plan.world import APP, HOOK, HUB, OPTIONS, Run, World, config, deployment, hook, obj


class Deletion(Run):
    """A Run whose plan is a deletion."""

    def __init__(self, world, desired=(), *options, **more):
        self.more = more
        super().__init__(world, desired, *options, observed=more.pop("observed", {}))

    def build(self, **changes) -> SyncPlan:
        attempt = changes.get("attempt", 1)
        request = DeletionRequest(
            operation="50",
            application=APP,
            hub_id=HUB,
            namespace="shop",
            started_at=self.world.now,
            attempt=attempt,
            revisions=("9f2c1d0",),
            options=self.request.options,
            **{k: v for k, v in self.more.items() if k in ("propagation", "crds", "automated")},
        )
        rest = {
            k: v for k, v in self.more.items() if k in ("done_hooks", "skipped_hooks", "violations", "budget")
        }
        facts = DeletionFacts(live=dict(self.world.objects), desired=self.desired, **rest)
        plan = build_deletion(request, facts)
        again = SyncPlan.from_json(plan.to_json())
        assert again == plan
        return again


def test_e57_delete_order():
    world = World()
    for wave in (0, 1, 2):
        world.put_managed(config(f"x{wave}", wave))
    world.put_managed(crd())
    world.put_managed(config("kept", annotations={OPTIONS: "Delete=false"}))
    run = Deletion(world, [hook("bye", "PreDelete"), hook("last", "PostDelete"), config("x0", 0)])
    assert isinstance(run.walk(), Wait)
    assert world.written() == ["batch/Job/shop/bye"]
    world.end_job("bye")
    assert isinstance(run.walk(), Wait)
    assert world.written("delete") == ["ConfigMap/shop/x2", "ConfigMap/shop/x1", "ConfigMap/shop/x0"]
    assert world.has("batch/Job/shop/last")
    world.end_job("last")
    assert run.walk() == Done("successfully deleted")
    assert sorted(str(key) for key in world.objects) == [
        "ConfigMap/shop/kept",
        "Namespace/shop",
        "apiextensions.k8s.io/CustomResourceDefinition/widgets.example.com",
    ]
    assert describe(run.plan)["kept"] == [
        {"key": "ConfigMap/shop/kept", "reason": "Delete=false"},
        {
            "key": "apiextensions.k8s.io/CustomResourceDefinition/widgets.example.com",
            "reason": "CustomResourceDefinitions stay unless the request names them",
        },
    ]


def test_a_wave_waits_until_the_higher_one_is_gone():
    world = World()
    held = config("x1", 1)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    key = world.put_managed(held)
    world.put_managed(config("x0", 0))
    run = Deletion(world)
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert "waiting for deletion of ConfigMap/shop/x1 (finalizer example.com/hold)" in verdict.reason
    assert world.has("ConfigMap/shop/x0")
    world.remove(key)
    assert isinstance(run.walk(), Done)


def test_in_the_background_accepted_deletes_are_enough():
    world = World()
    held = config("x1", 1)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    world.put_managed(held)
    world.put_managed(config("x0", 0))
    assert isinstance(Deletion(world, propagation="Background").walk(), Done)
    assert world.get("ConfigMap/shop/x1")["metadata"]["deletionTimestamp"]
    assert not world.has("ConfigMap/shop/x0")


def test_a_named_crd_goes_too():
    world = World()
    world.put_managed(crd())
    assert isinstance(Deletion(world, crds=frozenset({"widgets.example.com"})).walk(), Done)
    assert not world.has("apiextensions.k8s.io/CustomResourceDefinition/widgets.example.com")


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (config("x", annotations={"helm.sh/resource-policy": "keep"}), "helm.sh/resource-policy: keep"),
        (config("x", annotations={OPTIONS: "Delete=false"}), "Delete=false"),
        (config("x", annotations={HOOK: "Skip"}), "argocd.argoproj.io/hook: Skip"),
    ],
)
def test_what_is_kept_says_why(manifest, reason):
    world = World()
    world.put_managed(manifest)
    run = Deletion(world)
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/x").message == reason
    assert world.has("ConfigMap/shop/x")


def test_copies_and_foreign_objects_are_not_in_the_plan():
    world = World()
    copy = stamp(config("original"), APP, HUB, "shop")
    copy["metadata"]["name"] = "copy"
    world.put(copy)
    world.put_managed(config("theirs"), app="other")
    assert Deletion(world).plan.tasks == ()


def test_what_the_project_forbids_is_left_alone():
    world = World()
    key = world.put_managed(config("x"))
    run = Deletion(world, violations={key: "kind not allowed"})
    assert isinstance(run.walk(), Done)
    assert run.result("ConfigMap/shop/x").message == "left: not permitted (kind not allowed)"


@pytest.mark.parametrize("option", ["Delete=confirm", "Prune=confirm"])
def test_one_confirmation_holds_all_resources_but_not_the_hooks(option):
    world = World()
    key = world.put_managed(config("x", 0, annotations={OPTIONS: option}))
    world.put_managed(config("y", 5))
    run = Deletion(world, [hook("bye", "PreDelete")])
    run.walk()
    world.end_job("bye")
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert (verdict.code, verdict.reason) == (
        "prune_confirmation",
        "waiting for deletion confirmation of ConfigMap/shop/x",
    )
    assert world.has("ConfigMap/shop/y")
    run.observe_with(confirmed=frozenset({key}))
    assert isinstance(run.walk(), Done)


def test_a_failed_hook_blocks_until_it_succeeds_or_is_skipped():
    world = World()
    world.put_managed(config("x"))
    desired = [
        hook("bye", "PreDelete"),
        hook("more", "PreDelete", annotations={"argocd.argoproj.io/sync-wave": "1"}),
    ]
    run = Deletion(world, desired)
    run.walk()
    world.end_job("bye")
    run.walk()
    world.end_job("more", good=False)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert verdict.retryable
    assert verdict.message.startswith(
        "one or more objects could not be deleted, reason: batch/Job/shop/more is Degraded"
    )
    assert not world.has("batch/Job/shop/more")
    assert world.has("ConfigMap/shop/x")
    run.more["done_hooks"] = done_hooks(run.plan, run.progress)
    run.more["skipped_hooks"] = frozenset({"PreDelete/batch/Job/shop/more"})
    run.plan = run.build(attempt=2)
    run.progress = Progress.begin(world.now)
    assert isinstance(run.walk(), Done)
    assert not world.has("ConfigMap/shop/x")
    assert [t.reason for t in run.plan.tasks if t.hook] == [
        "succeeded in an earlier attempt",
        "skipped by a person",
    ]
    assert world.written("create") == ["batch/Job/shop/bye", "batch/Job/shop/more"]


def test_only_hook_failed_as_sole_policy_keeps_a_good_hook():
    world = World()
    run = Deletion(world, [hook("a", "PostDelete", "HookFailed"), hook("b", "PostDelete")])
    run.walk()
    world.end_job("a")
    world.end_job("b")
    assert isinstance(run.walk(), Done)
    assert world.has("batch/Job/shop/a")
    assert not world.has("batch/Job/shop/b")


def test_left_over_sync_hooks_go_too_even_with_our_finalizer():
    world = World()
    left = hook("migrate", "PreSync")
    left["metadata"]["finalizers"] = ["gitops-hub.io/hook-finalizer"]
    world.put_managed(left)
    run = Deletion(world)
    assert isinstance(run.walk(), Done)
    assert not world.has("batch/Job/shop/migrate")


def test_a_generated_deletion_over_the_budget_waits():
    world = World()
    for n in range(6):
        world.put_managed(config(f"x{n}"))
    assert isinstance(Deletion(world).walk(), Done)
    for n in range(6):
        world.put_managed(config(f"x{n}"))
    run = Deletion(world, automated=True, budget=PruneBudget(most=5))
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "prune_confirmation"
    run.observe_with(confirmed_all=True)
    assert isinstance(run.walk(), Done)
    assert applications_need_confirmation(3) == ""
    assert "4 applications" in applications_need_confirmation(4)


def test_an_approval_of_a_deletion_needs_no_dry_run():
    world = World()
    world.put_managed(config("x"))
    run = Deletion(world, observed={"approval": ApprovalFact("missing", "abc")})
    verdict = run.walk()
    assert isinstance(verdict, Wait)
    assert verdict.code == "approval"
    assert world.log == []


def test_a_refused_delete_is_a_deletion_error():
    world = World()
    key = world.put_managed(deployment("api"))
    world.refuse("delete", key)
    verdict = Deletion(world).walk()
    assert isinstance(verdict, Failed)
    assert (verdict.code, verdict.retryable) == ("deletion_failed", True)


def test_deletion_hooks_run_by_wave_and_unknown_health_is_waited_for():
    world = World()
    second = hook("b", "PreDelete", annotations={"argocd.argoproj.io/sync-wave": "1"})
    run = Deletion(world, [second, hook("a", "PreDelete")], "HookTimeout=10m")
    run.walk()
    assert not world.has("batch/Job/shop/b")
    world.wait(601)
    assert isinstance(run.walk(), Failed)
    pod = obj("Pod", "p", annotations={HOOK: "PreDelete"}, spec={"restartPolicy": "Never"})
    run = Deletion(world, [pod])
    run.walk()
    world.touch(ResourceKey("", "Pod", "shop", "p"), status={"phase": "Unknown"})
    assert isinstance(run.walk(), Wait)


def test_detach_takes_our_marks_and_nothing_else():
    world = World()
    left = hook("migrate", "PreSync")
    left["metadata"]["finalizers"] = ["gitops-hub.io/hook-finalizer", "example.com/hold"]
    world.put_managed(left)
    world.put_managed(config("c"))
    world.put_managed(config("theirs"), app="other")
    step = detach_step(APP, HUB, dict(world.objects))
    assert step is not None
    assert [[(a.verb, a.patch_type, str(a.key)) for a in group] for group in step.groups] == [
        [("patch", "json", "batch/Job/shop/migrate")],
        [("patch", "merge", "ConfigMap/shop/c"), ("patch", "merge", "batch/Job/shop/migrate")],
    ]
    patch = step.groups[1][0].body["metadata"]
    assert patch["annotations"] == {"gitops-hub.io/tracking-id": None}
    assert patch["labels"] == {"gitops-hub.io/managed-by": None}
    assert detach_step("nobody", HUB, dict(world.objects)) is None


def test_deletion_options_of_the_application_hold_for_all():
    world = World()
    world.put_managed(config("x"))
    run = Deletion(world, [], "Delete=false")
    assert parse_sync_options(["Delete=false"])[0] == run.plan.options
    assert isinstance(run.walk(), Done)
    assert world.has("ConfigMap/shop/x")
    world.now += timedelta(seconds=1)
