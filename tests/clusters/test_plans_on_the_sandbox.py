"""Plans walked by real requests: the decisions of `clusters.core.plan` and the acts of `carry_out` must agree."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clusters import kube
from clusters.core.connection import Connection
from clusters.core.health import assess
from clusters.core.manifests import Manifest, ResourceKey, desired_set, key_of, stamp
from clusters.core.plan import (
    DeletionFacts,
    DeletionRequest,
    Done,
    Failed,
    Observed,
    PlanFacts,
    PlanRequest,
    Progress,
    Step,
    SyncPlan,
    Wait,
    advance,
    build_deletion,
    build_plan,
    index_desired,
    parse_sync_options,
    record,
    results,
    wanted_keys,
    wants_discovery,
)
from clusters.sandbox import Cluster, Sandbox
from clusters.services import carry_out, discovery
from tests.core.clusters_plan.world import config, deployment, hook, obj

DEADLINE_S = 20.0
NO_EVENT = threading.Event()


class Walker:
    """A caller of plans without a database: looks by GET, writes by the gate."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.connection = Connection(
            identity=cluster.name, server=cluster.server, token=cluster.token, allow_loopback=True
        )
        self.number = 0

    def live(self, key: ResourceKey) -> Manifest | None:
        info = discovery(self.connection).find(key.group, key.kind)
        if info is None:
            return None
        return self.cluster.get(info.api_version, key.kind, key.name, key.namespace)

    def plan(self, desired: list[Manifest], managed: list[Manifest], options: tuple[str, ...]) -> SyncPlan:
        self.number += 1
        request = PlanRequest(
            operation=str(self.number),
            application="shop",
            hub_id="h1",
            namespace="shop",
            started_at=datetime.now(UTC),
            revisions=("9f2c1d0",),
            prune=True,
            options=parse_sync_options(options)[0],
        )
        keys = {key_of(m) for m in (*desired, *managed)}
        live = {key: self.live(key) for key in keys if key.name}
        live[ResourceKey("", "Namespace", "", "shop")] = self.cluster.get("v1", "Namespace", "shop", "")
        return build_plan(
            request, PlanFacts(desired=desired, live=live, discovery=discovery(self.connection))
        )

    def walk(self, plan: SyncPlan, desired: list[Manifest]) -> tuple[Progress, Done | Failed, list[str]]:
        progress, steps = Progress.begin(datetime.now(UTC)), []
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            observed = Observed(
                desired=index_desired(desired),
                live={key: self.live(key) for key in wanted_keys(plan, progress)},
                health=lambda live, is_hook: assess(live, is_hook=is_hook),
                discovery=discovery(self.connection, fresh=wants_discovery(plan, progress)),
            )
            progress, verdict = advance(plan, progress, observed, datetime.now(UTC))
            progress = Progress.from_json(json.loads(json.dumps(progress.to_json())))
            if isinstance(verdict, Done | Failed):
                return progress, verdict, steps
            if isinstance(verdict, Wait):
                NO_EVENT.wait(0.02)
                continue
            assert isinstance(verdict, Step)
            steps.append(verdict.name)
            outcomes = carry_out(self.connection, verdict)
            progress = record(plan, progress, verdict, outcomes, datetime.now(UTC))
        raise AssertionError(f"not done in {DEADLINE_S} s: {verdict}")

    def sync(self, desired: list[Manifest], *options: str, managed: list[Manifest] | None = None) -> Any:
        stamped = [stamp(m, "shop", "h1", "shop") for m in desired]
        plan = self.plan(stamped, managed or [], options)
        progress, verdict, steps = self.walk(plan, stamped)
        return verdict, steps, {str(r.key): r for r in results(plan, progress)}


@pytest.fixture
def walker() -> Iterator[Walker]:
    with Sandbox(ready_after=0.05) as sandbox:
        yield Walker(sandbox.cluster("dev"))
    kube.shutdown()


def job(name: str, phase: str, policy: str = "", *, code: int = 0, ttl: int | None = None) -> Manifest:
    made = hook(name, phase, policy)
    made["spec"] = {
        "backoffLimit": 0,
        "template": {
            "metadata": {"annotations": {"sim/ends-after": "0.05", "sim/exit-code": str(code)}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "job:1"}]},
        },
    }
    if ttl is not None:
        made["spec"]["ttlSecondsAfterFinished"] = ttl
    return made


def web(name: str, wave: int | None = None, image: str = "web:1") -> Manifest:
    made = deployment(name, wave)
    labels = {"app": name}
    made["spec"] = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": image}]},
        },
    }
    return made


def test_phases_waves_and_hooks_run_in_order_and_again(walker: Walker) -> None:
    desired = [
        job("migrate", "PreSync"),
        web("api", 0),
        config("late", 1),
        job("smoke", "PostSync", "HookSucceeded", ttl=0),
    ]
    verdict, steps, found = walker.sync(desired, "CreateNamespace=true")
    assert verdict == Done("successfully synced (no more tasks)"), verdict
    assert steps[0] == "create_namespace"
    first = found["batch/Job/shop/migrate"]
    assert (first.state, first.health) == ("Succeeded", "Healthy")
    assert walker.cluster.get("batch/v1", "Job", "smoke", "shop") is None
    assert walker.cluster.get("batch/v1", "Job", "migrate", "shop")["metadata"].get("finalizers") in (
        None,
        [],
    )
    verdict, _, again = walker.sync(desired)
    assert isinstance(verdict, Done)
    assert again["batch/Job/shop/migrate"].uid != first.uid
    assert again["apps/Deployment/shop/api"].code == "Unchanged"


def test_a_failed_hook_stops_and_syncfail_runs(walker: Walker) -> None:
    desired = [job("migrate", "PreSync", "HookFailed", code=3), config("c"), job("undo", "SyncFail")]
    verdict, _, found = walker.sync(desired, "CreateNamespace=true")
    assert isinstance(verdict, Failed)
    assert found["batch/Job/shop/undo"].state == "Succeeded"
    assert walker.cluster.get("v1", "ConfigMap", "c", "shop") is None
    assert walker.cluster.get("batch/v1", "Job", "migrate", "shop") is None


def test_extras_are_pruned_and_foreign_objects_are_left(walker: Walker) -> None:
    walker.sync([config("a", 0), config("b", 1), config("keep")], "CreateNamespace=true")
    theirs = stamp(config("theirs"), "other", "h1", "shop")
    walker.cluster.apply(theirs)
    managed = [config("a"), config("b"), theirs]
    verdict, _, found = walker.sync([config("keep"), config("theirs")], managed=managed)
    assert isinstance(verdict, Done)
    assert [found[f"ConfigMap/shop/{n}"].code for n in ("a", "b", "theirs")] == [
        "Pruned",
        "Pruned",
        "SharedSkipped",
    ]
    assert walker.cluster.get("v1", "ConfigMap", "a", "shop") is None


def test_adoption_makes_removed_fields_disappear(walker: Walker) -> None:
    walker.sync([config("x")], "CreateNamespace=true")
    before = config("c")
    before["data"] = {"a": "1", "gone": "1"}
    walker.cluster.create(before, manager="kubectl-client-side-apply")
    verdict, steps, found = walker.sync([config("c")])
    assert isinstance(verdict, Done)
    assert steps == ["adopt", "apply"]
    assert "adopts existing object" in found["ConfigMap/shop/c"].message
    assert walker.cluster.get("v1", "ConfigMap", "c", "shop")["data"] == {"a": "1"}


def test_an_immutable_field_is_named_or_recreated(walker: Walker) -> None:
    walker.sync([config("x")], "CreateNamespace=true")
    ports = [{"port": 80}]
    service = obj("Service", "s", spec={"ports": ports, "clusterIP": "10.96.0.10"})
    assert isinstance(walker.sync([service])[0], Done)
    other = {**service, "spec": {"ports": ports, "clusterIP": "10.96.0.11"}}
    verdict, _, _ = walker.sync([other])
    assert isinstance(verdict, Failed)
    assert "clusterIP" in verdict.message
    assert "Force=true" in verdict.message
    verdict, steps, found = walker.sync([other], "Force=true")
    assert isinstance(verdict, Done), verdict
    assert steps == ["apply", "delete", "apply"]
    assert found["Service/shop/s"].message.startswith("recreated")


def test_a_crd_and_its_instance_in_one_sync(walker: Walker) -> None:
    crd = obj("CustomResourceDefinition", "gadgets.example.com", group="apiextensions.k8s.io")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd["spec"] = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    gadget = obj("Gadget", "g", group="example.com", spec={"a": 1})
    verdict, _, _ = walker.sync([gadget, crd], "CreateNamespace=true")
    assert isinstance(verdict, Done), verdict
    assert walker.cluster.get("example.com/v1", "Gadget", "g", "shop") is not None


def test_replace_and_recreate(walker: Walker) -> None:
    walker.sync([config("x")], "CreateNamespace=true")
    replaced = config("c", annotations={"argocd.argoproj.io/sync-options": "Replace=true"})
    assert isinstance(walker.sync([replaced])[0], Done)
    replaced = {**replaced, "data": {"b": "2"}}
    assert isinstance(walker.sync([replaced])[0], Done)
    assert walker.cluster.get("v1", "ConfigMap", "c", "shop")["data"] == {"b": "2"}
    both = config("r", annotations={"argocd.argoproj.io/sync-options": "Force=true,Replace=true"})
    uids = []
    for _ in range(2):
        assert isinstance(walker.sync([both])[0], Done)
        uids.append(walker.cluster.get("v1", "ConfigMap", "r", "shop")["metadata"]["uid"])
    assert uids[0] != uids[1]


def test_a_deletion_removes_what_is_managed(walker: Walker) -> None:
    desired = [config("a", 0), web("api", 1), job("bye", "PreDelete"), job("last", "PostDelete")]
    assert isinstance(walker.sync(desired, "CreateNamespace=true")[0], Done)
    stamped = [stamp(m, "shop", "h1", "shop") for m in desired]
    request = DeletionRequest("9", "shop", "h1", "shop", datetime.now(UTC))
    live = {key_of(m): walker.live(key_of(m)) for m in stamped}
    plan = build_deletion(request, DeletionFacts(live=live, desired=stamped))
    _, verdict, _ = walker.walk(plan, stamped)
    assert verdict == Done("successfully deleted")
    assert all(walker.live(key_of(m)) is None for m in stamped)


def test_the_desired_set_of_a_render_goes_straight_through(walker: Walker) -> None:
    scopes = discovery(walker.connection)
    found = desired_set(
        [config("c"), web("api")],
        namespace="shop",
        namespaced=lambda group, kind: info.namespaced if (info := scopes.find(group, kind)) else None,
    )
    verdict, _, _ = walker.sync(list(found.manifests.values()), "CreateNamespace=true")
    assert verdict == Done("successfully synced (all tasks run)")
