"""What every REST view shares: reading bodies, preconditions, dry runs, idempotent answers, one request id."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import hub.api.access as access
from hub.api.requests import request_id
from hub.api.throttle import Budget
from hub.core.sources.spec import merge_patch
from hub.errors import HubError
from hub.models import IdempotentAnswer
from hub.services.documents import InvalidDocument

BODY_LIMIT = 1024 * 1024
DEPTH_LIMIT = 64
REPLAY_FOR = timedelta(hours=24)


class Json(BaseParser):
    """Strict JSON: UTF-8, no NaN, no lone surrogates, no NUL (PostgreSQL stores none), at most 64 levels deep."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ARG002
        raw = stream.read()
        if len(raw) > BODY_LIMIT:
            raise HubError("too_large", f"the body has more than {BODY_LIMIT} bytes", status=413)
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"the body is not JSON: {error.msg} (line {error.lineno})") from None
        if _deeper(value, DEPTH_LIMIT):
            raise ParseError(f"the body is nested more than {DEPTH_LIMIT} levels deep")
        if b"\\u0000" in raw and _holds_nul(value):
            raise ParseError("a text holds the character NUL")
        return value


def _holds_nul(value: Any) -> bool:
    """The depth is bounded by then."""
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_holds_nul(item) for item in value)
    return isinstance(value, str) and "\0" in value


def _deeper(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


class AlwaysJson(BaseContentNegotiation):
    """Browsers ask for HTML and get JSON too: one form, no 406."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        content_type = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:  # noqa: ARG002
        return renderers[0], renderers[0].media_type


class Door(APIView):
    """Base of all views. Sign-in, budgets and limits come before anything else looks at the request."""

    authentication_classes = [access.Tokens, access.Sessions]
    permission_classes = [access.SignedIn]
    throttle_classes = [Budget]
    parser_classes = [Json]
    content_negotiation_class = AlwaysJson
    metadata_class = None
    # Answers of POST that hold a secret are not kept for a replay (AP7).
    keeps_answers = True

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        if request.method not in SAFE_METHODS and not request.META.get("CONTENT_LENGTH"):
            # The framework takes a body that comes in chunks for none: a dry run would become a sync.
            request.META["CONTENT_LENGTH"] = str(len(request.body))
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        _refuse_control_characters({**request.query_params.dict(), **kwargs})
        if request.method in SAFE_METHODS:
            return
        length = request.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > BODY_LIMIT:
            raise HubError("too_large", f"the body has more than {BODY_LIMIT} bytes", status=413)
        # Read it now: a wrong type is 415 for everybody, before anything is looked up.
        request.data  # noqa: B018
        if request.method == "POST" and request.headers.get("Idempotency-Key"):
            # `dispatch` looks the handler up after this.
            handlers: Any = self
            handlers.post = self._once(handlers.post)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["X-Request-Id"] = request_id(request)
        response.setdefault("Cache-Control", "no-store")
        return response

    @property
    def dry_run(self) -> bool:
        return flag(self.request, "dry_run")

    def _once(self, post: Callable[..., Response]) -> Callable[..., Response]:
        """Effect and answer in one transaction: the answer is kept exactly when the effect is (AP7)."""

        @functools.wraps(post)
        def replayable(request: Request, *args: Any, **kwargs: Any) -> Response:
            key = request.headers["Idempotency-Key"]
            if len(key) > 128 or not key.isascii() or not key.isprintable():
                raise HubError("bad_idempotency_key", "Idempotency-Key has at most 128 printable characters")
            row = IdempotentAnswer(
                principal=str(access.person(request).pk),
                route=request.get_full_path()[:300],
                key=key,
                digest=hashlib.sha256(json.dumps(request.data, sort_keys=True).encode()).hexdigest(),
            )
            with transaction.atomic():
                if known := _keep(row):
                    return _replay(known, row.digest)
                response = post(request, *args, **kwargs)
                row.status = response.status_code
                row.answer = (
                    orjson.loads(JSONRenderer().render(response.data)) if self.keeps_answers else None
                )
                row.save(update_fields=["status", "answer"])
            return response

        return replayable


def _keep(row: IdempotentAnswer) -> IdempotentAnswer | None:
    """Claim the key, or the row that has it. Two at once: the second waits for the first's transaction."""
    same = {"principal": row.principal, "route": row.route, "key": row.key}
    IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - REPLAY_FOR).delete()
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return IdempotentAnswer.objects.get(**same)
    return None


def _replay(known: IdempotentAnswer, digest: str) -> Response:
    if known.digest != digest:
        raise HubError(
            "idempotency_key_reused",
            "this Idempotency-Key came with another body",
            "use a new key",
            status=422,
        )
    if known.answer is None:
        raise HubError(
            "secret_already_shown",
            "the answer held a secret and was shown once",
            "make a new one",
            status=409,
        )
    return Response(known.answer, status=known.status, headers={"Idempotent-Replay": "true"})


def flag(request: Request, name: str) -> bool:
    """A boolean query parameter. Raises HubError when it is neither true nor false."""
    value = request.query_params.get(name, "false").lower()
    if value not in {"true", "false", "1", "0", ""}:
        raise HubError("bad_parameter", f"{name} must be true or false", f"?{name}=true")
    return value in {"true", "1"}


def _refuse_control_characters(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, str) and any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in value):
            raise HubError("bad_parameter", f"{name[:40]!r} holds control characters")


def document_of(request: Request, readonly: tuple[str, ...] = ()) -> dict[str, Any]:
    """The body as a map; fields that only answers carry may be sent back and are not looked at."""
    if not isinstance(request.data, dict):
        raise InvalidDocument({"": ["the body must be a JSON object"]}, status=400)
    return {key: value for key, value in request.data.items() if key not in readonly}


def merged(request: Request, current: Mapping[str, Any], readonly: tuple[str, ...] = ()) -> dict[str, Any]:
    """The document after the request: the body itself for PUT, a JSON merge patch of `current` for PATCH (AP6)."""
    sent = document_of(request, readonly)
    if request.method != "PATCH":
        return sent
    patched: dict[str, Any] = merge_patch(dict(current), sent)
    return patched


def etag(generation: int) -> dict[str, str]:
    return {"ETag": f'"{generation}"'}


def not_modified(request: Request, generation: int) -> bool:
    return request.headers.get("If-None-Match", "") in {f'"{generation}"', f'W/"{generation}"'}


def expected_generation(
    request: Request, generation: int, changed: Callable[[int], dict[str, list[str]]]
) -> int:
    """The generation a write may replace. Raises 428 without If-Match, 412 with what changed since (AP6)."""
    wanted = request.headers.get("If-Match", "").strip()
    if not wanted:
        raise HubError(
            "precondition_required",
            "changes need If-Match with the ETag of what you read",
            f'If-Match: "{generation}", or * to force',
            status=428,
        )
    if wanted == "*" or wanted.strip('W/"') == str(generation):
        return generation
    seen = wanted.strip('W/"')
    error = HubError(
        "stale", "somebody stored another version meanwhile", "read it again and repeat", status=412
    )
    error.fields = changed(int(seen)) if seen.isdigit() and len(seen) < 10 else {}  # type: ignore[attr-defined]
    raise error


class _Rehearsal(Exception):
    """Ends the transaction of a dry run."""


def rehearse(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do it, look at the answer, undo it: full validation and rights, nothing stored, nothing sent (AP8)."""
    found: dict[str, Any] = {}
    try:
        with transaction.atomic():
            found = action()
            raise _Rehearsal
    except _Rehearsal:
        return found | {"dry_run": True}
