"""The probe (access-and-api.md CL11): every state it can find, and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clusters import errors, kube
from clusters.core.manifests import ResourceKey
from clusters.kube.tuning import Tuning
from clusters.models import Cluster
from clusters.services import Probe, alive, probe
from clusters.services.records import record_probe
from tests.clusters.conftest import Clock
from tests.clusters.faults import FaultServer, Reply, status

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def grant(server: FaultServer, *granted: bool) -> None:
    server.script("POST", REVIEW, *[Reply(201, {"status": {"allowed": one}}) for one in granted])


def test_a_cluster_in_order_is_connected_and_known_by_its_uid(server: FaultServer) -> None:
    grant(server, *[True] * 7)
    stored = server.put("/api/v1/namespaces/kube-system", {"metadata": {}})
    found = probe(server.connection())
    assert found == Probe(
        state="Connected",
        version="v1.36.1",
        uid=stored["metadata"]["uid"],
        clock_difference=0.0,
        digest=kube.discovery(server.connection()).digest,
    )


def test_missing_rights_degrade_and_are_named(server: FaultServer) -> None:
    granted = {"get", "list", "watch"}
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete")
    connection = server.connection(namespaces=("shop",), max_in_flight=1)
    grant(server, *[verb in granted for verb in verbs])
    found = probe(connection)
    assert found.state == "Degraded"
    assert found.missing_rights == tuple(f"{verb} * in shop" for verb in verbs if verb not in granted)
    asked = [one.body["spec"]["resourceAttributes"] for one in server.seen if one.path == REVIEW]
    assert asked[0] == {"verb": "get", "group": "*", "resource": "*", "namespace": "shop"}


def test_an_api_group_that_does_not_answer_degrades(server: FaultServer) -> None:
    grant(server, *[True] * 7)
    server.stale_groups.add("apps")
    found = probe(server.connection())
    assert (found.state, found.message) == ("Degraded", "the API group apps does not answer")


def test_expired_credentials_are_unauthorized(server: FaultServer) -> None:
    server.script("GET", "/version", Reply(401, status(401, "Unauthorized", "Unauthorized")))
    found = probe(server.connection())
    assert (found.state, found.code) == ("Unauthorized", "unauthorized")


def test_an_old_kubernetes_is_told_apart(server: FaultServer) -> None:
    server.script("GET", "/version", Reply(200, {"gitVersion": "v1.21.3", "major": "1", "minor": "21+"}))
    found = probe(server.connection())
    assert (found.code, found.version) == ("version_not_supported", "v1.21.3")


def test_a_silent_cluster_is_unreachable_within_the_limit(server: FaultServer) -> None:
    server.script("GET", "/version", Reply(body={}, delay=60))
    found = probe(server.connection(), timeout=0.2)
    assert (found.state, found.code) == ("Unreachable", "timeout")


@pytest.mark.parametrize(
    ("options", "code"),
    [({"server": "http://127.0.0.1:1"}, "unavailable"), ({"server": "https://10.1.2.3"}, "address_refused")],
)
def test_a_cluster_that_cannot_be_dialled_is_unreachable(
    server: FaultServer, options: dict[str, str], code: str
) -> None:
    found = probe(server.connection(**options))
    assert (found.state, found.code) == ("Unreachable", code)


def test_a_probe_asks_although_the_circuit_is_open_and_closes_it(server: FaultServer, clock: Clock) -> None:
    connection = server.connection()
    key = ResourceKey("", "ConfigMap", "shop", "x")
    kube.discovery(connection)
    server.script("GET", "/api/v1/namespaces/shop/configmaps/x", *[Reply(502, "bad")] * 5)
    for _ in range(3):
        with pytest.raises(errors.Unavailable):
            kube.get(connection, key)
        clock.now += 2
    with pytest.raises(errors.CircuitOpen):
        kube.get(connection, key)
    grant(server, *[True] * 7)
    assert probe(connection).state == "Connected"
    with pytest.raises(errors.NotFound):
        kube.get(connection, key)


def test_a_cluster_that_was_heard_of_is_alive_without_a_request(
    server: FaultServer, tune: Callable[..., Tuning]
) -> None:
    connection = server.connection()
    assert alive(connection) is None
    asked = len(server.seen)
    assert alive(connection) is None
    assert len(server.seen) == asked
    dead = alive(server.connection("dead", server="http://127.0.0.1:1"))
    assert isinstance(dead, errors.Unavailable)


# --- the record ------------------------------------------------------------------------------------------------
def a_cluster(**columns: Any) -> Cluster:
    return Cluster.objects.create(name="dev", server="https://k8s.example.org", **columns)


@pytest.mark.django_db
def test_a_probe_is_recorded_and_one_of_older_credentials_is_not() -> None:
    cluster = a_cluster()
    assert record_probe(cluster, Probe("Connected", version="v1.36.1", uid="u1"), NOW)
    stored = Cluster.objects.get(pk=cluster.pk)
    assert (stored.state, stored.version, stored.uid) == ("Connected", "v1.36.1", "u1")
    assert stored.next_probe_at == NOW + timedelta(hours=1)

    assert record_probe(cluster, Probe("Unreachable", "no route", "unavailable"), NOW)
    stored = Cluster.objects.get(pk=cluster.pk)
    assert (stored.state, stored.version, stored.uid) == ("Unreachable", "v1.36.1", "u1")
    assert stored.next_probe_at == NOW + timedelta(minutes=1)

    Cluster.objects.filter(pk=cluster.pk).update(generation=2, state="Unknown")
    assert not record_probe(cluster, Probe("Unauthorized"), NOW)
    assert Cluster.objects.get(pk=cluster.pk).state == "Unknown"


@pytest.mark.django_db
def test_a_paused_cluster_stays_paused_after_a_probe() -> None:
    cluster = a_cluster(paused=True)
    record_probe(cluster, Probe("Connected"), NOW)
    assert Cluster.objects.get(pk=cluster.pk).state == "Paused"
