"""Refusals, word by word (api-server-facts 4): a table of requests with the status, reason and words of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live.contract.client import APPLY, Api

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "data" / "contract" / "refusals.yaml").read_text()
)


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_a_refusal_says_what_a_real_server_says(api: Api, case: dict[str, Any]) -> None:
    for before in case.get("before", ()):
        answer = api.apply(before)
        assert answer.status in (200, 201), answer.text
    obj = case["send"]
    if case.get("raw"):
        headers = {"Content-Type": APPLY} if case.get("verb", "apply") == "apply" else {}
        method = "PATCH" if headers else "POST"
        path = api.path(obj, collection=not headers)
        asked = {"fieldManager": "gitops-hub", **case.get("query", {})}
        answer = api.request(method, path, case["raw"].encode(), headers=headers, **asked)
    else:
        verbs = {"apply": api.apply, "create": api.create, "replace": api.replace, "get": api.get}
        answer = verbs[case.get("verb", "apply")](obj, **case.get("query", {}))
    assert answer.status == case["status"], answer.text
    if "plain" in case:
        assert answer.text == case["plain"]
        return
    if case["status"] < 400:
        assert case.get("warning", "") in answer.headers.get("warning", "")
        return
    assert answer.body["kind"] == "Status"
    assert answer.body["status"] == "Failure"
    assert answer.body["code"] == case["status"]
    assert answer.body.get("reason") == case.get("reason")
    for words in case.get("says", ()):
        assert words.replace("NAMESPACE", api.namespace) in answer.body["message"]
    fields = [cause.get("field") for cause in (answer.body.get("details") or {}).get("causes", ())]
    for field in case.get("fields", ()):
        assert field in fields


def test_a_config_map_beyond_one_mebibyte_is_too_long(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x" * 1100000}}
    answer = api.apply(body)
    assert answer.status == 422
    assert "Too long: may not be more than 1048576 bytes" in answer.body["message"]


def test_a_body_beyond_three_mebibytes_is_refused_before_it_is_read(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x" * 3300000}}
    answer = api.apply(body)
    assert answer.status == 413
    assert answer.body["reason"] == "RequestEntityTooLarge"


def test_a_kind_that_is_not_served_is_plain_text(api: Api) -> None:
    answer = api.request("GET", "/apis/nope.example.com/v1/things")
    assert answer.status == 404
    assert answer.text == "404 page not found\n"
    assert answer.body is None


def test_a_resource_that_a_served_version_lacks_is_a_status(api: Api) -> None:
    answer = api.request("GET", "/api/v1/things")
    assert answer.status == 404
    assert answer.body["message"] == "the server could not find the requested resource"


def test_an_unknown_token_is_unauthorized(api: Api) -> None:
    stranger = Api(api.sort, api.url, "nope", api.ca_pem, api.namespace)
    answer = stranger.request("GET", "/api/v1/namespaces")
    assert answer.status == 401
    assert answer.body["reason"] == "Unauthorized"


def test_a_patch_of_an_unknown_type_is_unsupported(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}/configmaps/c"
    answer = api.request("PATCH", path, {}, headers={"Content-Type": "application/json"})
    assert answer.status == 415


def test_generate_name_is_for_post_only(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "z-"}}
    assert api.request("PATCH", path, body, headers={"Content-Type": APPLY}, fieldManager="x").status == 405
    made = api.request("POST", path, body)
    assert made.status == 201
    assert made.body["metadata"]["name"].startswith("z-")
    assert len(made.body["metadata"]["name"]) == 7


def test_secrets_are_printed_by_type_errors(api: Api) -> None:
    """The danger that the facts name: a wrong type prints the value, so its text must never be passed on."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": 12345}}
    answer = api.apply(body)
    assert answer.status == 500
    assert "12345" in answer.body["message"]
    assert json.loads(answer.text).get("reason") is None
