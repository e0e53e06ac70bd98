"""Who asks, by which request: the id that logs, audit and answer share, and the Actor that services take."""

from __future__ import annotations

import re
import uuid
from typing import Any

import structlog
from django.http import HttpRequest
from django_structlog.middlewares import RequestMiddleware

from hub.services.actors import Actor
from hub.services.guessing import address_of

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Logged(RequestMiddleware):
    """A line per request, with the address that the audit has too: no header of a caller is believed."""

    def prepare(self, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=address_of(request))
        super().prepare(request)


def request_id(request: Any) -> str:
    """The caller's X-Request-Id when it is harmless, else one of ours; the same for logs, audit and answer."""
    known = getattr(request, "hub_request_id", "")
    if not known:
        known = request.headers.get("X-Request-Id", "")
        if not _REQUEST_ID.fullmatch(known):
            known = str(structlog.contextvars.get_contextvars().get("request_id") or uuid.uuid4())
        target = getattr(request, "_request", request)
        target.hub_request_id = known
    return str(known)


def actor(request: Any) -> Actor:
    """Who asks, for services, audit and the initiator of operations."""
    user = request.user if getattr(request, "user", None) is not None else None
    known = user is not None and user.is_authenticated
    return Actor(
        kind="user" if known else "anonymous",
        id=str(user.id) if known and user else "",
        name=user.username if known and user else "",
        via="api",
        address=address_of(request),
        request_id=request_id(request),
        is_admin=bool(known and user and user.is_superuser),
    )
