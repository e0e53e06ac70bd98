"""Bodies without end or measure stop at the door, before anybody is asked who sends them (E3)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings

from hub.asgi import application
from hub.models import User

CHUNK = b" " * 65536


def _post(
    path: str, headers: list[tuple[bytes, bytes]], chunks: int, chunk: bytes = CHUNK
) -> tuple[int, int]:
    """(status, bytes that were taken) of a body of so many chunks."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "scheme": "http",
    }
    taken, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if taken == chunks:
            await asyncio.Event().wait()
        taken += 1
        return {"type": "http.request", "body": chunk, "more_body": taken < chunks}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async_to_sync(application)(scope, receive, send)
    return next(each["status"] for each in sent if each["type"] == "http.response.start"), taken * len(chunk)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/session",
        "/api/v1/applications",
        "/api/webhook",
        "/api/v1/slack/interactions",
        "/admin/login/",
    ],
)
def test_e3_an_endless_body_is_413_and_is_not_kept(path: str) -> None:
    status, taken = _post(path, [(b"transfer-encoding", b"chunked")], chunks=10**9)
    assert status == 413
    assert taken <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE + len(CHUNK)


def test_e3_an_announced_body_of_51_mb_is_413_before_its_first_byte() -> None:
    assert _post("/api/v1/session", [(b"content-length", b"53477376")], chunks=816) == (413, 0)


@pytest.mark.django_db(transaction=True)
def test_e3_a_route_of_the_api_takes_one_megabyte() -> None:
    """Within the bound of the door, beyond that of the route."""
    assert _post("/api/v1/session", [(b"transfer-encoding", b"chunked")], chunks=20)[0] == 413


@pytest.mark.django_db(transaction=True)
def test_a_body_that_comes_in_chunks_is_read_like_any_other(dana: User) -> None:
    """Taken for empty, a dry run would become a sync."""
    body = json.dumps({"username": "dana", "password": "dana-has-a-long-password"}).encode()
    assert _post("/api/v1/session", [(b"transfer-encoding", b"chunked")], chunks=1, chunk=body)[0] == 200
