"""The gate and a real API server: certificates, credentials, rights, restarts, hangs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clusters import errors, kube, live
from clusters.core.connection import Connection
from clusters.core.manifests import ResourceKey
from clusters.kube import metrics
from clusters.kube.tuning import tuning, use
from clusters.services import probe
from tests.live.controlplane.instance import ControlPlane
from tests.live.test_gate import HUB, act, config_map, until, watching

pytestmark = pytest.mark.live


def connection_to(plane: ControlPlane, **more: Any) -> Connection:
    options = {
        "identity": f"live-{plane.url}",
        "server": plane.url,
        "ca_pem": plane.ca_pem,
        "token": plane.hub_token,
        "allow_loopback": True,
    }
    return Connection(**{**options, **more})


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[Connection]:
    connection = connection_to(control_plane)
    yield connection
    live.set_listener(None)
    live.unwatch_cluster(connection.identity)


def test_discovery_finds_the_kinds_and_costs_nothing_the_second_time(cluster: Connection) -> None:
    found = kube.discovery(cluster, fresh=True)
    deployment = found.find("apps", "Deployment")
    assert deployment is not None
    assert (deployment.version, deployment.resource, deployment.namespaced) == ("v1", "deployments", True)
    assert {"status", "scale"} <= deployment.subresources
    autoscaler = found.find("autoscaling", "HorizontalPodAutoscaler")
    assert autoscaler is not None and autoscaler.versions == ("v2", "v1")
    assert found.server_version.startswith("v1.36")
    before = metrics.snapshot()
    assert kube.discovery(cluster, fresh=True).digest == found.digest
    after = metrics.snapshot()
    call = metrics.Call(cluster.identity, "read", "304")
    assert after[call] - before.get(call, 0) == 2


def test_a_wrong_token_is_unauthorized(control_plane: ControlPlane) -> None:
    with pytest.raises(errors.Unauthorized):
        kube.discovery(connection_to(control_plane, identity="stranger", token="wrong"))


def test_h6_a_certificate_that_nobody_vouches_for_is_refused(control_plane: ControlPlane) -> None:
    with pytest.raises(errors.CertificateInvalid):
        kube.discovery(connection_to(control_plane, identity="no-ca", ca_pem=""))
    with pytest.raises(errors.CertificateInvalid):
        kube.discovery(
            connection_to(control_plane, identity="no-name", tls_server_name="elsewhere.example.org")
        )
    assert kube.discovery(
        connection_to(control_plane, identity="off", ca_pem="", insecure_skip_tls_verify=True)
    ).kinds


def test_impersonation_asks_with_the_rights_of_the_other(cluster: Connection, namespace: str) -> None:
    other = replace(cluster, impersonate_user=f"system:serviceaccount:{namespace}:nobody")
    with pytest.raises(errors.Forbidden):
        kube.get(other, ResourceKey("", "ConfigMap", namespace, "settings"))
    listing = kube.list_kind(other, "", "ConfigMap")
    assert not listing.complete
    assert isinstance(listing.error, errors.Forbidden)


def test_h7_a_restarted_api_server_is_listed_anew_and_misses_nothing(own_control_plane: ControlPlane) -> None:
    cluster = connection_to(own_control_plane)
    former = use(replace(tuning(), watch_first_pause=0.05, watch_longest_pause=0.5))
    try:
        own_control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        for name in ("stays", "goes"):
            assert act(cluster, "apply", config_map("shop", name)).ok
        events = watching(cluster, [("", "ConfigMap")])
        own_control_plane.stop_apiserver()
        until(lambda: not live.freshness(cluster.identity)["", "ConfigMap"].healthy)
        own_control_plane.start_apiserver()
        path = "/api/v1/namespaces/shop/configmaps"
        own_control_plane.request("DELETE", f"{path}/goes")
        until(lambda: ("DELETED", "shop/goes") in events.told, 60)
        until(lambda: live.freshness(cluster.identity)["", "ConfigMap"].healthy)
        own_control_plane.request("POST", path, config_map("shop", "new"))
        until(lambda: ("ADDED", "shop/new") in events.told)
    finally:
        use(former)
        live.unwatch_cluster(cluster.identity)


def test_h6_a_hanging_api_server_is_a_time_out_and_heals(own_control_plane: ControlPlane) -> None:
    cluster = connection_to(own_control_plane)
    former = use(replace(tuning(), request=1.0))
    try:
        kube.discovery(cluster)
        own_control_plane.pause_apiserver()
        state = live.live_state(cluster, hub_id=HUB, kinds=[("", "ConfigMap")], keys=[])
        assert state.complete == {("", "ConfigMap"): False}
        assert state.errors["", "ConfigMap"].code == "timeout"
        own_control_plane.resume_apiserver()
        state = live.live_state(cluster, hub_id=HUB, kinds=[("", "ConfigMap")], keys=[])
        assert state.complete == {("", "ConfigMap"): True}
    finally:
        use(former)


def test_a_probe_finds_the_real_thing_connected_and_names_missing_rights(
    cluster: Connection, control_plane: ControlPlane, namespace: str
) -> None:
    found = probe(cluster)
    assert (found.state, found.message) == ("Connected", "")
    assert found.version.startswith("v1.36")
    assert len(found.uid) == 36
    assert found.clock_difference == 0.0
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    control_plane.request("POST", account, {"metadata": {"name": "weak"}})
    made = control_plane.request("POST", f"{account}/weak/token", {"spec": {"expirationSeconds": 600}})
    weak = connection_to(control_plane, identity="weak", token=made["status"]["token"])
    found = probe(weak)
    assert found.state == "Degraded"
    assert "delete * in all namespaces" in found.missing_rights
    assert probe(connection_to(control_plane, identity="wrong", token="wrong")).state == "Unauthorized"
