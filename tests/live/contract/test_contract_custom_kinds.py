"""Custom kinds: their schemas in an apply, and what follows a new or changed definition (C2, C12, C14)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.live.contract.client import Api, Body, condition, entry, eventually
from tests.live.contract.conftest import definition


def widget(name: str = "w", version: str = "v1", **spec: Any) -> Body:
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": spec,
    }


def test_defaults_of_the_schema_are_filled_in_and_not_owned(widgets: Api) -> None:
    made = widgets.applied(widget(a="1"))
    assert made["spec"] == {"a": "1", "size": "small"}
    owned = entry(made, "gitops-hub")
    assert owned is not None
    assert owned["fieldsV1"] == {"f:spec": {"f:a": {}}}


def test_c1_the_same_apply_keeps_the_version(widgets: Api) -> None:
    first = widgets.applied(widget(a="1", port="80", free={"x": [1, {"y": None}]}))
    again = widgets.apply(widget(a="1", port="80", free={"x": [1, {"y": None}]}))
    assert again.status == 200
    assert again.rv == first["metadata"]["resourceVersion"]


def test_quantities_are_just_texts(widgets: Api) -> None:
    widgets.applied(widget(a="1000m"))
    assert widgets.applied(widget(a="1"))["metadata"]["generation"] == 2


def test_an_undeclared_field_is_a_500(widgets: Api) -> None:
    answer = widgets.apply(widget(nope="1"))
    assert answer.status == 500
    assert ".spec.nope: field not declared in schema" in answer.body["message"]


def test_an_undeclared_field_of_a_post_is_pruned_or_refused(widgets: Api) -> None:
    refused = widgets.create(widget(nope="1"), fieldValidation="Strict")
    assert refused.status == 400
    assert 'strict decoding error: unknown field "spec.nope"' in refused.body["message"]
    pruned = widgets.create(widget(nope="1"), fieldValidation="Ignore")
    assert pruned.status == 201
    assert "nope" not in pruned.body["spec"]


def test_undeclared_fields_live_on_where_the_schema_lets_them(widgets: Api) -> None:
    made = widgets.applied(widget(free={"x": {"y": [1]}}))
    assert made["spec"]["free"] == {"x": {"y": [1]}}
    owned = entry(made, "gitops-hub")
    assert owned is not None
    assert owned["fieldsV1"]["f:spec"]["f:free"] == {"f:x": {".": {}, "f:y": {}}}


def test_c12_lists_without_a_list_type_are_one_leaf(widgets: Api) -> None:
    made = widgets.applied(
        widget(plain=[{"name": "a"}], keyed=[{"name": "a"}], tags=["x"], labels={"l": "1"})
    )
    owned = entry(made, "gitops-hub")
    assert owned is not None
    spec = owned["fieldsV1"]["f:spec"]
    assert spec["f:plain"] == {}
    assert spec["f:keyed"] == {'k:{"name":"a"}': {".": {}, "f:name": {}}}
    assert spec["f:tags"] == {'v:"x"': {}}
    assert spec["f:labels"] == {".": {}, "f:l": {}} or spec["f:labels"] == {"f:l": {}}


def test_keyed_lists_and_sets_are_shared_between_managers(widgets: Api) -> None:
    widgets.applied(widget(keyed=[{"name": "a"}], tags=["x"]))
    both = widgets.applied(widget(keyed=[{"name": "b"}], tags=["y"]), manager="other")
    assert [item["name"] for item in both["spec"]["keyed"]] == ["a", "b"]
    assert both["spec"]["tags"] == ["x", "y"]
    left = widgets.applied(widget(tags=["x"]))
    assert [item["name"] for item in left["spec"]["keyed"]] == ["b"]


def test_an_atomic_list_is_taken_whole(widgets: Api) -> None:
    widgets.applied(widget(plain=[{"name": "a"}]), manager="other")
    answer = widgets.apply(widget(plain=[{"name": "b"}]), force=False)
    assert answer.status == 409
    assert answer.body["details"]["causes"][0]["field"] == ".spec.plain"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"size": "huge"}, "Unsupported value"),
        ({"count": -1}, "should be greater than or equal to 0"),
        ({"a": None}, 'spec.a in body must be of type string: "null"'),
    ],
)
def test_values_are_checked_against_the_schema(widgets: Api, spec: Body, says: str) -> None:
    answer = widgets.apply(widget(**spec))
    assert answer.status == 422
    assert answer.body["reason"] == "Invalid"
    assert says in answer.body["message"]


def test_a_null_takes_the_default_and_a_nullable_field_keeps_it(widgets: Api) -> None:
    made = widgets.applied(widget(size=None, maybe=None))
    assert made["spec"] == {"size": "small", "maybe": None}


def test_a_wrong_type_is_a_500(widgets: Api) -> None:
    answer = widgets.apply(widget(count="x"))
    assert answer.status == 500
    assert ".spec.count: expected numeric (int or float), got string" in answer.body["message"]


def test_status_is_written_through_its_own_endpoint_only(widgets: Api) -> None:
    body = widget(a="1") | {"status": {"ready": True}}
    made = widgets.applied(body)
    assert "status" not in made
    written = widgets.patch(body, {"status": {"ready": True}, "spec": {"a": "2"}}, sub="status")
    assert written.status == 200
    assert written.body["status"] == {"ready": True}
    assert written.body["spec"]["a"] == "1"
    assert written.body["metadata"]["generation"] == 1
    assert entry(written.body, "contract", "Update", "status") is not None


def test_scale_of_a_custom_kind(widgets: Api) -> None:
    widgets.applied(widget(replicas=1))
    scaled = widgets.patch(widget(), {"spec": {"replicas": 3}}, sub="scale")
    assert scaled.status == 200
    assert scaled.body["spec"]["replicas"] == 3
    assert widgets.live(widget())["spec"]["replicas"] == 3


def test_every_served_version_shows_the_object(widgets: Api) -> None:
    widgets.applied(widget(a="1"))
    other = widgets.live(widget(version="v1beta1"))
    assert other["apiVersion"] == "example.com/v1beta1"
    assert other["spec"]["a"] == "1"
    again = widgets.apply(widget(version="v1beta1", a="1"))
    assert again.status == 200
    owned = entry(again.body, "gitops-hub")
    assert owned is not None
    assert owned["apiVersion"] == "example.com/v1beta1"


def test_a_strategic_patch_is_not_for_custom_kinds(widgets: Api) -> None:
    widgets.applied(widget(a="1"))
    assert widgets.patch(widget(), {"spec": {"a": "2"}}, "strategic").status == 415


def test_c8_preconditions_hold_for_custom_kinds(widgets: Api) -> None:
    widgets.applied(widget(a="1"))
    refused = widgets.delete(widget(), {"preconditions": {"uid": "other"}})
    assert refused.status == 409
    assert "does not match the UID in record" in refused.body["message"]


def test_an_expired_version_is_an_error_event(widgets: Api) -> None:
    with widgets.watch(widget(), resourceVersion="1") as stream:
        event = stream.next()
        assert event is not None
        assert event["type"] == "ERROR"
        assert event["object"]["code"] == 410
        assert event["object"]["reason"] == "Expired"
        assert event["object"]["message"].startswith("too old resource version: 1 (")
        assert stream.next() is None


def test_a_streaming_list_of_a_custom_kind(widgets: Api) -> None:
    widgets.applied(widget(a="1"))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    with widgets.watch(widget(), **query) as stream:
        mark = stream.until(lambda e: e["type"] == "BOOKMARK")
        assert mark["object"]["kind"] == "Widget"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert [e["type"] for e in stream.events] == ["ADDED", "BOOKMARK"]


def gadgets() -> Body:
    crd = copy.deepcopy(definition())
    crd["metadata"]["name"] = "gadgets.example.com"
    crd["spec"]["scope"] = "Cluster"
    crd["spec"]["names"] = {"plural": "gadgets", "kind": "Gadget"}
    return crd


def test_c14_a_definition_comes_changes_and_goes(api: Api) -> None:
    crd = gadgets()
    thing = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"a": "1"}}
    assert api.apply(thing).status == 404
    made = api.applied(crd)
    assert made["spec"]["names"]["listKind"] == "GadgetList"
    assert made["spec"]["names"]["singular"] == "gadget"
    eventually(lambda: condition(api.live(crd), "Established").get("status") == "True")
    assert api.live(crd)["status"]["storedVersions"] == ["v1"]
    assert "metadata" in api.applied(thing)
    for version in crd["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["fresh"] = {"type": "string"}
    changed = api.applied(crd)
    assert changed["metadata"]["generation"] == 2
    thing["spec"]["fresh"] = "1"
    eventually(lambda: api.apply(thing).status == 200)
    assert api.delete(crd).status == 200
    eventually(lambda: api.get(crd).status == 404)
    eventually(lambda: api.get(thing).status == 404 and api.get(thing).body is None)


def test_a_new_kind_shows_in_discovery(widgets: Api) -> None:
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}

    def found() -> Body | None:
        groups = widgets.request("GET", "/apis", headers=accept).body["items"]
        return next((g for g in groups if g["metadata"]["name"] == "example.com"), None)

    group = eventually(found)
    assert [v["version"] for v in group["versions"]] == ["v1", "v1beta1"]
    kind = next(r for r in group["versions"][0]["resources"] if r["resource"] == "widgets")
    assert kind["scope"] == "Namespaced"
    assert kind["shortNames"] == ["wd"]
    assert {s["subresource"] for s in kind["subresources"]} == {"status", "scale"}
    assert kind["responseKind"]["kind"] == "Widget"


@pytest.mark.parametrize(
    ("place", "kind"),
    [("apis/apps/v1", "Deployment"), ("api/v1", "ConfigMap"), ("apis/example.com/v1", "Widget")],
)
def test_clients_are_told_that_the_server_checks_fields(widgets: Api, place: str, kind: str) -> None:
    """kubectl asks before apply, create, replace and edit whether PATCH of the kind takes `fieldValidation`."""

    def found() -> Body:
        place_of = json.loads(widgets.request("GET", "/openapi/v3").text)["paths"]
        if place not in place_of:
            return {}
        answer = widgets.request("GET", place_of[place]["serverRelativeURL"])
        if answer.status != 200 or not answer.text:
            return {}  # listed, and not there yet: a new kind is being published
        document = json.loads(answer.text)
        patches = [each["patch"] for each in document["paths"].values() if "patch" in each]
        return next(
            (
                patch
                for patch in patches
                if patch.get("x-kubernetes-group-version-kind", {}).get("kind") == kind
            ),
            {},
        )

    patch = eventually(found)
    named = {(each.get("name"), each.get("in")) for each in patch["parameters"]}
    assert ("fieldValidation", "query") in named
    assert "application/apply-patch+yaml" in patch["requestBody"]["content"]
