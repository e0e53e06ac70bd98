"""/stream and /applications/{name}/stream: server-sent events from the Event table (access-and-api.md 4.5).

The view is asynchronous: a hundred open streams are a hundred coroutines. Each read borrows a database connection and
gives it back; nothing is held while a stream waits. Sign-in and rights are checked anew every 30 s (B7, W27).
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException
from rest_framework.request import Request

import hub.api.errors as errors
from hub.api.access import Tokens
from hub.api.requests import request_id
from hub.errors import HubError
from hub.models import Event, User
from hub.services import rights

READ_S, COMMENT_S, CHECK_S, LONGEST_S = 1.0, 15.0, 30.0, 3600.0
OVERLAP = timedelta(seconds=5)
RESUMABLE = timedelta(hours=1)
MOST_PER_PERSON, PAGE = 10, 500


class Closed(Exception):
    """The session, the token or the right is gone."""


@dataclass
class Feed:
    """Where one stream is: ids it sent lately (rows commit out of order) and the id it reads on from."""

    request: HttpRequest
    application: str = ""
    after: int = 0
    sent: dict[int, float] = field(default_factory=dict)
    application_id: uuid.UUID | None = None

    def admit(self) -> User:
        """Who asks, and whether the Application is visible, read from the database now. Raises like a view."""
        user = signed_in(self.request)
        if not self.application.isprintable():
            raise rights.NotFound("application")
        if self.application:
            app = rights.visible_applications(user).filter(name=self.application).only("id").first()
            if app is None:
                raise rights.NotFound("application")
            self.application_id = app.id
        return user

    def start(self, last: str) -> bool:
        """Find the place; False when `last` is older than what can be resumed."""
        newest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
        if not (last.isascii() and last.isdigit() and len(last) < 19):
            self.after = newest
            return True
        seen = Event.objects.filter(id=int(last)).values_list("occurred_at", flat=True).first()
        if seen is None or timezone.now() - seen > RESUMABLE:
            self.after = newest
            return False
        self.after = int(last)
        self.sent[self.after] = time.monotonic()
        return True

    def read(self, user: User) -> list[Event]:
        """What is new for this person; a window of 5 s is read again, as rows commit out of order."""
        rows = rights.visible_events(user)
        if self.application_id is not None:
            rows = rows.filter(application=self.application_id)
        recent = rows.filter(id__lte=self.after, occurred_at__gte=timezone.now() - OVERLAP)
        late = [row for row in recent.order_by("id")[:PAGE] if row.pk not in self.sent and self.sent]
        found = late + list(rows.filter(id__gt=self.after).order_by("id")[:PAGE])
        now = time.monotonic()
        for row in found:
            self.sent[row.pk] = now
            self.after = max(self.after, row.pk)
        self.sent = {key: at for key, at in self.sent.items() if now - at < 60 or key == self.after}
        return found


def signed_in(request: HttpRequest) -> User:
    """Token or session, read from the database now: what the request knew when it came may be gone (B7)."""
    found = Tokens().authenticate(Request(request))
    if found is not None:
        return found[0]
    fresh = HttpRequest()
    fresh.session = type(request.session)(request.session.session_key)
    user = get_user(fresh)
    if not isinstance(user, User) or not user.is_active:
        code = "not_signed_in"
        raise HubError(code, errors.CODES[code], errors.HINTS[code], status=401)
    return user


def borrowed(call: Any, *args: Any) -> Any:
    """Run with a database connection that goes back to the pool at once."""
    try:
        return call(*args)
    finally:
        # Back to the pool now, not when the stream ends; inside a transaction it is somebody else's.
        if not connection.in_atomic_block:
            connection.close()


_open: dict[uuid.UUID, int] = {}


@csrf_exempt
async def stream(request: HttpRequest, name: str = "") -> HttpResponseBase:
    """Open a stream; refusals have the shape of every other failure."""
    feed = Feed(request, application=name)
    try:
        user = await sync_to_async(borrowed)(feed.admit)
        resumed = await sync_to_async(borrowed)(feed.start, request.headers.get("Last-Event-ID", ""))
    except (HubError, APIException) as error:
        return await sync_to_async(_refusal)(error, request)
    if request.method != "GET":
        return errors.answer(request, 405)
    if _open.get(user.pk, 0) >= MOST_PER_PERSON:
        return errors.answer(request, 429)
    response = StreamingHttpResponse(_messages(feed, user, resumed), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response["X-Request-Id"] = request_id(request)
    return response


def _refusal(error: Exception, request: HttpRequest) -> HttpResponseBase:
    shaped = errors.handle(error, {"request": request})
    headers = {"X-Request-Id": request_id(request)}
    return JsonResponse(shaped.data, status=shaped.status_code, headers=headers)


async def _messages(feed: Feed, user: User, resumed: bool) -> AsyncIterator[bytes]:
    began = checked = spoke = time.monotonic()
    _open[user.pk] = _open.get(user.pk, 0) + 1
    try:
        yield b": open\n\n" if resumed else b"event: resync\ndata: {}\n\n"
        while time.monotonic() - began < LONGEST_S:
            if time.monotonic() - checked >= CHECK_S:
                user = await sync_to_async(borrowed)(feed.admit)
                checked = time.monotonic()
            for row in await sync_to_async(borrowed)(feed.read, user):
                spoke = time.monotonic()
                yield _message(row)
            if time.monotonic() - spoke >= COMMENT_S:
                spoke = time.monotonic()
                yield b": still here\n\n"
            await asyncio.sleep(READ_S)
    except (HubError, APIException):
        yield b"event: closed\ndata: {}\n\n"
    finally:
        _open[user.pk] -= 1
        if not _open[user.pk]:
            del _open[user.pk]


def _message(row: Event) -> bytes:
    data = {
        "type": row.name,
        "name": (row.data.get("app") or {}).get("name", ""),
        "generation": row.seq,
        "severity": row.severity,
        "summary": row.summary,
    }
    return f"id: {row.pk}\nevent: {row.name}\ndata: {json.dumps(data)}\n\n".encode()
