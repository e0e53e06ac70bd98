"""Each test of the contract runs on the sandbox, and with HUB_LIVE=1 on a real control plane as well."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from clusters.sandbox import Sandbox
from tests.live.contract.client import Api, condition, eventually

if TYPE_CHECKING:
    from clusters.sandbox import Cluster

SORTS = ("sandbox", "real") if os.environ.get("HUB_LIVE") == "1" else ("sandbox",)


@pytest.fixture(scope="session")
def sandbox_cluster() -> Iterator[Cluster]:
    with Sandbox(ready_after=0.02) as sandbox:
        yield sandbox.cluster("contract")


@pytest.fixture(scope="session", params=SORTS)
def server(request: pytest.FixtureRequest) -> Api:
    if request.param == "real":
        plane = request.getfixturevalue("control_plane")
        return Api("real", plane.url, plane.hub_token, plane.ca_pem)
    cluster = request.getfixturevalue("sandbox_cluster")
    return Api("sandbox", cluster.server, cluster.token, handle=cluster)


@pytest.fixture
def api(server: Api) -> Iterator[Api]:
    """The server with a fresh namespace, whose ServiceAccount is there."""
    name = f"test-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    made = server.request("POST", "/api/v1/namespaces", body)
    assert made.status == 201, made.text
    path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    eventually(lambda: server.request("GET", path).status == 200)
    yield Api(server.sort, server.url, server.token, server.ca_pem, name, server.handle)
    server.request("DELETE", f"/api/v1/namespaces/{name}")


def definition(**changes: Any) -> dict[str, Any]:
    """The CustomResourceDefinition of Widgets: namespaced, two versions, status, scale, lists of every sort."""
    item = {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}
    fields: dict[str, Any] = {
        "a": {"type": "string"},
        "size": {"type": "string", "default": "small", "enum": ["small", "large"]},
        "count": {"type": "integer", "minimum": 0},
        "replicas": {"type": "integer"},
        "plain": {"type": "array", "items": item},
        "keyed": {
            "type": "array",
            "items": {**item, "required": ["name"]},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
        "maybe": {"type": "string", "nullable": True},
        **changes,
    }
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": fields}, "status": status},
    }
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "served": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
    }
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]}
    versions = [{"name": "v1", "storage": True, **version}, {"name": "v1beta1", "storage": False, **version}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions},
    }


@pytest.fixture(scope="session")
def widget_definition(server: Api) -> dict[str, Any]:
    """Widgets are served from here on."""
    answer = server.apply(definition())
    assert answer.status in (200, 201), answer.text
    eventually(lambda: condition(server.live(definition()), "Established").get("status") == "True")
    made: dict[str, Any] = answer.body
    return made


@pytest.fixture
def widgets(widget_definition: dict[str, Any], api: Api) -> Api:
    """The server, which serves Widgets."""
    return api
