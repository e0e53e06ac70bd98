"""Words for OpenAPI beside the views they describe: one decorator, one shape for errors, one for lists."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

import hub.api.shapes as shapes
from hub.api.lists import COUNTED, MOST, PAGE, Listing

_WORDS = {
    400: "malformed",
    401: "not signed in",
    403: "not permitted",
    404: "missing or hidden",
    429: "too many",
}
_CONFLICTS = {409: "conflict or wrong state", 413: "too large", 415: "not JSON", 422: "refused by a rule"}


def documented(
    sentence: str,
    *,
    body: type[serializers.Serializer[Any]] | None = None,
    answer: type[serializers.Serializer[Any]] | None = None,
    item: type[serializers.Serializer[Any]] | None = None,
    listing: Listing | None = None,
    status: int = 200,
    match: bool = False,
    dry_run: bool = False,
    public: bool = False,
    also: Mapping[str, str] | None = None,
) -> Callable[[Any], Any]:
    """`extend_schema` with what all routes share. `item` with `listing`: the answer is a page of these."""
    parameters = [_query(name, words) for name, words in (also or {}).items()]
    if listing is not None:
        parameters += _of_listing(listing)
    if dry_run:
        parameters.append(
            _query("dry_run", "true: validate and answer as if, store nothing", OpenApiTypes.BOOL)
        )
    responses: dict[int, Any] = dict.fromkeys((*_WORDS, 500, 503), None)
    responses = {code: OpenApiResponse(shapes.Error, _WORDS.get(code, "failed")) for code in responses}
    if body is not None or answer is None:
        responses |= {code: OpenApiResponse(shapes.Error, words) for code, words in _CONFLICTS.items()}
    else:
        responses |= {409: OpenApiResponse(shapes.Error, _CONFLICTS[409])}
        responses |= {415: OpenApiResponse(shapes.Error, _CONFLICTS[415])}
    if match:
        parameters.append(_header("If-Match", "the ETag of what was read, or * to force"))
        responses |= {
            412: OpenApiResponse(shapes.Error, "stale"),
            428: OpenApiResponse(shapes.Error, "If-Match is missing"),
        }
    if dry_run and status != 200:
        responses[200] = (
            OpenApiResponse(answer, "the dry run") if answer else OpenApiResponse(description="the dry run")
        )
    if item is not None:
        responses[200] = _page(item)
    else:
        responses[status] = OpenApiResponse(answer, "done") if answer else OpenApiResponse(description="done")
    return extend_schema(
        operation_id=f"{listing.route}_list" if listing is not None else None,
        summary=sentence,
        description="",
        request=body,
        responses=responses,
        parameters=parameters,
        auth=[] if public else None,
    )


def _query(name: str, words: str, kind: Any = OpenApiTypes.STR) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=words)


def _header(name: str, words: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=words)


def _of_listing(listing: Listing) -> list[OpenApiParameter]:
    sorts = ", ".join(sorted(listing.sorts))
    return [
        _query("limit", f"rows of a page, {PAGE} unless told, at most {MOST}", OpenApiTypes.INT),
        _query("cursor", "`next` of the page before"),
        _query("sort", f"{sorts}; with - in front the other way round; {listing.default} unless told"),
        _query("count", f"true: also `total`, stopped at {COUNTED}", OpenApiTypes.BOOL),
        _query("fields", "only these fields, separated by commas"),
        *(_query(name, f"filter by {name.replace('_', ' ')}") for name in listing.filters),
    ]


@functools.cache
def _page(item: type[serializers.Serializer[Any]]) -> Any:
    return inline_serializer(
        f"{item.__name__}Page",
        {
            "items": item(many=True),
            "next": serializers.CharField(allow_null=True),
            "total": serializers.IntegerField(required=False),
        },
    )


class OwnWords(AutoSchema):
    """The summary says it; what a view says of itself comes below, what its base says does not."""

    def get_description(self) -> str:  # type: ignore[override]
        return inspect.cleandoc(type(self.view).__dict__.get("__doc__") or "")


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is sent."""

    target_class = "hub.api.access.Tokens"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        return {"type": "http", "scheme": "bearer", "bearerFormat": "hubp_..."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The cookie of a browser."""

    target_class = "hub.api.access.Sessions"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        return {"type": "apiKey", "in": "cookie", "name": "hub-session"}
