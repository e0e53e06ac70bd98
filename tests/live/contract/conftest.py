"""Each test of the contract runs on the sandbox, and with HUB_LIVE=1 on a real control plane as well."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from clusters.sandbox import Sandbox
from tests.live.contract.client import Api, eventually

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
