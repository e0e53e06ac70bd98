"""The sandbox beyond the contract: faults, several clusters, storage, its own endpoints, its command."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.sandbox import ApiError, Cluster, Sandbox
from tests.live.contract.client import Api, Body, eventually

POD = {"containers": [{"name": "c", "image": "nginx:1"}]}


def config(name: str = "c", **data: str) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "d", replicas: int = 1) -> Body:
    template = {"metadata": {"labels": {"app": name}}, "spec": POD}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(ready_after=0.01) as started:
        yield started


@pytest.fixture
def cluster(sandbox: Sandbox) -> Iterator[Cluster]:
    held = sandbox.cluster("dev")
    yield held
    held.faults.clear()
    for kind, version in (("ConfigMap", "v1"), ("Deployment", "apps/v1"), ("Pod", "v1")):
        for obj in held.list(version, kind, "default"):
            held.delete(version, kind, obj["metadata"]["name"])


@pytest.fixture
def api(cluster: Cluster) -> Api:
    return Api("sandbox", cluster.server, cluster.token, namespace="default")


def test_clusters_of_one_port_share_nothing(sandbox: Sandbox) -> None:
    one, two = sandbox.cluster("one"), sandbox.cluster("two")
    one.create(config(a="1"))
    assert two.get("v1", "ConfigMap", "c") is None
    assert one.server != two.server
    stranger = Api("sandbox", two.server, one.token, namespace="default")
    assert stranger.get(config()).status == 401
    assert Api("sandbox", f"{sandbox.url}/clusters/none", one.token).request("GET", "/version").status == 404


def test_helpers_raise_what_a_client_would_be_answered(cluster: Cluster) -> None:
    cluster.create(config(a="1"))
    with pytest.raises(ApiError, match="already exists"):
        cluster.create(config(a="1"))
    assert cluster.apply(config(a="2"))["data"] == {"a": "2"}
    assert cluster.patch("v1", "ConfigMap", "c", {"data": {"b": "3"}})["data"] == {"a": "2", "b": "3"}
    assert [o["metadata"]["name"] for o in cluster.list("v1", "ConfigMap", "default")] == [
        "c",
        "kube-root-ca.crt",
    ]
    cluster.delete("v1", "ConfigMap", "c")
    assert cluster.get("v1", "ConfigMap", "c") is None


def test_a_status_fault_answers_instead(cluster: Cluster, api: Api) -> None:
    cluster.faults.add("status", verb="list", resource="configmaps", code=403)
    refused = api.list(config())
    assert refused.status == 403
    assert refused.body["reason"] == "Forbidden"
    assert api.apply(config(a="1")).status == 201
    spec = {"resourceAttributes": {"verb": "list", "resource": "configmaps"}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    review = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert review.body["status"]["allowed"] is False


def test_a_full_server_answers_429_in_plain_text(cluster: Cluster, api: Api) -> None:
    cluster.faults.add("status", verb="apply", code=429, retry_after=2, times=1)
    full = api.apply(config(a="1"))
    assert (full.status, full.headers["retry-after"], full.body) == (429, "2", None)
    assert full.text == "Too many requests, please try again later.\n"
    assert api.apply(config(a="1")).status == 201


def test_a_denial_speaks_like_a_webhook_also_to_a_no_op(cluster: Cluster, api: Api) -> None:
    api.applied(config(a="1"))
    cluster.faults.add("deny", id="t", resource="configmaps", name="^c$", message="not on Fridays")
    denied = api.apply(config(a="1"))
    assert denied.status == 403
    assert denied.body["message"] == 'admission webhook "t.sandbox.io" denied the request: not on Fridays'
    assert "reason" not in denied.body
    assert api.apply(config("other", a="1")).status == 201


def test_a_dropped_connection_gives_no_answer(cluster: Cluster, api: Api) -> None:
    cluster.faults.add("drop", verb="get", times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        api.get(config())
    assert api.get(config()).status == 404


def test_the_second_page_can_fail(cluster: Cluster, api: Api) -> None:
    for name in ("a", "b"):
        api.applied(config(name))
    cluster.faults.add("status", verb="list", page=True, code=503)
    first = api.list(config(), limit="1")
    assert first.status == 200
    assert api.list(config(), limit="1", **{"continue": first.body["metadata"]["continue"]}).status == 503


def test_history_can_expire_for_watches_and_lists(cluster: Cluster, api: Api) -> None:
    version = api.applied(config(a="1"))["metadata"]["resourceVersion"]
    page = api.list(config(), limit="1").body
    api.applied(config(a="2"))
    cluster.expire()
    with api.watch(config(), resourceVersion=version) as stream:
        assert (stream.next() or {})["object"]["reason"] == "Expired"
    lapsed = api.list(config(), **{"continue": page["metadata"]["continue"]})
    assert lapsed.status == 410
    assert lapsed.body["metadata"]["continue"]
    cluster.faults.add("expire", verb="watch", times=1)
    now = api.live(config())["metadata"]["resourceVersion"]
    with api.watch(config(), resourceVersion=now) as stream:
        assert (stream.next() or {})["object"]["code"] == 410


def test_a_watch_can_be_cut_inside_a_line(cluster: Cluster, api: Api) -> None:
    cluster.faults.add("cut_watch", resource="configmaps", seconds=0.05)
    broken = (http.client.IncompleteRead, ConnectionError, json.JSONDecodeError)
    with api.watch(config(), resourceVersion="0") as stream, pytest.raises(broken):
        while stream.next() is not None:
            pass


def test_latency_and_trickle_only_slow_down(cluster: Cluster, api: Api) -> None:
    cluster.faults.add("latency", verb="list", seconds=0.01, times=1)
    cluster.faults.add("trickle", verb="list", seconds=0.001, times=1)
    api.applied(config(a="1"))
    assert [o["metadata"]["name"] for o in api.list(config()).body["items"]] == ["c", "kube-root-ca.crt"]


def test_pods_can_be_kept_from_getting_ready(cluster: Cluster) -> None:
    cluster.faults.add("not_ready", resource="pods", namespace="default")
    cluster.apply(deployment())

    def started() -> list[Body]:
        return [p for p in cluster.list("v1", "Pod", "default") if p["status"].get("phase") == "Running"]

    pod = eventually(started)[0]
    assert {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"] == "False"
    live = cluster.get("apps/v1", "Deployment", "d")
    assert live is not None
    assert "readyReplicas" not in live["status"]


def test_an_unknown_fault_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        cluster.faults.add("nonsense")
    with pytest.raises(ValueError, match="unknown field"):
        cluster.faults.add("drop", nonsense=1)


def ask(sandbox: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(sandbox.url).netloc, timeout=10)
    connection.request(method, path, json.dumps(body) if body is not None else None)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if text.startswith(b"{") else text


def test_faults_are_set_over_http(sandbox: Sandbox, cluster: Cluster, api: Api) -> None:
    fault = {"cluster": "dev", "sort": "status", "verb": "get", "code": 503}
    status, made = ask(sandbox, "POST", "/sandbox/faults", fault)
    assert status == 201
    assert api.get(config()).status == 503
    assert ask(sandbox, "GET", "/sandbox/faults", {"cluster": "dev"})[1]["faults"][0]["code"] == 503
    assert ask(sandbox, "DELETE", "/sandbox/faults", {"cluster": "dev", "id": made["id"]})[0] == 200
    assert api.get(config()).status == 404
    assert ask(sandbox, "POST", "/sandbox/faults", {"cluster": "dev", "sort": "x"})[0] == 400
    assert ask(sandbox, "POST", "/sandbox/faults", {"cluster": "none", "sort": "drop"})[0] == 404


def test_clusters_are_made_over_http(sandbox: Sandbox) -> None:
    status, made = ask(sandbox, "POST", "/sandbox/clusters", {"name": "fresh"})
    assert status == 201
    fresh = Api("sandbox", made["server"], made["token"], namespace="default")
    assert fresh.request("GET", "/readyz").text == "ok"
    names = [c["name"] for c in ask(sandbox, "GET", "/sandbox/clusters")[1]["clusters"]]
    assert "fresh" in names


def test_a_stored_sandbox_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = str(tmp_path / "sandbox.sqlite3")
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    with Sandbox(storage=path, ready_after=0.01) as first:
        cluster = first.cluster("kept")
        token = cluster.token
        made = cluster.create(config(a="1"))
        cluster.create(crd)
        eventually(lambda: cluster.backend.registry.by_kind("example.com/v1", "Thing"))
        cluster.create({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}})
        cluster.create(config("gone", a="1"))
        cluster.delete("v1", "ConfigMap", "gone")
    with Sandbox(storage=path, ready_after=0.01) as second:
        cluster = second.cluster("kept")
        assert list(second.clusters) == ["kept"]
        assert cluster.token == token
        assert cluster.get("v1", "ConfigMap", "c") == made
        assert cluster.get("v1", "ConfigMap", "gone") is None
        assert cluster.get("example.com/v1", "Thing", "t") is not None
        api = Api("sandbox", cluster.server, token, namespace="default")
        with api.watch(config(), resourceVersion=made["metadata"]["resourceVersion"]) as stream:
            assert (stream.next() or {})["object"]["reason"] == "Expired"
        changed = cluster.apply(config(a="2"))
        assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_without_lifecycle_objects_stay_as_written() -> None:
    with Sandbox(lifecycle=False) as quiet:
        cluster = quiet.cluster()
        cluster.create(deployment())
        cluster.create(config(a="1"))
        live = cluster.get("apps/v1", "Deployment", "d")
        assert live is not None
        assert live["status"] == {}
        assert cluster.list("apps/v1", "ReplicaSet") == []


def test_stopping_ends_open_watches_and_the_thread() -> None:
    before = threading.active_count()
    with Sandbox() as short:
        api = Api("sandbox", short.cluster().server, short.cluster().token, namespace="default")
        connection = api.connect()
        api.send(connection, "GET", api.path(config(), collection=True), None, {}, {"watch": "1"})
    connection.close()
    assert threading.active_count() == before


def test_many_writers_and_a_watch_agree(cluster: Cluster, api: Api) -> None:
    version = cluster.run(lambda b: str(b.store.version))
    threads = [
        threading.Thread(target=lambda i=i: [api.applied(config(f"w{i}", a=str(n))) for n in range(10)])  # type: ignore[misc]
        for i in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with api.watch(config(), resourceVersion=version) as stream:
        events = [stream.next() or {} for _ in range(50)]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(set(versions))
    last = {e["object"]["metadata"]["name"]: e["object"]["data"]["a"] for e in events}
    assert last == {f"w{i}": "9" for i in range(5)}


def test_the_command_prints_a_kubeconfig_and_ends_politely() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "clusters.sandbox", "--clusters", "dev,prod"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.decode())
            if line.startswith(b"current-context"):
                break
        kubeconfig = yaml.safe_load("".join(lines))
        server = kubeconfig["clusters"][0]["cluster"]["server"]
        api = Api("sandbox", server, kubeconfig["users"][0]["user"]["token"])
        deadline = time.monotonic() + 10
        while api.request("GET", "/readyz").text != "ok":
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
