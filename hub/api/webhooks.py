"""The door for webhooks: raw bytes in, a hint at most out. No session, no token, no DRF (sources.md 7)."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from hub.core.webhooks import DEFAULT_MAX_BODY
from hub.errors import HubError
from hub.services import webhooks


@csrf_exempt
def receive(request: HttpRequest, provider: str = "", token: str = "") -> JsonResponse:
    """POST /api/webhook (the sender is recognised) and /api/v1/webhooks/<provider>[/<token>]."""
    from hub.tasks import nudges

    try:
        body = _body(request)
        due = webhooks.receive(provider, request.method or "", dict(request.headers), body, token)
    except HubError as error:
        return JsonResponse(
            {"code": error.code, "message": error.message, "hint": error.hint}, status=error.status
        )
    for repository in due:
        nudges.send("hub.poll", [str(repository)])
    return JsonResponse({})


def _body(request: HttpRequest) -> bytes:
    """At most 1 MiB and one byte of the raw body, whatever length was announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > DEFAULT_MAX_BODY:
        raise HubError("too_large", "the body is larger than 1 MiB", status=413)
    return request.read(DEFAULT_MAX_BODY + 1)
