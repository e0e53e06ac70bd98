"""Rules that change under a running sync, and shared objects (B4; access-and-api.md W06 to W09; E32, E33)."""

from __future__ import annotations

import copy

import pytest

from hub.models import Application, Project
from hub.reconcile import operating
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, deployment, one_pass
from tests.hub.factories import OPEN


def rules(world: World, **parts: object) -> None:
    """The Project's rules, changed by SQL: no service, no generation, no hint."""
    document = {**copy.deepcopy(OPEN), **parts}
    Project.objects.filter(id=world.project.id).update(rules=document)


def test_w07_a_rule_removed_between_waves_stops_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one pass: wave 0 stays, nothing of wave 1 is sent, the operation says which rule."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + config("two", wave="1") + config("three", wave="2")})
    app = world.application()
    world.run(app)
    operation = world.sync(app)
    real = operating.carry_out

    def takes_away(connection: object, step: object) -> object:
        outcomes = real(connection, step)  # type: ignore[arg-type]
        if step.name == "apply":  # type: ignore[attr-defined]
            rules(world, destinations={"allow": [{"name": "*", "namespace": "elsewhere"}]})
        return outcomes

    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", takes_away)
        faults.ended(world, operation)
    assert operation.phase == "Failed"
    assert "not permitted" in operation.message or "rule" in operation.message, operation.message
    assert faults.names(world) == ["one"]
    assert "ProjectPolicyViolation" in faults.codes(app) | {operation.wait.get("code")}


def test_b4_a_rule_removed_while_a_wave_waits_stops_the_next_one(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.kube.faults.add("not_ready")
    world.commit({"deploy/c.yaml": deployment("api") + config("two", wave="1")})
    app = world.application()
    world.run(app)
    operation = faults.waits_for(world, world.sync(app), "health")
    rules(world, namespaced_kinds={"deny": [{"group": "", "kind": "ConfigMap"}]})
    world.kube.faults.clear()
    world.kube.patch("apps/v1", "Deployment", "api", {"metadata": {"labels": {"poke": "1"}}}, "shop")
    world.kube.run(lambda backend: None)
    faults.ended(world, operation)
    assert operation.phase == "Failed", operation.message
    assert faults.names(world) == []
    assert world.kube.get("apps/v1", "Deployment", "api", "shop") is not None


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"destinations": {"allow": [{"name": "*", "namespace": "elsewhere"}]}}, "destination"),
        ({"sources": {"allow": ["https://git.example.com/**"]}}, "source"),
    ],
    ids=["destination", "source"],
)
def test_b4_a_project_changed_by_sql_is_judged_at_plan(
    world: World, change: dict[str, object], kept: str
) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application(sync_policy=AUTOMATED)
    rules(world, **change)
    world.run(app)
    for _ in range(3):
        one_pass(app)
    assert faults.names(world) == [], kept
    assert "ProjectPolicyViolation" in faults.codes(app)
    operation = faults.ended(world, world.sync(app))
    assert operation.phase == "Failed"
    assert faults.names(world) == []


def test_b4_an_application_changed_by_sql_is_judged_at_plan(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bank"}})
    rules(world, destinations={"allow": [{"name": "*", "namespace": "shop"}]})
    world.commit({"deploy/c.yaml": config("one").replace("namespace: shop, ", "")})
    app = world.application()
    world.run(app)
    Application.objects.filter(id=app.id).update(destination_namespace="bank")
    operation = faults.ended(world, world.sync(app))
    assert operation.phase == "Failed"
    assert [o["metadata"]["name"] for o in world.kube.list("v1", "ConfigMap", "bank")] in (
        [],
        ["kube-root-ca.crt"],
    )


def test_w06_one_foreign_namespace_and_nothing_is_applied(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bank"}})
    rules(world, destinations={"allow": [{"name": "*", "namespace": "shop"}]})
    world.commit({"deploy/c.yaml": config("good") + config("stray", namespace="bank")})
    app = world.application()
    world.run(app)
    operation = faults.ended(world, world.sync(app))
    assert operation.phase == "Failed"
    assert operation.message.startswith("one or more synchronization tasks are not valid")
    assert "destination dev/bank is not permitted" in operation.message
    assert operation.wait.get("code") == "ProjectPolicyViolation"
    assert faults.names(world) == []


def test_w08_a_cluster_kind_outside_the_list_stops_everything(world: World) -> None:
    world.kube.create(NAMESPACE)
    rules(world, cluster_kinds={"allow": [{"group": "", "kind": "Namespace", "name": "shop-*"}]})
    role = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\nrules: []\n---\n"
    )
    space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop-a}\n---\n"
    world.commit({"deploy/c.yaml": role + space})
    app = world.application()
    world.run(app)
    operation = faults.ended(world, world.sync(app))
    assert operation.phase == "Failed"
    refused = faults.conditions(app, "InvalidSpec")
    assert len(refused) == 1
    assert "ClusterRole" in refused[0]
    assert world.kube.get("v1", "Namespace", "shop-a") is None


def test_w09_an_empty_list_of_namespaced_kinds_permits_none(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": deployment("api")})
    app = world.application()
    rules(world, namespaced_kinds={"allow": []})
    world.run(app)
    assert faults.ended(world, world.sync(app)).phase == "Failed"
    assert world.kube.get("apps/v1", "Deployment", "api", "shop") is None
    rules(world)
    world.run(app)
    assert faults.ended(world, world.sync(app)).phase == "Succeeded"


def test_e32_foreign_tracking_is_refused(world: World) -> None:
    world.kube.create(NAMESPACE)
    tracked = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "one",
            "namespace": "shop",
            "annotations": {"argocd.argoproj.io/tracking-id": "web:/ConfigMap:shop/one"},
        },
        "data": {"value": "theirs"},
    }
    made = world.kube.create(tracked)
    world.commit({"deploy/c.yaml": config("one") + config("two")})
    app = world.application("ours", sync_policy=AUTOMATED)
    world.run(app)
    operation = faults.ended(world, world.sync(app))
    rows = {row["name"]: row for row in operation.results}
    assert (operation.phase, rows["one"]["code"]) == ("Succeeded", "SharedSkipped")
    assert any("Argo CD application web" in text for text in faults.conditions(app, "SharedResource"))
    assert world.kube.get("v1", "ConfigMap", "one", "shop") == made
    assert world.kube.get("v1", "ConfigMap", "two", "shop") is not None


def test_e33_two_applications_share(world: World) -> None:
    """The first keeps it, the second says so; with FailOnSharedResource it fails before any write."""
    world.kube.create(NAMESPACE)
    world.commit({"a/c.yaml": config("shared", "a"), "b/c.yaml": config("shared", "b") + config("own")})
    first = world.application("a", path="a", sync_policy=AUTOMATED)
    second = world.application("b", path="b")
    world.run(first)
    world.run(second)
    strict = faults.ended(world, world.sync(second, sync_options=["FailOnSharedResource=true"]))
    assert (strict.phase, strict.message.startswith("Shared resource found")) == ("Failed", True)
    assert faults.names(world) == ["shared"]
    operation = faults.ended(world, world.sync(second))
    assert operation.phase == "Succeeded"
    assert {row["name"]: row["code"] for row in operation.results}["shared"] == "SharedSkipped"
    world.run(first)
    found = world.kube.get("v1", "ConfigMap", "shared", "shop")
    assert found is not None
    assert found["data"] == {"value": "a"}
    assert any("application a" in text for text in faults.conditions(second, "SharedResource"))
    assert first.sync_status == "Synced"
    # Pruned by neither: b never owned it.
    world.commit({"b/c.yaml": config("own")})
    world.poll()
    faults.ended(world, world.sync(second, prune=True))
    assert faults.names(world) == ["own", "shared"]


def test_b16_an_object_of_unknown_scope_is_not_sent_unjudged(world: World) -> None:
    """Nobody can say whether it is cluster-scoped, and the Project permits no such kind: nothing of it is applied."""
    world.kube.create(NAMESPACE)
    rules(world, cluster_kinds={"allow": []})
    text = (
        "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g, namespace: shop, annotations: "
        "{argocd.argoproj.io/sync-options: SkipDryRunOnMissingResource=true}}\n---\n"
    )
    world.commit({"deploy/c.yaml": text})
    app = world.application()
    world.run(app)
    operation = faults.ended(world, world.sync(app))
    assert operation.phase == "Failed"
    assert "cannot be judged" in operation.message, operation.message
    gadgets = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    world.kube.create(gadgets)
    world.run(app)
    again = faults.ended(world, world.sync(app))
    assert (again.phase, again.wait.get("code")) == ("Failed", "ProjectPolicyViolation")
    assert world.kube.list("example.com/v1", "Gadget") == []
