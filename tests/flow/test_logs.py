"""Logs through the door: only pods of the application, in chunks, ended when the right is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient

from clusters import kube
from hub.api import logs
from hub.models import Application, AuditEvent, ProjectMember, User
from tests.flow.conftest import World
from tests.hub import factories
from tests.hub.conftest import Api

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
LINES = "\\n".join(f"line {number}" for number in range(40))
POD = f"""apiVersion: v1
kind: Pod
metadata: {{name: api, namespace: shop, annotations: {{sim/log: "{LINES}"}}}}
spec: {{containers: [{{name: main, image: "example.com/api:1"}}]}}
"""
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: main, image: "example.com/api:1"}]}
"""


@pytest.fixture
def app(world: World) -> Iterator[Application]:
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/api.yaml": POD})
    app = world.application()
    world.run(app)
    world.sync(app)
    world.run(app)
    foreign = {"name": "foreign", "namespace": "shop"}
    spec = {"containers": [{"name": "main", "image": "example.com/other:1"}]}
    world.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": foreign, "spec": spec})
    yield app
    kube.shutdown()


@pytest.fixture
def bob(world: World) -> User:
    return factories.user("bob", "reader", world.project)


async def ask(user: User | None, query: str) -> Any:
    client = AsyncClient()
    if user is not None:
        await sync_to_async(client.force_login)(user)
    return await client.get(f"/api/v1/applications/web/logs?{query}")


@async_to_sync
async def text(user: User, query: str) -> str:
    answer = await ask(user, query)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    return b"".join([chunk async for chunk in answer.streaming_content]).decode()


@async_to_sync
async def refused(user: User | None, query: str) -> tuple[int, str]:
    answer = await ask(user, query)
    return answer.status_code, answer.json()["code"]


def test_a_reader_reads_the_log_of_a_pod(app: Application, bob: User) -> None:
    found = text(bob, "namespace=shop&pod=api&container=main&tail=100")
    assert found.splitlines()[-1] == "line 39"
    assert not logs._open
    told = AuditEvent.objects.get(action="read log")
    assert (told.actor_name, told.object_name, told.project) == ("bob", "web Pod/shop/api", "shop")
    assert told.after == {"container": "main", "follow": False, "previous": False}


def test_pr10_a_child_of_a_kind_that_the_project_does_not_permit_is_shown_and_not_opened(
    world: World, app: Application, bob: User
) -> None:
    """Its kind, name and health are in the tree; its body, its log and its actions need the kind permitted, too."""
    world.commit({"deploy/api.yaml": DEPLOYMENT})
    world.poll()
    world.sync(world.run(app))
    world.run(app, until=lambda app: app.health_status == "Healthy")
    api = Api(bob)

    def node() -> dict[str, Any]:
        nodes = api.get("/applications/web/tree").json()["nodes"]
        return next(each for each in nodes if each["kind"] == "Pod" and each["name"] != "api")

    pod = node()["name"]
    query = f"kind=Pod&namespace=shop&name={pod}"
    assert api.get(f"/applications/web/resource?{query}").status_code == 200
    allow = [{"group": "apps", "kind": "Deployment"}, {"group": "", "kind": "Namespace"}]
    world.project.rules = {**world.project.rules, "namespaced_kinds": {"allow": allow}}
    world.project.save()
    assert (node()["name"], node()["health"]) == (pod, "Healthy")
    assert api.get(f"/applications/web/resource?{query}").status_code == 404
    assert api.get(f"/applications/web/resource/actions?{query}").status_code == 404
    assert refused(bob, f"namespace=shop&pod={pod}") == (404, "not_found")


def test_c5_only_pods_of_the_application_have_a_log(app: Application, bob: User) -> None:
    assert refused(bob, "namespace=shop&pod=foreign") == (404, "not_found")
    assert refused(bob, "namespace=shop&pod=nothing") == (404, "not_found")
    assert refused(bob, "namespace=kube-system&pod=api") == (404, "not_found")
    assert refused(bob, "namespace=shop&pod=../secrets/api") == (404, "not_found")
    assert refused(factories.user("charlie"), "namespace=shop&pod=api") == (404, "not_found")
    assert refused(None, "namespace=shop&pod=api") == (401, "not_signed_in")


@pytest.mark.parametrize(
    "query", ["pod=api", "namespace=shop&pod=api&tail=5001", "namespace=shop&pod=api&follow=1", "a=b"]
)
def test_wrong_parameters_are_named(app: Application, bob: User, query: str) -> None:
    assert refused(bob, query) == (400, "bad_parameter")


def test_an_unknown_container_is_refused(app: Application, bob: User) -> None:
    assert refused(bob, "namespace=shop&pod=api&container=other") == (422, "unknown_container")


def test_a_cluster_that_does_not_answer_is_told_before_the_text(
    world: World, app: Application, bob: User
) -> None:
    world.kube.faults.add("status", verb="get", resource="pods", code=503, message="down")
    assert refused(bob, "namespace=shop&pod=api") == (503, "unavailable")


def told(world: World, reason: str, of: str = "api", name: str = "") -> dict[str, Any]:
    pod = world.kube.get("v1", "Pod", of, "shop")
    assert pod is not None
    reference = {"kind": "Pod", "namespace": "shop", "name": of, "uid": pod["metadata"]["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name or reason.lower(), "namespace": "shop"},
        "involvedObject": reference,
        "type": "Warning",
        "reason": reason,
        "message": f"{reason} happened",
    }


def test_the_events_of_a_pod_come_as_they_happen(world: World, app: Application, bob: User) -> None:
    """Those that are there, then each new one and each that changes; of other objects none."""
    world.kube.create(told(world, "Pulled"))

    @async_to_sync
    async def read() -> list[dict[str, Any]]:
        client = AsyncClient()
        await sync_to_async(client.force_login)(bob)
        path = "/api/v1/applications/web/resource/events/stream?kind=Pod&namespace=shop&name=api"
        answer = await client.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
        chunks = aiter(answer.streaming_content)
        found = [await anext(chunks)]
        for event in (told(world, "Elsewhere", of="foreign"), told(world, "Killing")):
            await sync_to_async(world.kube.create)(event)
        found.append(await anext(chunks))
        again = {"count": 2, "message": "Killing happened again"}
        await sync_to_async(world.kube.patch)("v1", "Event", "killing", again, "shop")
        found.append(await anext(chunks))
        await chunks.aclose()
        return [json.loads(chunk.partition(b"data: ")[2]) for chunk in found]

    events = read()
    assert [(each["reason"], each["count"]) for each in events] == [
        ("Pulled", 1),
        ("Killing", 1),
        ("Killing", 2),
    ]
    assert not logs._open


def test_c5_events_of_other_objects_are_not_streamed(app: Application, bob: User) -> None:
    @async_to_sync
    async def asked(query: str) -> tuple[int, str]:
        client = AsyncClient()
        await sync_to_async(client.force_login)(bob)
        answer = await client.get(f"/api/v1/applications/web/resource/events/stream?{query}")
        return answer.status_code, answer.json()["code"]

    assert asked("kind=Pod&namespace=shop&name=foreign") == (404, "not_found")
    assert asked("namespace=shop&name=api") == (400, "bad_parameter")


def test_b7_a_lost_right_ends_a_log_that_is_followed(
    world: World, app: Application, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "CHECK_S", 0.0)

    @async_to_sync
    async def read() -> bytes:
        answer = await ask(bob, "namespace=shop&pod=api&follow=true")
        chunks = aiter(answer.streaming_content)
        first: bytes = await anext(chunks)
        await sync_to_async(ProjectMember.objects.all().delete)()
        rest = [chunk async for chunk in chunks]
        return first + b"".join(rest)

    world.kube.faults.add("trickle", resource="pods", seconds=0.2)
    found = read()
    assert b"line 39" not in found
    assert not logs._open
