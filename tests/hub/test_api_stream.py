"""Server-sent events: what arrives, what resumes, when it ends (access-and-api.md 4.5; B7, W27)."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sessions.models import Session
from django.test import AsyncClient, Client, RequestFactory
from django.utils import timezone

from hub.api import stream
from hub.api.errors import page_csrf
from hub.models import Application, Event, ProjectMember, User
from tests.hub import factories

pytestmark = pytest.mark.django_db(transaction=True)


def synchronous(test: Callable[..., Any]) -> Callable[..., None]:
    """Run a coroutine as a test, with the database work in the thread of the test."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async_to_sync(test)(*args, **kwargs)

    return run


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "READ_S", 0.01)
    monkeypatch.setattr(stream, "CHECK_S", 0.0)


def make(app: Application, number: int, **fields: Any) -> Event:
    values = {"occurred_at": timezone.now(), "project": app.project.name, "application": app.id} | fields
    data = {"app": {"name": app.name}}
    return Event.objects.create(
        key=f"{app.id}/{number}", name="sync-started", summary="began", data=data, **values
    )


async def opened(user: User, path: str = "/api/v1/stream", **headers: str) -> AsyncIterator[bytes]:
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.get(path, headers=headers)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    return aiter(response.streaming_content)


async def until(messages: AsyncIterator[bytes], text: str) -> str:
    async def read() -> str:
        async for message in messages:
            if text in message.decode():
                return message.decode()
        return ""

    return await asyncio.wait_for(read(), 20)


def cast() -> tuple[User, Application, Application]:
    shop, bank = factories.project("shop"), factories.project("bank")
    alice = factories.user("alice", "owner", shop)
    return alice, factories.application("web", project=shop), factories.application("vault", project=bank)


@synchronous
async def test_events_arrive_and_only_those_one_may_see() -> None:
    alice, web, vault = await sync_to_async(cast)()
    messages = await opened(alice)
    assert await anext(messages) == b": open\n\n"
    await sync_to_async(make)(vault, 1)
    event = await sync_to_async(make)(web, 1)
    found = await until(messages, "data:")
    assert found.startswith(f"id: {event.pk}\nevent: sync-started\n")
    assert '"name": "web"' in found
    await messages.aclose()


@synchronous
async def test_one_application_alone() -> None:
    alice, web, _ = await sync_to_async(cast)()
    other = await sync_to_async(factories.application)("api", project=web.project)
    messages = await opened(alice, "/api/v1/applications/web/stream")
    await anext(messages)
    await sync_to_async(make)(other, 1)
    await sync_to_async(make)(web, 2)
    assert '"name": "web"' in await until(messages, "data:")
    await messages.aclose()


@synchronous
async def test_last_event_id_resumes_and_an_old_one_asks_to_read_anew() -> None:
    alice, web, _ = await sync_to_async(cast)()
    first = await sync_to_async(make)(web, 1)
    second = await sync_to_async(make)(web, 2)
    messages = await opened(alice, **{"Last-Event-ID": str(first.pk)})
    assert (await until(messages, "data:")).startswith(f"id: {second.pk}\n")
    await messages.aclose()
    await Event.objects.filter(id=first.pk).aupdate(occurred_at=timezone.now() - timedelta(hours=2))
    messages = await opened(alice, **{"Last-Event-ID": str(first.pk)})
    assert (await anext(messages)).startswith(b"event: resync")
    await messages.aclose()


@pytest.mark.parametrize("loss", ["session", "person", "right"])
@synchronous
async def test_w27_b7_a_lost_right_ends_the_stream(loss: str) -> None:
    alice, _web, _ = await sync_to_async(cast)()
    messages = await opened(alice, "/api/v1/applications/web/stream")
    await anext(messages)
    if loss == "session":
        await Session.objects.all().adelete()
    elif loss == "person":
        await User.objects.filter(id=alice.id).aupdate(is_active=False)
    else:
        await ProjectMember.objects.filter(user=alice).adelete()
    assert await until(messages, "closed")
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    assert not stream._open


@synchronous
async def test_a_stream_says_now_and_then_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "COMMENT_S", 0.0)
    alice, _, _ = await sync_to_async(cast)()
    messages = await opened(alice)
    assert await until(messages, "still here")
    await messages.aclose()


@synchronous
async def test_ten_streams_of_one_person_are_enough() -> None:
    alice, _, _ = await sync_to_async(cast)()
    stream._open[alice.pk] = stream.MOST_PER_PERSON
    try:
        client = AsyncClient()
        await client.aforce_login(alice)
        assert (await client.get("/api/v1/stream")).status_code == 429
    finally:
        del stream._open[alice.pk]


@pytest.mark.parametrize("address", ["/api/v1/stream", "/api/v1/applications/web/logs"])
def test_a_stream_knows_no_other_verb_and_says_so_in_the_one_shape(dana: User, address: str) -> None:
    factories.application("web")
    client = Client(enforce_csrf_checks=True)
    client.force_login(dana)
    answer = client.post(address)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_form_without_its_token_is_refused_in_the_one_shape(rf: RequestFactory) -> None:
    answer = page_csrf(rf.post("/api/v1/stream"), "no cookie")
    assert (answer.status_code, json.loads(answer.content)["code"]) == (403, "csrf_failed")
    assert b"<html" in page_csrf(rf.post("/admin/"), "no cookie").content


@pytest.mark.parametrize("verb", ["get", "post", "put", "delete"])
def test_an_address_that_nobody_serves_is_404_for_every_verb(verb: str) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), verb)("/api/v1/nowhere/at/all")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
