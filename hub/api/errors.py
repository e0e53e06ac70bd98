"""One shape for every failure: {"code", "message", "hint", "fields"?}, with X-Request-Id (access-and-api.md AP2).

`handle` is what REST framework calls; the `page_*` views are what Django calls for addresses nobody serves. Values a
caller sent are never echoed here: sentences come from the error trees, which are free of secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.csrf import csrf_failure
from rest_framework import exceptions
from rest_framework.response import Response

from clusters.errors import ClusterError, KubeconfigRefused
from guard.fields import DecryptionError
from guard.redact import redact
from hub.api.requests import actor, request_id
from hub.errors import HubError
from hub.services import audit
from hub.services.rights import NotFound

log = structlog.get_logger(__name__)

# Every code that this module makes itself; the others come from the error trees of the rooms.
CODES = {
    "bad_request": "The request could not be read.",
    "malformed": "The body is not valid JSON.",
    "not_signed_in": "Sign in, or send a valid token.",
    "csrf_failed": "A cookie was sent without its CSRF token.",
    "forbidden": "You may see this and may not do that.",
    "not_found": "Missing, or hidden from you.",
    "method_not_allowed": "This address does not know that verb.",
    "not_acceptable": "The answer is JSON.",
    "too_large": "The body is larger than this route takes.",
    "unsupported_media_type": "The body must be application/json.",
    "too_many_requests": "Slow down; see Retry-After.",
    "internal": "Something went wrong inside; the request id helps to find it.",
    "secret_unreadable": "A stored secret cannot be decrypted: is the right key in HUB_ENCRYPTION_KEYS?",
    "unavailable": "The database does not answer; try again.",
}
HINTS = {
    "not_signed_in": "POST /api/v1/session, or send a token that begins with hubp_ as a Bearer token",
    "csrf_failed": "send the csrf cookie's value as X-CSRFToken",
    "unsupported_media_type": "Content-Type: application/json",
    "secret_unreadable": "manage.py rotate_keys --check",
}
BY_STATUS = {
    400: "bad_request",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
}


def body(
    code: str, message: str = "", hint: str = "", fields: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """The shape itself."""
    shape: dict[str, Any] = {
        "code": code,
        "message": redact(message or CODES.get(code, "The request was refused."), limit=1000),
        "hint": redact(hint or HINTS.get(code, ""), limit=500),
    }
    if fields:
        shape["fields"] = {
            path: [redact(text, limit=500) for text in texts] for path, texts in fields.items()
        }
    return shape


def handle(error: Exception, context: Mapping[str, Any]) -> Response:
    """The answer for any exception of a view; what nobody expected is logged and answered with a fixed sentence."""
    request = context["request"]
    headers: dict[str, str] = {}
    if isinstance(error, HubError):
        status, shape = error.status, _of_hub(error)
        if wait := getattr(error, "retry_after", None):
            headers["Retry-After"] = str(int(wait) + 1)
        if status == HTTPStatus.FORBIDDEN:
            _record_denied(request, error)
    elif isinstance(error, ClusterError):
        status = 400 if isinstance(error, KubeconfigRefused) else (422 if error.permanent else 503)
        shape = body(error.code, error.message, error.hint)
    elif isinstance(error, exceptions.APIException):
        status, shape, headers = _of_framework(error)
    elif isinstance(error, Http404):
        status, shape = 404, _of_hub(NotFound())
    elif isinstance(error, PermissionDenied):
        status, shape = 403, body("forbidden")
    elif isinstance(error, RequestDataTooBig):
        status, shape = 413, body("too_large")
    elif isinstance(error, SuspiciousOperation):
        status, shape = 400, body("bad_request")
    else:
        status, shape, headers = _of_surprise(error)
    return Response(shape, status=status, headers=headers)


def _of_hub(error: HubError) -> dict[str, Any]:
    return body(error.code, error.message, error.hint, getattr(error, "fields", None))


def _of_framework(error: exceptions.APIException) -> tuple[int, dict[str, Any], dict[str, str]]:
    headers = {}
    status = error.status_code
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(error, exceptions.ParseError):
        return status, body("malformed", str(error.detail)), headers
    if isinstance(error, exceptions.PermissionDenied) and "CSRF" in str(error.detail):
        return status, body("csrf_failed"), headers
    if isinstance(error, exceptions.NotFound):
        return status, _of_hub(NotFound()), headers
    return status, body(BY_STATUS.get(status, "bad_request")), headers


def _of_surprise(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    if isinstance(error, (OperationalError, InterfaceError)):
        log.warning("the database does not answer", error=redact(str(error), limit=300))
        return 503, body("unavailable"), {"Retry-After": "5"}
    if isinstance(error, DecryptionError):
        log.error("a stored secret cannot be decrypted", error=str(error))
        return 503, body("secret_unreadable"), {}
    log.error("unexpected error in a view", exc_info=error)
    return 500, body("internal"), {}


def _record_denied(request: Any, error: HubError) -> None:
    """A refused attempt is audited; a database that refuses that too must not hide the answer (AU2)."""
    match = getattr(request, "resolver_match", None)
    try:
        audit.record(
            actor(request),
            f"{request.method} {request.path}"[:64],
            name=str(match.kwargs.get("name", "")) if match is not None else "",
            project=getattr(error, "project", ""),
            outcome="denied",
            code=error.code,
            reason=error.message,
            level=3,
        )
    except DatabaseError as failure:
        log.warning("a denied request could not be recorded", error=redact(str(failure), limit=300))


def answer(request: HttpRequest, status: int, code: str = "") -> JsonResponse:
    """The shape as a plain Django response, for what happens outside of a view."""
    shape = _of_hub(NotFound()) if status == 404 else body(code or BY_STATUS[status])
    return JsonResponse(shape, status=status, headers={"X-Request-Id": request_id(request)})


def page_csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What Django calls when a form came without its token: people get its page, programs the shape."""
    if request.path.startswith("/api/"):
        return answer(request, 403, "csrf_failed")
    return csrf_failure(request, reason)


def page_400(request: HttpRequest, exception: Exception) -> JsonResponse:
    too_big = isinstance(exception, RequestDataTooBig)
    return answer(request, 413 if too_big else 400)


def page_403(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    return answer(request, 403)


def page_404(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    return answer(request, 404)


def page_500(request: HttpRequest) -> JsonResponse:
    return answer(request, 500)
