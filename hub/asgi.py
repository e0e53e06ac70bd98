"""ASGI entry for uvicorn (embedded) and gunicorn (production), with a bound on every body.

Django would store a body whole before any view is asked; here an endless one ends at the bound, whoever sends it (E3).
"""

import json
import os
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
# Files of the pages come from whitenoise, which reads them step by step: known, and no reason to speak at every start.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BodyTooLarge(Exception):
    """More came than any route takes."""


class Bounded:
    """Answers 413 itself; the views have smaller bounds of their own."""

    def __init__(self, application: Callable[..., Awaitable[None]], most: int) -> None:
        self.application, self.most = application, most

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        left = self.most

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise BodyTooLarge
            return message

        try:
            if self._announced(scope) > self.most:
                raise BodyTooLarge
            await self.application(scope, counted, send)
        except BodyTooLarge:
            await _refuse(send)

    def _announced(self, scope: Message) -> int:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return int(length) if length.isdigit() and len(length) < 20 else 0


async def _refuse(send: Send) -> None:
    shape = {"code": "too_large", "message": "The body is larger than any route takes.", "hint": ""}
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(shape).encode()})


def _application() -> Bounded:
    django = get_asgi_application()
    from django.conf import settings

    from hub.checks import refuse_unsafe_start

    refuse_unsafe_start()
    return Bounded(django, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


application = _application()
