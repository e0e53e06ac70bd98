"""Server-side apply: what changes, what does not, who owns what (api-server-facts C1, C4, C5, C9, C12, sections 3, 4)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.live.contract.client import Api, Body, entry


def config(name: str = "c", **data: Any) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "d", **spec: Any) -> Body:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
    }
    held = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": held}


def pod_spec(obj: Body) -> Body:
    found: Body = obj["spec"]["template"]["spec"]
    return found


def paused(name: str = "d", **spec: Any) -> Body:
    """A Deployment that no controller touches after the first moment: its resourceVersion is ours."""
    return deployment(name, **spec)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"metadata": {"creationTimestamp": None}}, id="creationTimestamp null"),
        pytest.param({"status": {}}, id="an empty status"),
    ],
)
def test_c1_a_no_op_apply_keeps_the_resource_version(api: Api, change: Body) -> None:
    first = api.applied(config(a="1"))
    body = config(a="1")
    body["metadata"] |= change.get("metadata", {})
    if "status" in change:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s"},
            "spec": {"ports": [{"port": 80}]},
        }
        first = api.applied(service)
        body = service | change
    again = api.apply(body)
    assert again.status == 200
    assert again.rv == first["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("1", "1000m", id="1000m is 1"),
        pytest.param("1", 1, id="int 1 is 1"),
        pytest.param("1Gi", "1024Mi", id="1024Mi is 1Gi"),
    ],
)
def test_c1_another_way_to_write_a_quantity_changes_nothing(api: Api, before: Any, after: Any) -> None:
    def quota(value: Any) -> Body:
        spec = {"hard": {"requests.memory": value}}
        return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec}

    api.applied(quota(before))
    held = api.live(quota(before))
    again = api.apply(quota(after))
    assert again.status == 200
    assert again.body["spec"] == held["spec"]
    assert entry(again.body, "gitops-hub") == entry(held, "gitops-hub")


def test_c1_a_null_is_owned_once_and_then_quiet(api: Api) -> None:
    body = deployment()
    body["spec"]["revisionHistoryLimit"] = None
    first = api.applied(body)
    assert first["spec"]["revisionHistoryLimit"] == 10
    owned = entry(first, "gitops-hub")
    assert owned is not None
    assert owned["fieldsV1"]["f:spec"]["f:revisionHistoryLimit"] == {}
    assert entry(api.applied(body), "gitops-hub") == owned


def test_a_default_written_out_is_owned_and_nothing_else_changes(api: Api) -> None:
    first = api.applied(deployment())
    body = deployment(revisionHistoryLimit=10)
    second = api.applied(body)
    assert second["spec"] == first["spec"]
    assert second["metadata"]["generation"] == first["metadata"]["generation"]
    owned = entry(second, "gitops-hub")
    assert owned is not None
    assert "f:revisionHistoryLimit" in owned["fieldsV1"]["f:spec"]


def test_a_null_in_a_string_map_is_an_empty_text(api: Api) -> None:
    assert api.applied(config(a=None))["data"] == {"a": ""}
    made = api.create(config("posted", a=None))
    assert made.status == 201
    assert made.body["data"] == {"a": ""}


def test_a_null_in_a_list_of_texts_is_an_empty_text(api: Api) -> None:
    body = deployment()
    pod_spec(body)["containers"][0]["args"] = ["a", None]
    assert pod_spec(api.applied(body))["containers"][0]["args"] == ["a", ""]


def test_what_left_the_manifest_leaves_the_object(api: Api) -> None:
    api.applied(config(a="1", b="2"))
    assert api.applied(config(a="1"))["data"] == {"a": "1"}


def test_what_another_manager_owns_stays(api: Api) -> None:
    api.applied(config(a="1", b="2"))
    api.applied(config(b="2"), manager="other")
    assert api.applied(config(a="1"))["data"] == {"a": "1", "b": "2"}


def test_reordering_a_keyed_list_is_a_change(api: Api) -> None:
    def with_env(*names: str) -> Body:
        body = deployment()
        pod_spec(body)["containers"][0]["env"] = [{"name": name, "value": name.lower()} for name in names]
        return body

    first = api.applied(with_env("A", "B", "C"))
    second = api.applied(with_env("C", "A", "B"))
    assert [e["name"] for e in pod_spec(second)["containers"][0]["env"]] == ["C", "A", "B"]
    assert second["metadata"]["generation"] == first["metadata"]["generation"] + 1


def test_foreign_items_of_a_keyed_list_keep_their_place(api: Api) -> None:
    def with_env(*names: str) -> Body:
        body = deployment()
        pod_spec(body)["containers"][0]["env"] = [{"name": name, "value": name.lower()} for name in names]
        return body

    api.applied(with_env("A", "B"))
    other = {
        "spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "X", "value": "x"}]}]}}}
    }
    assert api.patch(with_env("A"), other, "strategic").status == 200
    names = [e["name"] for e in pod_spec(api.applied(with_env("B", "A")))["containers"][0]["env"]]
    assert set(names) == {"A", "B", "X"}
    assert names.index("B") < names.index("A")


def test_keys_of_keyed_lists_contain_defaults(api: Api) -> None:
    body = deployment()
    pod_spec(body)["containers"][0]["ports"] = [{"containerPort": 80}]
    owned = entry(api.applied(body), "gitops-hub")
    assert owned is not None
    container = owned["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert container["f:ports"] == {
        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
    }


def test_two_ports_of_one_number_differ_by_protocol(api: Api) -> None:
    ports = [{"name": "a", "port": 53, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}]
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}, "spec": {"ports": ports}}
    assert len(api.applied(body)["spec"]["ports"]) == 2
    body["spec"] = {"ports": ports[1:]}
    assert [p["protocol"] for p in api.applied(body)["spec"]["ports"]] == ["UDP"]


def test_a_conflict_names_manager_and_field(api: Api) -> None:
    api.applied(config(a="1"), manager="gitops-hub-ns-b")
    answer = api.apply(config(a="2"), force=False)
    assert answer.status == 409
    assert answer.body["reason"] == "Conflict"
    assert answer.body["message"] == (
        'Apply failed with 1 conflict: conflict with "gitops-hub-ns-b": .data.a'
    )
    assert answer.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "gitops-hub-ns-b"', "field": ".data.a"}
    ]


def test_a_conflict_with_an_edit_says_so(api: Api) -> None:
    api.applied(config(a="1"))
    assert api.patch(config(), {"data": {"a": "9"}}, fieldManager="kubectl-edit").status == 200
    answer = api.apply(config(a="2"), force=False)
    assert answer.status == 409
    assert answer.body["details"]["causes"][0]["message"] == 'conflict with "kubectl-edit" using v1'


def test_two_conflicts_are_listed_by_manager(api: Api) -> None:
    api.applied(config(a="1", b="1"), manager="other")
    answer = api.apply(config(a="2", b="2"), force=False)
    assert answer.body["message"] == (
        'Apply failed with 2 conflicts: conflicts with "other":\n- .data.a\n- .data.b'
    )


def test_force_takes_the_field_from_the_other(api: Api) -> None:
    api.applied(config(a="1"), manager="other")
    taken = api.applied(config(a="2"))
    assert taken["data"] == {"a": "2"}
    assert entry(taken, "other") is None


def test_an_equal_value_makes_both_owners(api: Api) -> None:
    api.applied(config(a="1"), manager="other")
    both = api.applied(config(a="1"), force=False)
    assert entry(both, "other") is not None
    assert entry(both, "gitops-hub") is not None


def test_c4_two_managers_of_labels_do_not_strip_each_other(api: Api) -> None:
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": api.namespace, "labels": {"a": "1"}},
    }
    other = copy.deepcopy(space)
    other["metadata"]["labels"] = {"b": "1"}
    api.applied(space, manager="gitops-hub-ns-a")
    assert (
        api.applied(other, manager="gitops-hub-ns-b")["metadata"]["labels"].items()
        >= {"a": "1", "b": "1"}.items()
    )
    other["metadata"]["labels"] = {"c": "1"}
    labels = api.applied(other, manager="gitops-hub-ns-b")["metadata"]["labels"]
    assert "a" in labels
    assert "b" not in labels


def test_c4_an_empty_map_becomes_an_owned_leaf(api: Api) -> None:
    body = config(a="1")
    body["metadata"]["annotations"] = {}
    owned = entry(api.applied(body), "gitops-hub")
    assert owned is not None
    assert owned["fieldsV1"]["f:metadata"]["f:annotations"] == {}


def test_c5_the_sole_owner_of_replicas_who_drops_them_gets_the_default(api: Api) -> None:
    api.applied(deployment(replicas=0))
    body = deployment()
    del body["spec"]["replicas"]
    assert api.applied(body)["spec"]["replicas"] == 1


def test_c5_scaling_takes_replicas_away_from_us(api: Api) -> None:
    api.applied(deployment(replicas=0))
    scaled = api.patch(deployment(), {"spec": {"replicas": 2}}, sub="scale", fieldManager="autoscaler")
    assert scaled.status == 200
    assert scaled.body["kind"] == "Scale"
    live = api.live(deployment())
    owned = entry(live, "autoscaler", "Update", "scale")
    assert owned is not None
    assert owned["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    mine = entry(live, "gitops-hub")
    assert mine is not None
    assert "f:replicas" not in mine["fieldsV1"]["f:spec"]
    body = deployment()
    del body["spec"]["replicas"]
    assert api.applied(body)["spec"]["replicas"] == 2


def test_c5_co_owners_keep_the_value_when_one_drops_it(api: Api) -> None:
    api.applied(deployment(replicas=0))
    api.patch(deployment(), {"spec": {"replicas": 2}}, sub="scale", fieldManager="autoscaler")
    api.applied(deployment(replicas=2))
    body = deployment()
    del body["spec"]["replicas"]
    assert api.applied(body)["spec"]["replicas"] == 2


def test_c9_an_empty_apply_gives_up_everything(api: Api) -> None:
    body = config(a="1")
    body["metadata"]["labels"] = {"x": "y"}
    api.applied(body)
    empty = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    left = api.applied(empty)
    assert "data" not in left
    assert "labels" not in left["metadata"]
    assert entry(left, "gitops-hub") is None


def test_c9_an_empty_apply_of_a_kind_with_required_fields_is_refused(api: Api) -> None:
    api.applied(deployment())
    empty = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    answer = api.apply(empty)
    assert answer.status == 422
    assert answer.body["reason"] == "Invalid"


def test_c9_a_merge_patch_cuts_labels_out_of_our_entry(api: Api) -> None:
    body = config(a="1")
    body["metadata"]["labels"] = {"x": "y"}
    api.applied(body)
    left = api.patch(body, {"metadata": {"labels": {"x": None}}}).body
    owned = entry(left, "gitops-hub")
    assert owned is not None
    assert "f:metadata" not in owned["fieldsV1"]


def test_c12_string_data_leaves_dropped_keys_behind(api: Api) -> None:
    def secret(**strings: str) -> Body:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": strings}

    first = api.applied(secret(a="1", b="2"))
    assert first["data"] == {"a": "MQ==", "b": "Mg=="}
    assert "stringData" not in first
    owned = entry(first, "gitops-hub")
    assert owned is not None
    assert owned["fieldsV1"]["f:stringData"] == {"f:a": {}, "f:b": {}}
    assert api.applied(secret(a="1"))["data"] == {"a": "MQ==", "b": "Mg=="}


def test_the_name_may_be_left_out_of_a_change_but_not_of_a_creation(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"a": "1"}}
    path = api.path(config())
    headers = {"Content-Type": "application/apply-patch+yaml"}
    absent = api.request("PATCH", path, body, headers=headers, fieldManager="x")
    assert absent.status == 400
    assert absent.body["message"] == (
        "the name of the object (c based on URL) was undeterminable: name must be provided"
    )
    api.applied(config(a="1"))
    assert api.request("PATCH", path, body, headers=headers, fieldManager="x").status == 200
    body["metadata"] = {"name": "z"}
    assert api.request("PATCH", path, body, headers=headers, fieldManager="x").status == 400
    body["metadata"] = {"name": "c", "namespace": "zz"}
    assert api.request("PATCH", path, body, headers=headers, fieldManager="x").status == 400


def test_managed_fields_in_the_body_are_refused(api: Api) -> None:
    body = config(a="1")
    body["metadata"]["managedFields"] = []
    answer = api.apply(body)
    assert answer.status == 400
    assert "managedFields must be nil" in answer.body["message"]


def test_a_field_manager_is_required(api: Api) -> None:
    answer = api.apply(config(a="1"), manager="")
    assert answer.status in (400, 422)
    assert "fieldManager" in answer.body["message"]
    assert api.apply(config(a="1"), manager="x" * 129).status in (400, 422)
    assert api.apply(config(a="1"), manager="x" * 128).status == 201


def test_a_stale_resource_version_in_the_body_is_a_conflict(api: Api) -> None:
    body = config(a="1")
    body["metadata"]["resourceVersion"] = "1"
    assert api.apply(body).status == 201
    answer = api.apply({**body, "data": {"a": "2"}})
    assert answer.status == 409
    assert answer.body["reason"] == "Conflict"


def test_c8_a_uid_in_the_body_means_only_if_it_is_still_that_object(api: Api) -> None:
    body = config(a="1")
    body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    absent = api.apply(body)
    assert absent.status == 409
    assert "uid mismatch" in absent.body["message"]
    del body["metadata"]["uid"]
    held = api.applied(body)
    body["metadata"]["uid"] = held["metadata"]["uid"]
    assert api.apply(body).status == 200
    body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    other = api.apply(body)
    assert other.status == 422
    assert "field is immutable" in other.body["message"]


def test_recreate_over_a_defaulted_rolling_update_needs_two_applies(api: Api) -> None:
    api.applied(deployment())
    recreate = deployment(strategy={"type": "Recreate"})
    refused = api.apply(recreate)
    assert refused.status == 422
    assert "may not be specified when strategy `type` is 'Recreate'" in refused.body["message"]
    nulled = deployment(strategy={"type": "Recreate", "rollingUpdate": None})
    assert api.apply(nulled).status in (200, 422)


def test_recreate_goes_through_once_the_defaulted_part_is_owned_and_dropped(api: Api) -> None:
    live = api.applied(deployment())
    held = live["spec"]["strategy"]["rollingUpdate"]
    api.applied(deployment(strategy={"rollingUpdate": held}))
    done = api.applied(deployment(strategy={"type": "Recreate"}))
    assert done["spec"]["strategy"] == {"type": "Recreate"}


def test_generation_counts_changes_of_the_spec_only(api: Api) -> None:
    first = api.applied(deployment())
    assert first["metadata"]["generation"] == 1
    body = deployment()
    body["metadata"]["labels"] = {"x": "y"}
    assert api.applied(body)["metadata"]["generation"] == 1
    body["spec"]["minReadySeconds"] = 1
    assert api.applied(body)["metadata"]["generation"] == 2


def test_a_set_of_finalizers_merges_by_value(api: Api) -> None:
    body = config(a="1")
    body["metadata"]["finalizers"] = ["example.com/mine"]
    api.applied(body)
    other = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "finalizers": ["example.com/other"]},
    }
    both = api.applied(other, manager="other")
    assert both["metadata"]["finalizers"] == ["example.com/mine", "example.com/other"]
    left = api.applied(config(a="1"))
    assert left["metadata"]["finalizers"] == ["example.com/other"]
    gone = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert "finalizers" not in api.applied(gone, manager="other")["metadata"]


def test_duplicates_made_by_post_are_cleaned_by_the_next_apply(api: Api) -> None:
    body = deployment()
    pod_spec(body)["containers"][0]["env"] = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    made = api.create(body)
    assert made.status == 201
    assert len(pod_spec(made.body)["containers"][0]["env"]) == 2
    pod_spec(body)["containers"][0]["env"] = [{"name": "A", "value": "2"}]
    assert pod_spec(api.applied(body))["containers"][0]["env"] == [{"name": "A", "value": "2"}]
