"""Target against live without a Baseline (sync-semantics.md 6.1)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from clusters.core.diff import CompareOptions, IgnoreRule, compare, compile_rules, leaf_set
from clusters.core.diff.scalars import duration, quantity, same_scalar
from tests.core.clusters_diff.cases import answer_of, config_map, deployment, managed, secret


def differing(target: dict[str, Any], live: dict[str, Any], **options: Any) -> list[str]:
    return [d.where for d in compare(target, live, **options).differences]


def kind(api: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": name, "metadata": {"name": "x", "namespace": "shop"}, **more}


def test_what_the_server_made_of_our_manifest_is_equal():
    for manifest in (deployment(), secret(a="eA=="), config_map(a="1")):
        assert compare(manifest, answer_of(manifest)).equal


def test_only_what_the_target_says_counts():
    live = answer_of(deployment())
    live["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"})
    live["metadata"]["annotations"] = {
        "others": "x",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    live["status"] = {"replicas": 1}
    assert compare(deployment(), live).equal


def test_a_changed_and_a_missing_field_are_named():
    live = answer_of(deployment())
    container = live["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "other"
    del container["env"][1]
    where = '.spec.template.spec.containers[name="web"]'
    assert differing(deployment(), live) == [f"{where}.image", f'{where}.env[name="B"]']


def test_a_leaf_that_was_ours_and_left_git_is_a_difference():
    live = answer_of(deployment(minReadySeconds=5))
    live["metadata"]["labels"]["team"] = "others"
    result = compare(deployment(), live)
    assert [(d.where, d.removed) for d in result.differences] == [(".spec.minReadySeconds", True)]
    old = leaf_set([managed(deployment(paused=True))])
    live["spec"]["paused"] = True
    assert ".spec.paused" in differing(deployment(), live, old_leaves=old)


def test_a_removed_list_item_and_label_are_differences_and_foreign_ones_are_not():
    before = deployment()
    before["metadata"]["labels"]["old"] = "1"
    before["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "C", "value": "3"})
    live = answer_of(before)
    live["metadata"]["labels"]["foreign"] = "1"
    env = '.spec.template.spec.containers[name="web"].env[name="C"]'
    assert sorted(differing(deployment(), live)) == [".metadata.labels.old", env]


def test_the_relative_order_of_our_keys_counts():
    live = answer_of(deployment())
    live["spec"]["template"]["spec"]["containers"][0]["env"].reverse()
    assert differing(deployment(), live) == ['.spec.template.spec.containers[name="web"].env[order]']


def test_of_doubled_keys_the_last_counts():
    manifest = deployment()
    manifest["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "A", "value": "9"})
    live = answer_of(deployment())
    env = live["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [item["name"] for item in env] == ["A", "B"]
    env.append({**env.pop(0), "value": "9"})
    assert differing(manifest, live) == []


def test_a_node_port_of_zero_is_whatever_the_server_allocates():
    def service(port: int) -> dict[str, Any]:
        ports = [{"port": 80, "protocol": "TCP", "nodePort": port}]
        return kind("v1", "Service", spec={"type": "NodePort", "ports": ports})

    assert differing(service(0), service(31569)) == []
    assert differing(service(30000), service(31569)) == ['.spec.ports[port=80,protocol="TCP"].nodePort']


def test_an_empty_text_is_as_good_as_absent_where_the_server_has_a_default():
    def binding(group: str) -> dict[str, Any]:
        reference = {"apiGroup": group, "kind": "Role", "name": "reader"}
        return kind("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=reference)

    assert differing(binding(""), binding("rbac.authorization.k8s.io")) == []
    assert differing(binding(""), binding("example.com")) == [".roleRef"]
    assert differing(binding("example.com"), binding("rbac.authorization.k8s.io")) == [".roleRef"]


def test_what_a_claim_template_leaves_empty_is_the_servers():
    def claims(status: dict[str, str], size: str) -> dict[str, Any]:
        claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}
        return kind("apps/v1", "StatefulSet", spec={"volumeClaimTemplates": [{**claim, "status": status}]})

    assert differing(claims({}, "2.5Gi"), claims({"phase": "Pending"}, "2560Mi")) == []
    assert differing(claims({}, "2.5Gi"), claims({"phase": "Pending"}, "2Gi")) == [
        ".spec.volumeClaimTemplates"
    ]


def test_the_defaults_of_a_device_request_are_no_difference():
    def template(**more: Any) -> dict[str, Any]:
        request = {"name": "gpu", "exactly": {"deviceClassName": "gpu", **more}}
        spec = {"spec": {"devices": {"requests": [request]}}}
        return kind("resource.k8s.io/v1", "ResourceClaimTemplate", spec=spec)

    assert differing(template(), template(allocationMode="ExactCount", count=1)) == []
    assert differing(template(), template(allocationMode="ExactCount", count=2)) == [
        ".spec.spec.devices.requests"
    ]


@pytest.mark.parametrize(
    ("target", "live"),
    [
        (
            kind(
                "networking.k8s.io/v1",
                "NetworkPolicy",
                spec={"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]},
            ),
            kind(
                "networking.k8s.io/v1",
                "NetworkPolicy",
                spec={
                    "podSelector": {},
                    "ingress": [{"ports": [{"port": 80, "protocol": "TCP"}]}],
                    "policyTypes": ["Ingress"],
                },
            ),
        ),
        (
            kind(
                "apps/v1",
                "StatefulSet",
                spec={
                    "volumeClaimTemplates": [
                        {
                            "metadata": {"name": "d"},
                            "spec": {"resources": {"requests": {"storage": "1024Mi"}}},
                        }
                    ]
                },
            ),
            kind(
                "apps/v1",
                "StatefulSet",
                spec={
                    "volumeClaimTemplates": [
                        {
                            "apiVersion": "v1",
                            "kind": "PersistentVolumeClaim",
                            "metadata": {"name": "d", "creationTimestamp": None},
                            "spec": {
                                "resources": {"requests": {"storage": "1Gi"}},
                                "volumeMode": "Filesystem",
                            },
                            "status": {"phase": "Pending"},
                        }
                    ]
                },
            ),
        ),
        (
            kind("rbac.authorization.k8s.io/v1", "Role", rules=[]),
            kind("rbac.authorization.k8s.io/v1", "Role", rules=None),
        ),
        (
            kind(
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                subjects=[{"kind": "ServiceAccount", "name": "a", "namespace": "shop"}],
            ),
            kind(
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                subjects=[{"kind": "ServiceAccount", "name": "a", "namespace": "shop", "apiGroup": ""}],
            ),
        ),
        (
            kind(
                "v1", "Endpoints", subsets=[{"addresses": [{"ip": "2"}, {"ip": "1"}], "ports": [{"port": 1}]}]
            ),
            kind(
                "v1",
                "Endpoints",
                subsets=[
                    {"addresses": [{"ip": "1"}, {"ip": "2"}], "ports": [{"port": 1, "protocol": "TCP"}]}
                ],
            ),
        ),
        (
            kind("v1", "Secret", stringData={"a": "hi"}),
            kind("v1", "Secret", data={"a": "aGk="}, type="Opaque"),
        ),
        (
            kind(
                "v1",
                "Pod",
                spec={
                    "hostNetwork": False,
                    "containers": [{"name": "a", "env": [{"name": "E", "value": ""}], "resources": {}}],
                },
            ),
            kind("v1", "Pod", spec={"containers": [{"name": "a", "env": [{"name": "E"}]}]}),
        ),
        (
            kind("v1", "Service", spec={"ports": [{"port": 80}]}),
            kind(
                "v1",
                "Service",
                spec={"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}], "clusterIP": "10.0.0.1"},
            ),
        ),
        (
            kind(
                "argoproj.io/v1alpha1",
                "Rollout",
                spec={"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "1000m"}}}]}}},
            ),
            kind(
                "argoproj.io/v1alpha1",
                "Rollout",
                spec={"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "1"}}}]}}},
            ),
        ),
    ],
)
def test_normalised_forms_are_equal(target, live):
    result = compare(target, live)
    assert result.equal, result


@pytest.mark.parametrize(
    ("target", "live"),
    [
        (
            kind("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}}),
            kind("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {"matchLabels": {"a": "b"}}}),
        ),
        (
            kind("v1", "Service", spec={"ports": [{"port": 80, "targetPort": "80"}]}),
            kind("v1", "Service", spec={"ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}]}),
        ),
        (kind("ex.io/v1", "W", spec={"cpu": "1000m"}), kind("ex.io/v1", "W", spec={"cpu": "1"})),
        (kind("ex.io/v1", "W", spec={"a": 1}), kind("ex.io/v1", "W", spec={"a": True})),
        (kind("ex.io/v1", "W", spec={"l": [1]}), kind("ex.io/v1", "W", spec={"l": [1, 2]})),
        (kind("ex.io/v1", "W", spec={"typo": 1}), kind("ex.io/v1", "W", spec={})),
    ],
)
def test_real_differences_are_found(target, live):
    assert len(compare(target, live).differences) == 1


def test_known_types_make_values_of_custom_kinds_canonical():
    target, live = kind("ex.io/v1", "W", spec={"cpu": "1000m"}), kind("ex.io/v1", "W", spec={"cpu": "1"})
    assert compare(target, live, options=CompareOptions(known_types={"spec.cpu": "core/Quantity"})).equal


def test_possible_defaults_of_a_custom_kind_are_inconclusive():
    target = kind("ex.io/v1", "W", spec={"rules": [{"a": 1}]})
    live = kind("ex.io/v1", "W", spec={"rules": [{"a": 1, "b": "default"}]})
    result = compare(target, live)
    assert (result.differences, result.inconclusive, result.equal) == ((), (".spec.rules",), False)
    live["spec"]["rules"][0]["a"] = 2
    assert compare(target, live).differences


def test_a_zero_value_that_the_server_may_have_dropped_is_inconclusive():
    result = compare(
        kind("v1", "Pod", spec={"automountServiceAccountToken": False}), kind("v1", "Pod", spec={})
    )
    assert result.inconclusive == (".spec.automountServiceAccountToken",)


def test_aggregated_roles_and_status_by_setting():
    target = kind(
        "rbac.authorization.k8s.io/v1", "ClusterRole", aggregationRule={}, rules=[{"verbs": ["get"]}]
    )
    live = kind(
        "rbac.authorization.k8s.io/v1", "ClusterRole", aggregationRule={}, rules=[{"verbs": ["list"]}]
    )
    assert differing(target, live) == [".rules"]
    assert compare(target, live, options=CompareOptions(ignore_aggregated_roles=True)).equal
    with_status = kind("ex.io/v1", "W", status={"a": 1})
    assert compare(with_status, kind("ex.io/v1", "W", status={"a": 2})).equal
    assert differing(
        with_status, kind("ex.io/v1", "W", status={"a": 2}), options=CompareOptions(ignore_status="none")
    ) == [".status.a"]


def test_a_namespace_equal_to_the_destination_is_no_difference():
    target = config_map(a="1")
    target["metadata"].pop("namespace")
    assert compare(target, config_map(a="1")).equal
    other = copy.deepcopy(config_map(a="1"))
    assert compare(other, config_map(a="1"), options=CompareOptions(destination_namespace="shop")).equal


def test_inside_atomic_lists_ignored_parts_are_taken_out_of_both_sides():
    target = kind("ex.io/v1", "W", spec={"hooks": [{"url": "a", "ca": ""}]})
    live = kind("ex.io/v1", "W", spec={"hooks": [{"url": "a", "ca": "filled in"}]})
    rules = compile_rules([IgnoreRule(group="ex.io", jq_paths=(".spec.hooks[]?.ca",))])
    assert differing(target, live) == [".spec.hooks"]
    assert compare(target, live, rules).equal


@pytest.mark.parametrize(
    ("a", "b", "form", "same"),
    [
        ("1000m", 1, "quantity", True),
        ("1024Mi", "1Gi", "quantity", True),
        ("1e3", "1k", "quantity", True),
        ("0.5", "500m", "quantity", True),
        ("1E", "1e18", "quantity", True),
        ("100n", "0.1u", "quantity", True),
        (".5", "0.50", "quantity", True),
        ("1G", "1Gi", "quantity", False),
        ("x", "1", "quantity", False),
        ("x", "x", "quantity", True),
        (True, 1, "quantity", False),
        ("1h", "60m", "duration", True),
        ("1m30s", "90s", "duration", True),
        ("1500ms", "1.5s", "duration", True),
        ("1h", "61m", "duration", False),
        ("2024-01-01T10:00:00Z", "2024-01-01T11:00:00+01:00", "time", True),
        ("2024-01-01T10:00:00Z", "no time", "time", False),
        (1, 1.0, "any", True),
        ("1", 1, "any", False),
        (None, "", "any", False),
    ],
)
def test_scalars(a, b, form, same):
    assert same_scalar(a, b, form) is same
    assert same_scalar(b, a, form) is same


@pytest.mark.parametrize("text", ["", "1x", "Ki", "--1", "1" * 500, "1e999", "١"])
def test_texts_that_are_no_quantity_or_duration(text):
    assert quantity(text) is None
    assert duration(text) is None
