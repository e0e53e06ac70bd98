"""Paths we do not write (sync-semantics.md 4.4, 6.5)."""

from __future__ import annotations

import copy
from typing import Any

from clusters.core.diff import (
    IgnoreRule,
    autoscaler_rule,
    autoscaler_rules,
    baseline_of,
    body_to_send,
    compare,
    compile_rules,
    drift,
    scale_targets,
)
from clusters.core.manifests import ResourceKey
from tests.core.clusters_diff.cases import KEY, answer_of, deployment, edited

WEB = ResourceKey("apps", "Deployment", "shop", "web")
SCALER = ResourceKey("autoscaling", "HorizontalPodAutoscaler", "shop", "api")
REPLICAS = compile_rules([IgnoreRule(group="apps", json_pointers=("/spec/replicas",))])


def scaled(by: str = "") -> dict[str, Any]:
    live = edited(answer_of(deployment()))
    live["spec"]["replicas"] = 5
    if by:
        fields = live["metadata"]["managedFields"][0]["fieldsV1"]
        del fields["f:spec"]["f:replicas"]
        entry = {
            "manager": by,
            "operation": "Update",
            "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
        live["metadata"]["managedFields"].append(entry)
    return live


def test_e40_hpa_replicas_are_ignored():
    rules = compile_rules([autoscaler_rule(WEB, SCALER)])
    made = baseline_of(answer_of(deployment()), deployment(), "h", key=KEY, rules=rules)
    assert drift(made, scaled(), key=KEY, rules=rules) is None
    result = compare(deployment(), scaled(), rules, show_ignored=True)
    assert result.equal
    assert [d.ignored_by for d in result.ignored] == [
        "replicas ignored: scaled by HorizontalPodAutoscaler shop/api"
    ]
    owned = body_to_send(deployment(), scaled(), rules)
    assert owned.manifest["spec"]["replicas"] == 5
    assert owned.reasons == ("replicas ignored: scaled by HorizontalPodAutoscaler shop/api",)
    taken = body_to_send(deployment(), scaled(by="kube-controller-manager"), rules)
    assert "replicas" not in taken.manifest["spec"]
    assert body_to_send(deployment(), scaled(), compile_rules([])).manifest["spec"]["replicas"] == 2


def hpa(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": spec,
    }


def test_scale_targets_of_both_kinds_of_autoscaler():
    keda = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "k", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"name": "worker"}},
    }
    going = hpa("old", scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"})
    going["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    api = hpa("api", scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
    found = scale_targets([api, keda, going, hpa("empty"), deployment()])
    assert found == {
        WEB: SCALER,
        ResourceKey("apps", "Deployment", "shop", "worker"): ResourceKey(
            "keda.sh", "ScaledObject", "shop", "k"
        ),
    }


def test_respect_autoscaler_can_be_switched_off_per_object():
    scaled_objects = {WEB: SCALER}
    manifest = deployment()
    assert autoscaler_rules(manifest, scaled_objects).paths
    manifest["metadata"]["annotations"] = {"gitops-hub.io/respect-autoscaler": "false"}
    assert not autoscaler_rules(manifest, scaled_objects).paths
    assert not autoscaler_rules(deployment(), {}).paths


def test_e41_ignored_but_written():
    assert body_to_send(deployment(), scaled(), compile_rules([])).manifest["spec"]["replicas"] == 2
    assert body_to_send(deployment(), scaled(), REPLICAS).manifest["spec"]["replicas"] == 5


def test_an_absent_object_gets_the_value_of_git():
    assert body_to_send(deployment(), None, REPLICAS).manifest["spec"]["replicas"] == 2


def test_a_put_always_carries_the_live_value():
    body = body_to_send(deployment(), scaled(by="hpa"), REPLICAS, replace=True)
    assert body.manifest["spec"]["replicas"] == 5


def test_a_path_that_left_git_but_is_still_solely_ours_is_kept():
    manifest = deployment()
    del manifest["spec"]["replicas"]
    assert body_to_send(manifest, scaled(), REPLICAS).manifest["spec"]["replicas"] == 5
    assert "replicas" not in body_to_send(manifest, scaled(by="hpa"), REPLICAS).manifest["spec"]


def test_list_items_are_found_by_their_key():
    expression = '.spec.template.spec.containers[] | select(.name == "web") | .image'
    rules = compile_rules([IgnoreRule(group="apps", jq_paths=(expression,))])
    live = edited(answer_of(deployment()))
    pod = live["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = "set-by-image-tool"
    pod["containers"].insert(0, {"name": "sidecar", "image": "x"})
    sent = body_to_send(deployment(), live, rules).manifest["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"]) for c in sent] == [("web", "set-by-image-tool")]
    foreign = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}}
    live["metadata"]["managedFields"].append({"manager": "tool", "operation": "Apply", "fieldsV1": foreign})
    sent = body_to_send(deployment(), live, rules).manifest["spec"]["template"]["spec"]["containers"]
    assert "image" not in sent[0]


def test_a_part_of_an_atomic_list_is_sent_as_it_is_live():
    manifest = {
        "apiVersion": "ex.io/v1",
        "kind": "W",
        "metadata": {"name": "w"},
        "spec": {"l": [{"a": 1, "ca": ""}]},
    }
    live = answer_of(manifest)
    live["spec"]["l"][0]["ca"] = "filled in"
    rules = compile_rules([IgnoreRule(group="ex.io", jq_paths=(".spec.l[].ca",))])
    assert body_to_send(manifest, live, rules).manifest["spec"] == {"l": [{"a": 1, "ca": "filled in"}]}


def test_fields_of_an_ignored_manager_are_left_out():
    rules = compile_rules([IgnoreRule(group="apps", managers=("hpa",))])
    before = deployment()
    body = body_to_send(before, scaled(by="hpa"), rules)
    assert "replicas" not in body.manifest["spec"]
    assert before == deployment()


def test_status_is_never_among_them():
    manifest = copy.deepcopy(deployment())
    rules = compile_rules([IgnoreRule(group="apps", json_pointers=("/status",))])
    live = scaled()
    live["status"] = {"replicas": 5}
    assert "status" not in body_to_send(manifest, live, rules).manifest


def test_a_place_that_jq_names_and_nothing_is_at_keeps_nothing_back():
    """`.containers[0,1].image` of a Pod with one container: the whole list was sent as it is live."""
    containers = ("spec", "template", "spec", "containers")

    def jq(_expression: str, _obj: dict[str, Any]) -> list[tuple[str | int, ...]]:
        return [(*containers, 1, "image")]

    rules = compile_rules([IgnoreRule(group="apps", jq_paths=(".spec | error",))], jq)
    wanted, live = deployment(), edited(answer_of(deployment()))
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:new"
    assert body_to_send(wanted, live, rules).manifest == wanted
    assert rules.ignored_places(live) == []
