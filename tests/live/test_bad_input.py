"""Bad input on the real API server: one clear condition each, and the rest goes on."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from clusters.models import Cluster
from hub.models import Application, SyncOperation
from hub.reconcile import operating
from tests.flow.faults import conditions
from tests.live.realworld import RealWorld, real_world
from tests.live.worldview import until

__all__ = ["real_world"]
pytestmark = pytest.mark.live


def config(name: str, wave: int = 0, namespace: str = "") -> str:
    space = f", namespace: {namespace}" if namespace else ""
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{space}, "
        f'annotations: {{argocd.argoproj.io/sync-wave: "{wave}"}}}}\ndata: {{a: "1"}}\n---\n'
    )


def last(app: Application) -> SyncOperation:
    found = app.operations.first()
    assert found is not None
    return found


def names(world: RealWorld) -> list[str]:
    found = [item["metadata"]["name"] for item in world.kube.list("v1", "ConfigMap", world.namespace)]
    return sorted(name for name in found if name != "kube-root-ca.crt")


def policy(world: RealWorld) -> tuple[dict[str, Any], dict[str, Any]]:
    """A policy of the cluster that refuses ConfigMaps called `bad` in our namespace, and its binding."""
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": world.namespace}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    spaces = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    return (
        group
        | {
            "kind": "ValidatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [
                    {"expression": "object.metadata.name != 'bad'", "message": "no bananas here"}
                ],
            },
        },
        group
        | {
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {
                "policyName": world.namespace,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": spaces},
            },
        },
    )


def is_refused(world: RealWorld) -> bool:
    path = f"/api/v1/namespaces/{world.namespace}/configmaps?dryRun=All"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}}
    try:
        world.plane.request("POST", path, body)
    except Exception as error:
        return "no bananas here" in str(error)
    return False


@pytest.mark.parametrize("mode", ["local", "server"])
def test_a_refusal_in_wave_three_of_five_stops_there_and_says_why(real_world: RealWorld, mode: str) -> None:
    world = real_world
    refusal, binding = policy(world)
    world.create_object(refusal)
    world.create_object(binding)
    until(lambda: is_refused(world))
    text = "".join(config("bad" if n == 3 else f"w{n}", n) for n in range(1, 6)) + config("sibling", 3)
    app = world.deployed({"all.yaml": text}, sync_policy={"sync_options": [f"DryRun={mode}"]})
    assert last(app).phase == "Failed"
    assert names(world) == (["sibling", "w1", "w2"] if mode == "local" else [])
    assert ["no bananas here" in message for message in conditions(app)] == [True]
    world.remove(binding)
    until(lambda: not is_refused(world))
    world.sync(app)
    world.run(app)
    assert (app.sync_status, conditions(app)) == ("Synced", [])


def test_a_crd_removed_during_a_sync_fails_its_objects_only(
    real_world: RealWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = real_world
    group = f"{world.namespace}.example.com"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
    }
    text = (
        f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\n"
        f"spec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Widget, plural: widgets}}\n  versions:\n"
        "  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, "
        "x-kubernetes-preserve-unknown-fields: true}}}\n---\n"
    )
    widget = (
        f"apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: one, annotations: "
        '{argocd.argoproj.io/sync-wave: "2"}}\nspec: {a: 1}\n---\n'
    )
    real = operating.carry_out

    def carried(connection: Any, step: Any) -> Any:
        outcomes = real(connection, step)
        if any(o.action.key.name == "gate" and o.ok and not o.action.dry_run for o in outcomes):
            world.remove(crd)
            until(lambda: world.read(crd) is None)
        return outcomes

    monkeypatch.setattr(operating, "carry_out", carried)
    app = world.deployed(
        {"all.yaml": text + config("gate", 1) + widget + config("after", 2)},
        passes=400,  # a kind whose CRD was just written is asked for again for 5 s (3.3 f)
    )
    assert last(app).phase == "Failed"
    assert names(world) == ["after", "gate"]
    assert len(conditions(app)) == 1
    assert "Widget" in conditions(app)[0]


def test_a_namespace_stuck_in_terminating_is_named_and_others_go_on(real_world: RealWorld) -> None:
    world, stuck = real_world, f"stuck-{secrets.token_hex(3)}"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stuck}}
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "holds", "namespace": stuck}}
    held["metadata"]["finalizers"] = ["example.com/hold"]  # type: ignore[index]
    world.create_object(space)
    world.create_object(held)
    world.remove(space)
    world.commit({"deploy/all.yaml": config("calm") + config("late", namespace=stuck)})
    app = world.application(
        f"web-{world.namespace}", destination={"cluster": "dev", "namespace": world.namespace}
    )
    world.run(app)
    world.sync(app)
    world.run(app, until=lambda a: bool(last(a).wait.get("reason")), passes=100)
    assert names(world) == ["calm"]
    assert f"unable to create new content in namespace {stuck}" in last(app).message
    world.edit(held, {"metadata": {"finalizers": None}})


def test_a_kind_that_may_not_be_listed_is_named_and_the_rest_is_synced(
    real_world: RealWorld, tmp_path: Path
) -> None:
    """The hub's account may do everything in the cluster but list Secrets."""
    world = real_world
    rbac, account = "rbac.authorization.k8s.io", {"name": "narrow", "namespace": world.namespace}
    verbs = ["get", "create", "patch", "update", "delete"]
    rules = [
        {"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs},
    ]
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": world.namespace}}
    reference = {"apiGroup": rbac, "kind": "ClusterRole", "name": world.namespace}
    world.create_object({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    world.create_object(role | {"rules": rules})
    binding = role | {"kind": "ClusterRoleBinding", "roleRef": reference}
    world.create_object(binding | {"subjects": [{"kind": "ServiceAccount", **account}]})
    path = f"/api/v1/namespaces/{world.namespace}/serviceaccounts/narrow/token"
    token = world.plane.request(
        "POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    )
    Cluster.objects.filter(id=world.cluster.id).update(generation=world.cluster.generation + 1)
    row = Cluster.objects.get(id=world.cluster.id)
    row.token = token["status"]["token"]
    row.save(update_fields=["token"])
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: YQ==}\n---\n"
    app = world.deployed({"all.yaml": config("calm") + secret})
    assert names(world) == ["calm"]
    assert app.sync_status == "Unknown"
    assert ["listing of Secret is incomplete" in message for message in conditions(app)] == [True], (
        conditions(app)
    )
