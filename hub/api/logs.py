"""/applications/{name}/logs: the log of a container as text, in chunks as they come (access-and-api.md 4.2); and
/resource/events/stream: the Kubernetes Events of one object as server-sent events.

Asynchronous views like the event stream. While they follow, sign-in and rights are checked anew every 30 s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException

import hub.api.errors as errors
from clusters.core.manifests import ResourceKey
from clusters.errors import ClusterError
from clusters.services import LogRequest, Stream
from hub.api.lists import bad
from hub.api.live import key_of
from hub.api.requests import actor, request_id
from hub.api.stream import borrowed, signed_in
from hub.errors import HubError
from hub.models import Application
from hub.services import live, rights

CHECK_S, LONGEST_S = 30.0, 3600.0
MOST_PER_PERSON, MOST_TAIL = 10, 5_000
_open: dict[Any, int] = {}


def _asked(request: HttpRequest) -> LogRequest:
    """The query, checked. Raises HubError `bad_parameter`."""
    known = {"namespace", "pod", "container", "tail", "since", "follow", "previous", "timestamps"}
    given = request.GET
    for name in given:
        if name not in known:
            raise bad(name[:40], "is not known", f"known are {', '.join(sorted(known))}")
    if not given.get("pod") or not given.get("namespace"):
        raise bad("pod", "and namespace are needed", "?namespace=shop&pod=api-5d8f")
    return LogRequest(
        ResourceKey("", "Pod", given["namespace"][:253], given["pod"][:253]),
        container=given.get("container", "")[:253],
        tail=_number(request, "tail", 500, MOST_TAIL),
        since=_number(request, "since", 0, 10**9) or None,
        follow=_flag(request, "follow"),
        previous=_flag(request, "previous"),
        timestamps=_flag(request, "timestamps"),
    )


def _number(request: HttpRequest, name: str, usual: int, most: int) -> int:
    value = request.GET.get(name, str(usual))
    if not (value.isascii() and value.isdigit() and len(value) < 11 and int(value) <= most):
        raise bad(name, f"must be a number from 0 to {most}")
    return int(value)


def _flag(request: HttpRequest, name: str) -> bool:
    value = request.GET.get(name, "false")
    if value not in {"true", "false"}:
        raise bad(name, "must be true or false")
    return value == "true"


def _admit(request: HttpRequest, name: str) -> tuple[Any, Application]:
    """Who asks, and the Application if the caller may see it; read from the database now."""
    user = signed_in(request)
    if not name.isprintable():
        raise rights.NotFound("application")
    visible = rights.visible_applications(user).select_related("project", "cluster")
    app = visible.filter(name=name).first()
    if app is None:
        raise rights.NotFound("application")
    rights.demand(user, "get", app.project, f"logs of application {name}")
    request.user = user  # for the audit: the one who was admitted, by session or token
    return user.pk, app


def _open_log(request: HttpRequest, app: Application) -> Stream:
    return live.open_log(actor(request), app, _asked(request))


def _open_events(request: HttpRequest, app: Application) -> Stream:
    return live.open_events(app, key_of(request.GET))


@csrf_exempt
async def logs(request: HttpRequest, name: str) -> HttpResponseBase:
    """Open a log; refusals have the shape of every other failure."""
    return await _answer(request, name, _open_log, "text/plain; charset=utf-8")


async def events(request: HttpRequest, name: str) -> HttpResponseBase:
    """What the cluster says about one object, and goes on saying."""
    return await _answer(request, name, _open_events, "text/event-stream", b": still here\n\n")


async def _answer(
    request: HttpRequest,
    name: str,
    opener: Callable[[HttpRequest, Application], Stream],
    content_type: str,
    silence: bytes = b"",
) -> HttpResponseBase:
    try:
        person, app = await sync_to_async(borrowed)(_admit, request, name)
        if request.method != "GET":
            return errors.answer(request, 405)
        if _open.get(person, 0) >= MOST_PER_PERSON:
            return errors.answer(request, 429)
        found = await sync_to_async(borrowed)(opener, request, app)
        await found.open()
    except (HubError, ClusterError, APIException) as error:
        return await sync_to_async(_refusal)(error, request)
    body = _text(request, name, person, found, silence)
    response = StreamingHttpResponse(body, content_type=content_type)
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Request-Id"] = request_id(request)
    return response


def _refusal(error: Exception, request: HttpRequest) -> HttpResponseBase:
    shaped = errors.handle(error, {"request": request})
    headers = {"X-Request-Id": request_id(request)}
    return JsonResponse(shaped.data, status=shaped.status_code, headers=headers)


async def _text(
    request: HttpRequest, name: str, person: Any, log: Stream, silence: bytes
) -> AsyncIterator[bytes]:
    """Chunks until there are no more, an hour is over, or the right is gone; `silence` is said while nothing comes."""
    began = checked = time.monotonic()
    _open[person] = _open.get(person, 0) + 1
    chunks = aiter(log)
    waiting: asyncio.Task[bytes] | None = None
    try:
        while time.monotonic() - began < LONGEST_S:
            waiting = waiting or asyncio.ensure_future(anext(chunks))
            done, _ = await asyncio.wait({waiting}, timeout=CHECK_S)
            if time.monotonic() - checked >= CHECK_S:
                await sync_to_async(borrowed)(_admit, request, name)
                checked = time.monotonic()
            if done:
                chunk, waiting = waiting.result(), None
                yield chunk
            elif silence:
                yield silence
    except (StopAsyncIteration, HubError, ClusterError, APIException):
        return
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})
        _open[person] -= 1
        if not _open[person]:
            del _open[person]
        await log.close()
