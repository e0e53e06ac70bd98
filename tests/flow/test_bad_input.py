"""Bad input: one clear condition each, and the rest goes on."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hub.models import Application, SyncOperation
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, conditions, config, names

ANNOTATED = """apiVersion: v1
kind: ConfigMap
metadata: {{name: odd, namespace: shop, annotations: {{{notes}}}}}
data: {{a: "1"}}
---
"""
CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com, annotations: {argocd.argoproj.io/sync-wave: "0"}}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
"""
WIDGET = """apiVersion: example.com/v1
kind: Widget
metadata: {name: one, namespace: shop, annotations: {argocd.argoproj.io/sync-wave: "2"}}
spec: {a: 1}
---
"""


def last(app: Application) -> SyncOperation:
    found = app.operations.first()
    assert found is not None
    return found


def results(operation: SyncOperation) -> dict[str, str]:
    return {row["name"]: row["state"] for row in operation.results}


def synced(world: World, text: str, **more: Any) -> Application:
    """An Application of this text, looked at and synced by hand; the operation has ended."""
    if world.kube.get("v1", "Namespace", "shop") is None:
        world.kube.create(NAMESPACE)
    world.commit({"deploy/all.yaml": text})
    app = world.application(**more)
    world.run(app)
    world.sync(app)
    return world.run(app, passes=200)


# An annotation, and what its one condition says; nothing where the text means nothing or nobody reads it.
NOTES = {
    'argocd.argoproj.io/sync-wave: "first"': "ConfigMap/shop/odd: argocd.argoproj.io/sync-wave: 'first' is not an integer",
    'argocd.argoproj.io/sync-wave: "1.5"': "'1.5' is not an integer",
    'argocd.argoproj.io/sync-wave: "99999999999999999999"': "is not an integer and is ignored",
    'argocd.argoproj.io/sync-wave: ""': "'' is not an integer",
    "argocd.argoproj.io/hook: PreSnyc": "hook PreSnyc is not known",
    'argocd.argoproj.io/hook: "Sync,PreSnyc"': "hook 'PreSnyc' is not known and is ignored",
    'argocd.argoproj.io/hook: "Sync", argocd.argoproj.io/hook-delete-policy: "HookSucceeded,Never"': "'Never' is not known",
    'argocd.argoproj.io/hook: "Skip,Sync"': "",
    'argocd.argoproj.io/hook: ", ,"': "",
    'argocd.argoproj.io/hook-delete-policy: "HookSucceeded,Never,BeforeHookCreation"': "",
    'argocd.argoproj.io/sync-options: "Prune=maybe,=,,Force=,Replace=yes=no"': "value that is not understood",
    'argocd.argoproj.io/sync-options: "Frobnicate=true"': "sync option 'Frobnicate=true' is not known",
    'argocd.argoproj.io/sync-options: "Prune=false,Prune=true,Force=true,Force=false"': "",
    'argocd.argoproj.io/compare-options: "§"': "",
    'gitops-hub.io/hook-run-when: "changed: ; ;=("': "",
    'argocd.argoproj.io/tracking-id: "::::/"': "",
    'gitops-hub.io/depends-on: ",,a b"': "",
}


@pytest.mark.parametrize("notes", NOTES)
def test_an_annotation_of_any_text_is_one_condition_and_disturbs_nothing_else(
    world: World, notes: str
) -> None:
    app = synced(world, ANNOTATED.format(notes=notes) + config("calm"))
    assert "calm" in names(world)
    assert (last(app).phase, app.sync_status) == ("Succeeded", "Synced")
    found = conditions(app)
    assert len(found) == (1 if NOTES[notes] else 0)
    assert all(NOTES[notes] in message for message in found)


def test_a_refusal_in_wave_three_of_five_stops_there_and_says_why(world: World) -> None:
    world.kube.faults.add("deny", name="w3", message="no bananas here")
    text = "".join(config(f"w{n}", wave=str(n)) for n in range(1, 6)) + config("sibling", wave="3")
    app = synced(world, text, sync_policy={"sync_options": ["DryRun=local"]})
    assert last(app).phase == "Failed"
    assert names(world) == ["sibling", "w1", "w2"]
    assert ["no bananas here" in message for message in conditions(app)] == [True]
    world.kube.faults.clear()
    world.sync(app)
    world.run(app)
    assert (app.sync_status, conditions(app)) == ("Synced", [])


def test_e09_the_pre_flight_finds_the_refusal_before_anything_is_written(world: World) -> None:
    world.kube.faults.add("deny", name="w3", message="no bananas here")
    app = synced(world, "".join(config(f"w{n}", wave=str(n)) for n in range(1, 6)))
    assert (last(app).phase, names(world)) == ("Failed", [])
    assert ["no bananas here" in message for message in conditions(app)] == [True]


def test_a_crd_removed_during_a_sync_fails_its_objects_only(world: World) -> None:
    slow = config("gate", wave="1")
    world.kube.create(NAMESPACE)
    world.commit({"deploy/all.yaml": CRD + slow + WIDGET + config("after", wave="2")})
    app = world.application()
    world.run(app)
    from hub.reconcile import operating

    real = operating.carry_out

    def carried(connection: Any, step: Any) -> Any:
        outcomes = real(connection, step)
        if any(o.action.key.name == "gate" and o.ok and not o.action.dry_run for o in outcomes):
            world.kube.delete(
                "apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com", ""
            )
        return outcomes

    operating.carry_out = carried
    try:
        world.sync(app)
        world.run(app, passes=1000)  # a kind whose CRD was just written is asked for again for 5 s (3.3 f)
    finally:
        operating.carry_out = real
    assert (last(app).phase, results(last(app))["one"], names(world)) == (
        "Failed",
        "Failed",
        ["after", "gate"],
    )
    assert conditions(app) == [
        "one or more objects failed to apply, reason: the cluster does not serve example.com/Widget"
    ]


def test_a_namespace_stuck_in_terminating_is_named_and_others_go_on(world: World) -> None:
    for name in ("shop", "stuck"):
        world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    world.kube.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "holds", "namespace": "stuck", "finalizers": ["example.com/hold"]},
        }
    )
    world.kube.delete("v1", "Namespace", "stuck", "")
    world.commit({"deploy/all.yaml": config("calm") + config("late", namespace="stuck")})
    app = world.application()
    world.run(app)
    world.sync(app)
    world.run(
        app, until=lambda a: bool(last(a).wait.get("reason")) or last(a).phase in ("Failed", "Succeeded")
    )
    assert names(world) == ["calm"]
    assert "unable to create new content in namespace stuck" in last(app).message
    assert results(last(app)) == {"calm": "Running", "late": "pending"}


def test_a_kind_that_may_not_be_listed_is_named_and_the_rest_is_synced(world: World) -> None:
    world.kube.faults.add("status", verb="list", resource="secrets", code=403)
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata: {a: YQ==}\n---\n"
    app = synced(world, config("calm") + secret)
    assert names(world) == ["calm"]
    assert app.sync_status == "Unknown"
    assert ["listing of Secret is incomplete" in message for message in conditions(app)] == [True]


@pytest.mark.timeout(180)
def test_five_thousand_objects_in_one_application(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit(
        {
            f"deploy/{n // 250}.yaml": "".join(config(f"c{m}") for m in range(n, n + 250))
            for n in range(0, 5000, 250)
        }
    )
    app = world.application(sync_policy=AUTOMATED)
    started = time.perf_counter()
    world.run(app, passes=200)
    first = time.perf_counter() - started
    started = time.perf_counter()
    world.run(app)
    print(
        f"5000 objects: {first:.1f} s until Synced, {time.perf_counter() - started:.1f} s to look again",
        app.stages,
    )
    assert (app.sync_status, app.resources.count(), len(names(world))) == ("Synced", 5000, 5000)


@pytest.mark.parametrize("spec", ["x", "[1]", "{names: [1], group: 5, versions: x}"])
def test_a_definition_whose_spec_is_none_fails_in_words_of_the_server(world: World, spec: str) -> None:
    """It ended every pass of its application without a word."""
    head = CRD.partition("spec:")[0]
    app = synced(world, f"{head}spec: {spec}\n---\n{config('one')}")
    assert last(app).phase == "Failed"
    assert "customresourcedefinition" in last(app).message.lower() or "dry run" in last(app).message
    assert not conditions(app, "ComparisonError")


@pytest.mark.parametrize("status", ["text", [1], {"conditions": "x"}, {"conditions": [1, None]}])
def test_a_status_of_any_shape_ends_no_pass_and_no_wave(world: World, status: Any) -> None:
    """Kinds of other people may have any status; the wave of a Widget ends as soon as it may be believed."""
    app = synced(world, CRD + WIDGET)
    assert last(app).phase == "Succeeded"
    world.kube.patch("example.com/v1", "Widget", "one", {"status": status}, "shop")
    waves = WIDGET.replace("a: 1", "a: 2") + config("after", wave="3")
    world.commit({"deploy/all.yaml": CRD + waves})
    world.poll()
    world.run(app)
    world.sync(app)
    app = world.run(app, passes=200)
    assert (last(app).phase, names(world)) == ("Succeeded", ["after"])
