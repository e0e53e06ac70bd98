"""A hub in production: two workers, beat, PostgreSQL, Redis, a real control plane; each is killed once.

After every fault: an accepted request reaches its end, nothing is applied by two at once, hooks run once
(security-and-reliability.md H1, H4 to H6, H14, H21).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.controlplane.instance import ControlPlane
from tests.live.services import Service
from tests.live.stack import Stack
from tests.live.worldview import until

pytestmark = [pytest.mark.live, pytest.mark.production, pytest.mark.timeout(300)]
AUTOMATED = {"automated": {"prune": True, "self_heal": True}}
# A lease lapses within 60 s, and the tick finds what is due 5 s later.
TAKEN_OVER_S = 80.0


@pytest.fixture(scope="module")
def stack(
    controlplane_programs: Path,
    postgres_service: Service,
    redis_service: Service,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("hub")
    with ControlPlane() as plane, Stack(postgres_service, redis_service, plane, folder) as stack:
        stack.start("beat", "beat")
        stack.worker("one")
        stack.worker("two")
        yield stack


@pytest.fixture
def ns(stack: Stack, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace, also the name of the application in it."""
    name = f"t-{secrets.token_hex(3)}"
    stack.plane.request(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    failed = request.session.testsfailed
    yield name
    if request.session.testsfailed > failed:
        print(stack.logs())


def config(ns: str, name: str, value: str = "1", wave: int = 0) -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {ns}, "
        f'annotations: {{argocd.argoproj.io/sync-wave: "{wave}"}}}}\ndata: {{value: "{value}"}}\n---\n'
    )


def hook(ns: str, name: str, phase: str) -> str:
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, namespace: {ns}, "
        f"annotations: {{argocd.argoproj.io/hook: {phase}}}}}\n"
        "spec: {template: {metadata: {annotations: {sim/ends-after: 100ms}}, "
        "spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}\n---\n"
    )


def gated(ns: str, wave: int = 0) -> str:
    """A Deployment whose pod is scheduled only when the gate of `ns` opens."""
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: gated, namespace: {ns}, "
        f'annotations: {{argocd.argoproj.io/sync-wave: "{wave}"}}}}\n'
        "spec: {selector: {matchLabels: {app: gated}}, template: {metadata: {labels: {app: gated}}, "
        f"spec: {{nodeSelector: {{gate-{ns}: open}}, containers: [{{name: c, image: x}}]}}}}}}\n---\n"
    )


def waiting(stack: Stack, ns: str, more: str = "") -> str:
    """A sync with a PreSync hook that waits in wave 0 of 2 for the gate; the id of the operation."""
    stack.commit(
        {f"{ns}/all.yaml": hook(ns, "before", "PreSync") + gated(ns) + config(ns, "last", wave=1) + more}
    )
    stack.application(ns, ns)
    operation = stack.sync(ns)
    until(lambda: stack.wait_code(operation) == "health", 60)
    return operation


def hook_uid(stack: Stack, ns: str) -> str:
    found = stack.get(f"/apis/batch/v1/namespaces/{ns}/jobs/before")
    assert found is not None
    return str(found["metadata"]["uid"])


def both_alive(stack: Stack) -> None:
    for name in ("one", "two"):
        if stack.processes.exit_code(name) is not None:
            stack.worker(name)


def test_register_sync_and_heal(stack: Stack, ns: str) -> None:
    stack.commit({f"{ns}/all.yaml": config(ns, "one") + config(ns, "two", wave=1)})
    stack.application(ns, ns, AUTOMATED)
    until(lambda: stack.status(ns) == ("Synced", "Healthy", "Succeeded"), 40)
    patch = {"data": {"value": "edited"}}
    path = f"/api/v1/namespaces/{ns}/configmaps/one"
    stack.plane.request("PATCH", path, patch, content_type="application/merge-patch+json")
    until(lambda: (stack.config(ns, "one") or {})["data"]["value"] == "1", 30)
    until(lambda: stack.status(ns)[2] == "Succeeded")
    stack.commit({f"{ns}/all.yaml": config(ns, "one", "2")})
    until(lambda: (stack.config(ns, "one") or {})["data"]["value"] == "2", 40)
    until(lambda: stack.config(ns, "two") is None, 30)


def test_h1_a_worker_killed_between_two_waves_is_followed_by_the_other(stack: Stack, ns: str) -> None:
    operation = waiting(stack, ns)
    uid = hook_uid(stack, ns)
    try:
        stack.kill("one")
        stack.open_gate(ns)
        until(lambda: stack.phase(operation) == "Succeeded", TAKEN_OVER_S)
    finally:
        both_alive(stack)
    assert stack.config(ns, "last") is not None
    assert hook_uid(stack, ns) == uid


def test_h1_a_worker_killed_in_the_middle_of_an_apply_is_followed_by_the_other(stack: Stack, ns: str) -> None:
    stack.commit({f"{ns}/all.yaml": "".join(config(ns, f"c{n:02}", wave=n) for n in range(20))})
    stack.application(ns, ns)
    until(lambda: stack.status(ns)[0] == "OutOfSync", 40)
    try:
        operation = stack.sync(ns)
        until(lambda: stack.config(ns, "c01"))
        stack.plane.pause_apiserver()
        owner = until(lambda: stack.named(stack.owner(ns)))
        stack.kill(owner)
        stack.plane.resume_apiserver()
        until(lambda: stack.phase(operation) == "Succeeded", TAKEN_OVER_S)
    finally:
        stack.plane.resume_apiserver()
        both_alive(stack)
    assert all(stack.config(ns, f"c{n:02}") for n in range(20))
    assert stack.sql("SELECT count(*) FROM hub_resourcestatus r JOIN hub_application a ON a.id = r.application_id "
                     "WHERE a.name = %s AND r.baseline IS NULL", ns) == [(0,)]  # fmt: skip


def test_h4_without_redis_running_syncs_end_and_later_ones_catch_up(stack: Stack, ns: str) -> None:
    operation = waiting(stack, ns)
    stack.redis.stop()
    try:
        stack.open_gate(ns)
        until(lambda: stack.phase(operation) == "Succeeded", 60)
        stack.commit({f"{ns}/all.yaml": config(ns, "last", "2")})
        second = stack.sync(ns)
    finally:
        stack.redis.start()
    until(lambda: stack.phase(second) == "Succeeded", 45)
    assert (stack.config(ns, "last") or {})["data"]["value"] == "2"


def test_h5_postgresql_restarts_in_the_middle_of_a_sync(stack: Stack, ns: str) -> None:
    waves = "".join(config(ns, f"c{n}", wave=n) for n in range(8))
    stack.commit({f"{ns}/all.yaml": hook(ns, "before", "PreSync") + waves})
    stack.application(ns, ns)
    until(lambda: stack.status(ns)[0] == "OutOfSync", 40)
    operation = stack.sync(ns, sync_options=["WaveDelay=1s"])
    until(lambda: stack.config(ns, "c2"), 40)
    uid = hook_uid(stack, ns)
    stack.postgres.stop()
    stack.postgres.start()
    until(lambda: stack.phase(operation) == "Succeeded", TAKEN_OVER_S)
    assert hook_uid(stack, ns) == uid
    assert all(stack.config(ns, f"c{n}") for n in range(8))
    assert all(stack.processes.exit_code(name) is None for name in ("one", "two", "beat"))
    until(lambda: stack.status(ns)[0] == "Synced", 60)


def test_h14_a_rolling_restart_loses_nothing(stack: Stack, ns: str) -> None:
    waves = "".join(config(ns, f"c{n}", wave=n) for n in range(6))
    stack.commit({f"{ns}/all.yaml": waves})
    stack.application(ns, ns)
    until(lambda: stack.status(ns)[0] == "OutOfSync", 40)
    operation = stack.sync(ns, sync_options=["WaveDelay=1s"])
    until(lambda: stack.config(ns, "c1"), 40)
    for name in ("one", "two"):
        assert stack.end(name) == 0
        stack.worker(name)
    until(lambda: stack.phase(operation) == "Succeeded", 40)
    assert stack.sql("SELECT lost_passes FROM hub_application WHERE name = %s", ns) == [(0,)]


def test_h21_the_watches_of_a_killed_shard_owner_move_within_one_lease(stack: Stack, ns: str) -> None:
    stack.commit({f"{ns}/all.yaml": config(ns, "one")})
    stack.application(ns, ns, AUTOMATED)
    until(lambda: stack.status(ns) == ("Synced", "Healthy", "Succeeded"), 40)
    query = (
        "SELECT s.owner FROM hub_shard s JOIN clusters_cluster c ON c.shard = s.number "
        "WHERE c.name = 'real' AND s.lease_until > clock_timestamp()"
    )
    owner = until(lambda: stack.named((stack.sql(query) or [("",)])[0][0]), 45)
    try:
        stack.kill(owner)
        until(lambda: stack.named((stack.sql(query) or [("",)])[0][0]) not in ("", owner), 45)
        patch = {"data": {"value": "edited"}}
        path = f"/api/v1/namespaces/{ns}/configmaps/one"
        stack.plane.request("PATCH", path, patch, content_type="application/merge-patch+json")
        until(lambda: (stack.config(ns, "one") or {})["data"]["value"] == "1", 30)
    finally:
        both_alive(stack)


def test_h6_an_api_server_that_hangs_and_one_that_restarts(stack: Stack, ns: str) -> None:
    operation = waiting(stack, ns)
    stack.plane.pause_apiserver()
    try:
        stack.do(f"app = Application.objects.get(name={ns!r})\nnudges.look(looks.ask([app.id], level=3))")
        until(lambda: stack.owner(ns), 30)
        assert stack.phase(operation) == "Running"
    finally:
        stack.plane.resume_apiserver()
    stack.plane.stop_apiserver()
    stack.plane.start_apiserver()
    stack.open_gate(ns)
    until(lambda: stack.phase(operation) == "Succeeded", 120)
    until(lambda: stack.status(ns)[0] == "Synced", 120)
    assert stack.config(ns, "last") is not None
