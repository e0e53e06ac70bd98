"""Whatever is planned ends; a kill between any two steps changes nothing; no hook runs twice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.core.plan import Done, Failed, Progress, Step, SyncPlan, Wait, record
from tests.core.clusters_plan.world import WAVE, Run, World, config, deployment, hook, obj

WAVES = st.integers(-2, 3)
PHASES = st.sampled_from(["PreSync", "Sync", "PostSync", "SyncFail", "PreSync,PostSync"])
POLICIES = st.sampled_from(
    ["", "HookSucceeded", "HookFailed", "BeforeHookCreation,HookSucceeded", "HookSucceeded,HookFailed"]
)


@st.composite
def cases(draw: Any) -> dict[str, Any]:
    desired = [config(f"c{n}", draw(WAVES)) for n in range(draw(st.integers(0, 3)))]
    desired += [deployment(f"d{n}", draw(WAVES)) for n in range(draw(st.integers(0, 2)))]
    for n in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["Job", "Job", "ServiceAccount"]))
        made = hook(f"h{n}", draw(PHASES), draw(POLICIES), kind, annotations={WAVE: str(draw(WAVES))})
        desired.append(made)
    return {
        "desired": desired,
        "extras": [config(f"x{n}", draw(WAVES)) for n in range(draw(st.integers(0, 3)))],
        "left_hooks": draw(st.sets(st.integers(0, 2))),
        "bad": draw(st.sets(st.sampled_from(["h0", "h1", "h2", "d0", "d1"]))),
        "in_place": draw(st.sets(st.sampled_from(["c1", "c2", "d0"]))),
        "refused": draw(st.sets(st.sampled_from(["c0", "x1", "d1"]))),
        "options": draw(
            st.sampled_from([(), ("PruneLast=true",), ("WaitForHealthy=true",), ("DryRun=local",)])
        ),
    }


def world_of(case: dict[str, Any]) -> World:
    world = World()
    for extra in case["extras"]:
        world.put_managed(extra)
    for manifest in case["desired"]:
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "Job" and int(name[1:]) in case["left_hooks"]:
            world.put_managed(manifest)
            world.end_job(name)
        elif name in case["in_place"]:
            world.put_managed(manifest)
    for kind, name in (("ConfigMap", "c0"), ("ConfigMap", "x1"), ("Deployment", "d1")):
        if name in case["refused"]:
            for verb in ("apply", "delete"):
                world.refuse(verb, next(iter(_keys(kind, name))))
    return world


def _keys(kind: str, name: str) -> list[Any]:
    from clusters.core.manifests import key_of

    return [key_of(obj(kind, name))]


def operation(world: World, case: dict[str, Any]) -> Run:
    in_place = frozenset(key for key in world.objects if key.name in case["in_place"])
    return Run(world, case["desired"], *case["options"], facts={"in_place": in_place})


def turn(world: World, bad: set[str]) -> None:
    """What controllers do while the operation waits."""
    for key in list(world.objects):
        if key.kind == "Job" and not world.objects[key].get("status"):
            world.end_job(key.name, good=key.name not in bad)
        if key.kind == "Deployment" and not world.objects[key].get("status"):
            if key.name in bad:
                world.degrade(key.name)
            else:
                world.ready(key.name)


def drive(case: dict[str, Any], kills: list[str], faults: list[str] | None = None) -> tuple[Run, Any, World]:
    world = world_of(case)
    world.faults = list(faults or [])
    run = operation(world, case)
    kills = list(kills)
    for _ in range(400):
        verdict = run.decide()
        if isinstance(verdict, Done | Failed):
            return run, verdict, world
        if isinstance(verdict, Wait):
            turn(world, case["bad"])
            world.now += timedelta(seconds=1)
            continue
        kill = kills.pop(0) if kills else "none"
        if kill == "before":
            continue
        outcomes = world.carry_out(verdict)
        if kill == "after":
            continue
        run.progress = record(run.plan, run.progress, verdict, outcomes, world.now)
    raise AssertionError(f"the operation does not end: {verdict}")


def hook_runs(run: Run, world: World) -> Counter[str]:
    hooks = {str(task.key) for task in run.plan.tasks if task.hook}
    return Counter(key for key in world.created if key in hooks)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_every_plan_ends_and_no_hook_runs_twice(case):
    run, verdict, world = drive(case, [])
    runs = hook_runs(run, world)
    phases = Counter(str(task.key) for task in run.plan.tasks if task.hook)
    assert all(count <= phases[key] for key, count in runs.items())
    if isinstance(verdict, Done):
        assert all(world.has(str(t.key)) for t in run.plan.tasks if t.action == "apply")
        assert not any(world.has(str(t.key)) for t in run.plan.prunes)
    for manifest in world.objects.values():
        assert "gitops-hub.io/hook-finalizer" not in (manifest["metadata"].get("finalizers") or ())


@settings(max_examples=40, deadline=None)
@given(cases(), st.lists(st.sampled_from(["none", "before", "after"]), max_size=12))
def test_a_kill_between_any_two_steps_changes_nothing(case, kills):
    run, verdict, world = drive(case, [])
    again, second, other = drive(case, kills)
    assert type(second) is type(verdict)
    assert second.message == verdict.message
    assert set(other.objects) == set(world.objects)
    assert hook_runs(again, other) == hook_runs(run, world)


@settings(max_examples=40, deadline=None)
@given(cases(), st.lists(st.sampled_from(["none", "none", "lost", "refused"]), max_size=30))
def test_lost_answers_and_busy_servers_change_nothing(case, faults):
    run, verdict, world = drive(case, [])
    again, second, other = drive(case, [], faults)
    assert type(second) is type(verdict)
    phases = Counter(str(task.key) for task in again.plan.tasks if task.hook)
    assert all(count <= phases[key] for key, count in hook_runs(again, other).items())
    # After a failure it depends on the moment which siblings had begun; a success is always the same.
    if isinstance(verdict, Done):
        assert second.message == verdict.message
        assert set(other.objects) == set(world.objects)
        assert hook_runs(again, other) == hook_runs(run, world)
    for manifest in other.objects.values():
        assert "gitops-hub.io/hook-finalizer" not in (manifest["metadata"].get("finalizers") or ())


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(1, 8))
def test_termination_ends_from_everywhere_and_leaves_no_finalizer(case, after):
    world = world_of(case)
    run = operation(world, case)
    for _ in range(after):
        verdict = run.step()
        if not isinstance(verdict, Step):
            turn(world, case["bad"])
            world.now += timedelta(seconds=1)
    if isinstance(run.decide(), Done | Failed):
        return
    run.observe_with(terminate=True)
    verdict = run.walk()
    assert isinstance(verdict, Failed)
    assert not verdict.retryable
    running = [t for t in run.plan.tasks if t.hook and t.ends and run.progress.of(t).started_at]
    for task in running:
        live = world.objects.get(task.key)
        assert live is None or "gitops-hub.io/hook-finalizer" not in (
            live["metadata"].get("finalizers") or ()
        )


@settings(max_examples=40, deadline=None)
@given(cases())
def test_plan_and_progress_survive_json(case):
    run, _, _ = drive(case, [])
    assert SyncPlan.from_json(run.plan.to_json()) == run.plan
    assert Progress.from_json(run.progress.to_json()) == run.progress


@settings(max_examples=50, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_manifests_does_not_matter(case, random):
    one = Run(world_of(case), case["desired"])
    shuffled = list(case["desired"])
    random.shuffle(shuffled)
    assert Run(world_of(case), shuffled).plan.tasks == one.plan.tasks
