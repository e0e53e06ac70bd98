"""Answers that are not objects: `Status` bodies and the error that carries one."""

from __future__ import annotations

from typing import Any

import orjson

Body = dict[str, Any]
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """A refusal, as the Status body that goes over the wire. `plain`: sent as text, not as a Status."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: Body | None = None,
        headers: dict[str, str] | None = None,
        plain: bool = False,
        metadata: Body | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = REASONS.get(code, "") if reason is None else reason
        self.details = details
        self.headers = headers or {}
        self.plain = plain
        self.metadata = metadata or {}

    def body(self) -> Body:
        """The Status object."""
        body: Body = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return body | {"code": self.code}


def qualified(resource: str, group: str) -> str:
    """`deployments.apps`, `configmaps`."""
    return f"{resource}.{group}" if group else resource


def details_of(name: str, group: str, kind: str, **more: Any) -> Body:
    """The `details` of a Status; empty parts are left out."""
    body: Body = {"name": name, "group": group, "kind": kind, **more}
    return {key: value for key, value in body.items() if value}


def not_found(resource: str, group: str, name: str) -> ApiError:
    message = f'{qualified(resource, group)} "{name}" not found'
    return ApiError(404, message, details=details_of(name, group, resource))


def already_exists(resource: str, group: str, name: str) -> ApiError:
    message = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, message, reason="AlreadyExists", details=details_of(name, group, resource))


def conflict(resource: str, group: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return ApiError(409, message, details=details_of(name, group, resource))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class Cause(tuple[str, str, str]):
    """One thing wrong with an object: (field, reason, sentence)."""

    def __new__(cls, field: str, sentence: str, reason: str = "FieldValueInvalid") -> Cause:
        return super().__new__(cls, (field, reason, sentence))


def required(field: str, more: str = "") -> Cause:
    return Cause(field, "Required value" + (f": {more}" if more else ""), "FieldValueRequired")


def forbidden_field(field: str, sentence: str) -> Cause:
    return Cause(field, f"Forbidden: {sentence}", "FieldValueForbidden")


def invalid_value(field: str, value: Any, sentence: str) -> Cause:
    shown = orjson.dumps(value).decode() if value is not None else "null"
    return Cause(field, f"Invalid value: {shown}: {sentence}")


def unsupported(field: str, value: Any, allowed: list[str]) -> Cause:
    names = ", ".join(f'"{name}"' for name in allowed)
    return Cause(field, f'Unsupported value: "{value}": supported values: {names}', "FieldValueNotSupported")


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> ApiError:
    """422 with all causes."""
    lines = [f"{field}: {sentence}" for field, _, sentence in causes]
    text = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    listed = [{"reason": reason, "message": sentence, "field": field} for field, reason, sentence in causes]
    message = f'{qualified(kind, group)} "{name}" is invalid: {text}'
    return ApiError(422, message, details=details_of(name, group, kind, causes=listed))


def generic(code: int, message: str) -> ApiError:
    """An error the server raises before it knows what the request is about: its details are empty."""
    return ApiError(code, message, details={})


def invalid_options(kind: str, causes: list[Cause]) -> ApiError:
    """422 for the options of a request: ListOptions, PatchOptions, DeleteOptions."""
    return invalid(kind, "meta.k8s.io", "", causes)


def too_large(version: int, current: int) -> ApiError:
    """504 for a resourceVersion of the future."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    text = f"Timeout: Too large resource version: {version}, current: {current}"
    return ApiError(504, text, details={"causes": [cause], "retryAfterSeconds": 1})


def expired(message: str) -> ApiError:
    return ApiError(410, message)
