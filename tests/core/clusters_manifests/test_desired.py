"""The desired set (sync-semantics.md 2.1)."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.core.manifests import ResourceKey, canonical_json, clean, desired_hash, desired_set

SCOPES = {("", "ConfigMap"): True, ("", "Secret"): True, ("", "Namespace"): False, ("batch", "Job"): True}


def obj(
    kind: str = "ConfigMap", name: str = "a", api: str = "v1", namespace: str = "", **more: Any
) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **more}


def wanted(*objects: Any, **options: Any) -> Any:
    return desired_set(objects, namespace="shop", namespaced=lambda g, k: SCOPES.get((g, k)), **options)


def test_namespaces_are_set_and_cleared_by_scope():
    result = wanted(obj(), obj(name="b", namespace="x"), obj("Namespace", "n", namespace="wrong"))
    assert [str(key) for key in result.manifests] == ["ConfigMap/shop/a", "ConfigMap/x/b", "Namespace/n"]
    assert "namespace" not in result.manifests[ResourceKey("", "Namespace", "", "n")]["metadata"]


def test_unknown_scope_keeps_both_keys():
    result = wanted(obj("Widget", "w", "ex.io/v1"))
    key = ResourceKey("ex.io", "Widget", "shop", "w")
    assert result.alternatives == {key: ResourceKey("ex.io", "Widget", "", "w")}


def test_a_crd_of_the_set_answers_for_its_kind():
    crd = obj("CustomResourceDefinition", "widgets.ex.io", "apiextensions.k8s.io/v1")
    crd["spec"] = {"group": "ex.io", "scope": "Cluster", "names": {"kind": "Widget"}}
    result = wanted(obj("Widget", "w", "ex.io/v1"), crd)
    assert ResourceKey("ex.io", "Widget", "", "w") in result.manifests
    assert ResourceKey("ex.io", "Widget", "", "w") not in result.alternatives


def test_lists_are_expanded():
    result = wanted({"apiVersion": "v1", "kind": "List", "items": [obj(), obj(name="b")]})
    assert len(result.manifests) == 2


def test_of_repeated_resources_the_last_wins_and_the_sources_are_named():
    result = wanted(obj(data={"a": "1"}), obj(data={"a": "2"}), origins=["source 1", "source 2"])
    assert result.manifests[ResourceKey("", "ConfigMap", "shop", "a")]["data"] == {"a": "2"}
    (finding,) = result.findings
    assert (finding.code, "source 1 and source 2" in finding.message) == ("RepeatedResource", True)


def test_excluded_kinds_are_dropped_with_a_finding():
    result = wanted(obj(), obj("Job", "j", "batch/v1"), excluded_kinds=[("batch", "*")])
    assert [f.code for f in result.findings] == ["ExcludedResource"]
    assert len(result.manifests) == 1


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, "has no apiVersion"),
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "has no kind"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "has no metadata.name"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "has no metadata.name"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 3}}, "metadata.name must be text"),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}},
            "generateName is for hooks only",
        ),
        (obj("Secret", "s", stringData={"p": 12345}), "stringData.p of a Secret must be text"),
        (obj("Secret", "s", data={"p": {"x": "12345"}}), "data.p of a Secret must be text"),
        ("text", "is not an object"),
    ],
)
def test_what_can_never_be_applied_is_invalid(broken, message):
    result = wanted(broken, obj(name="good"))
    assert [entry.message for entry in result.invalid] == [message]
    assert "12345" not in str(result.invalid)
    assert len(result.manifests) == 1


def test_hooks_may_have_only_generate_name():
    hook = obj("Job", "", "batch/v1")
    hook["metadata"] = {"generateName": "smoke-", "annotations": {"argocd.argoproj.io/hook": "PostSync"}}
    result = wanted(hook)
    assert result.generated[0]["metadata"]["namespace"] == "shop"
    assert not result.invalid


def test_server_fields_status_and_nulls_leave():
    dirty = obj(
        "Deployment",
        "d",
        "apps/v1",
        status={"replicas": 1},
        spec={"paused": None, "template": {"spec": {"args": [None]}}},
    )
    dirty["metadata"].update(
        uid="u",
        resourceVersion="1",
        creationTimestamp=None,
        managedFields=[],
        labels={"a": None},
        annotations={},
    )
    result = clean(dirty)
    assert result["metadata"] == {"name": "d", "labels": {"a": ""}}
    assert result["spec"] == {"template": {"spec": {"args": [""]}}}
    assert "status" not in result
    assert "status" in dirty


def test_nulls_in_string_maps_become_empty_text():
    assert clean(obj(data={"a": None, "b": "x"}))["data"] == {"a": "", "b": "x"}
    custom = clean(obj("Widget", "w", "ex.io/v1", spec={"nodeSelector": {"a": None}}))
    assert custom["spec"] == {"nodeSelector": {}}


def test_status_of_other_kinds_may_be_kept():
    crd = obj("CustomResourceDefinition", "c", "apiextensions.k8s.io/v1", status={"x": 1})
    widget = obj("Widget", "w", "ex.io/v1", status={"x": 1})
    assert "status" not in clean(crd, ignore_status="crd")
    assert "status" in clean(widget, ignore_status="crd")
    assert "status" in clean(crd, ignore_status="none")


def test_string_data_becomes_data():
    secret = clean(obj("Secret", "s", data={"a": "eA==", "b": "eA=="}, stringData={"b": "hi", "c": None}))
    assert secret["data"] == {"a": "eA==", "b": "aGk=", "c": ""}
    assert "stringData" not in secret


def test_the_hash_of_a_secret_needs_a_key():
    secret = obj("Secret", "s", data={"a": "eA=="})
    with pytest.raises(ValueError, match="needs the hub's key"):
        desired_hash(secret)
    assert desired_hash(secret, b"k1") != desired_hash(secret, b"k2")
    assert desired_hash(obj()) == desired_hash(dict(reversed(obj().items())))
    assert canonical_json({"b": 1, "a": [True, None]}) == b'{"a":[true,null],"b":1}'


def test_an_empty_volume_name_of_a_claim_is_the_binders_to_fill():
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"}}
    assert clean({**claim, "spec": {"volumeName": "", "accessModes": []}})["spec"] == {"accessModes": []}
    assert clean({**claim, "spec": {"volumeName": "pv-1"}})["spec"] == {"volumeName": "pv-1"}
    assert clean({**claim, "spec": "odd"})["spec"] == "odd"
