"""Reads what an API server answered: pure functions from status, headers and body to values and errors.

Bodies were seen on a real server (api-server-facts.md 4). Every text is redacted here, before anybody can log it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

import clusters.errors as errors
from clusters.errors import Cause, ClusterError
from guard import redact as guard

LONGEST_MESSAGE = 500
_IMMUTABLE = (
    "field is immutable",
    "may not change once set",
    "cannot change roleRef",
    "updates to statefulset spec",
    "spec is immutable after creation",
    "pod updates may not change",
)
_SCHEMA = ("failed to create typed patch object", "failed to convert new object")
_GOT = re.compile(r", got &value\.valueUnstructured\{.*", re.DOTALL)
_NEXT_PATH = re.compile(r"\n(?=\s+\.)")
_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


class Answer(NamedTuple):
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a dict. Unavailable if it is something else: then no API server answered."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise errors.Unavailable("the answer is not a JSON object", status=self.status)
        return value

    @property
    def speaks_kubernetes(self) -> bool:
        """Whether an API server made this, as far as one can tell; a proxy's error page is no answer of one."""
        return self.status < 500 or _status(self) is not None


def _status(answer: Answer) -> dict[str, Any] | None:
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and value.get("kind") == "Status" else None


def retry_after(answer: Answer) -> float | None:
    """Seconds of the Retry-After header (or of `details.retryAfterSeconds`), None when the server gave none."""
    text = answer.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    details = (_status(answer) or {}).get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return float(seconds) if isinstance(seconds, int) and seconds > 0 else None


def warnings_of(answer: Answer, sent: Any = None) -> tuple[str, ...]:
    """The texts of `Warning: 299 - "..."` headers, redacted."""
    if "Warning" not in answer.headers:
        return ()
    getall = getattr(answer.headers, "getall", None)
    lines = getall("Warning") if getall else [answer.headers["Warning"]]
    found = [match.group(1).replace('\\"', '"') for line in lines for match in _WARNING.finditer(line)]
    return tuple(cut(redact(text, sent)) for text in found)


def error_of(answer: Answer, sent: Any = None) -> ClusterError:
    """The error that an answer >= 300 means. `sent` is the body of the request: its Secret values are taken out."""
    status = _status(answer) or {}
    details = status.get("details")
    causes = tuple(_causes(details if isinstance(details, dict) else {}))
    text = str(status.get("message") or answer.body[:8000].decode("utf-8", "replace").strip())
    kind = _class_of(answer.status, str(status.get("reason") or ""), text, causes)
    hidden = is_secret(sent)
    message = _message(answer.status, text, causes, sent)
    return kind(
        cut(message),
        whole=message,
        retry_after=retry_after(answer),
        status=answer.status,
        causes=tuple(Cause(c.field, c.reason, "" if hidden else cut(redact(c.message))) for c in causes),
    )


def _causes(details: Mapping[str, Any]) -> Iterator[Cause]:
    for cause in details.get("causes") or ():
        if isinstance(cause, dict):
            yield Cause(*(str(cause.get(part) or "") for part in ("field", "reason", "message")))


def _message(status: int, text: str, causes: tuple[Cause, ...], sent: Any) -> str:
    if is_secret(sent) and causes and status == 422:
        listed = ", ".join(f"{cause.field} ({cause.reason})" for cause in causes)
        return redact(f"the Secret is invalid: {listed}", sent)
    return redact(text or f"the server answered {status} without a text", sent)


def _class_of(status: int, reason: str, text: str, causes: tuple[Cause, ...]) -> type[ClusterError]:
    if status >= 500:
        return _server_error(status, text)
    if status == 403:
        terminating = any(cause.reason == "NamespaceTerminating" for cause in causes)
        return errors.NamespaceTerminating if terminating else errors.Forbidden
    if status == 404:
        known = reason == "NotFound" and "could not find the requested resource" not in text
        return errors.NotFound if known else errors.KindNotServed
    if status == 409:
        return _conflict(reason, causes)
    if status == 422 and any(
        mark in one for mark in _IMMUTABLE for one in (text, *(c.message for c in causes))
    ):
        return errors.Immutable
    return _PLAIN.get(status, errors.Invalid if status >= 400 else errors.Unavailable)


_PLAIN: dict[int, type[ClusterError]] = {
    401: errors.Unauthorized,
    410: errors.Gone,
    413: errors.TooLarge,
    429: errors.Throttled,
}


def _server_error(status: int, text: str) -> type[ClusterError]:
    if status == 500 and text.startswith(_SCHEMA):
        return errors.UndeclaredField if "field not declared in schema" in text else errors.Invalid
    if status == 500 and text.startswith("resourceVersion: Invalid value"):
        return errors.Invalid
    return errors.TimedOut if status == 504 else errors.Unavailable


def _conflict(reason: str, causes: tuple[Cause, ...]) -> type[ClusterError]:
    if reason == "AlreadyExists":
        return errors.AlreadyExists
    if any(cause.reason == "FieldManagerConflict" for cause in causes):
        return errors.FieldConflict
    return errors.Conflict


def is_secret(sent: Any) -> bool:
    return isinstance(sent, dict) and sent.get("kind") == "Secret" and sent.get("apiVersion") == "v1"


def redact(text: str, sent: Any = None) -> str:
    """`text` without printed values of a wrong type, without the values of the Secret `sent`.

    The typed errors of server-side apply print the value they met, whole maps included (api-server-facts.md 4).
    """
    parts = _NEXT_PATH.split(text.replace("\x00", "\ufffd"))  # no database text takes a NUL
    text = "\n".join(_GOT.sub(", got another type", part) for part in parts)
    if is_secret(sent):
        text = "\n".join(re.sub(r", got .*", ", got another type", part, flags=re.DOTALL) for part in parts)
        for value in sorted(_secret_values(sent), key=len, reverse=True):
            text = text.replace(value, guard.MASK)
    return guard.redact(text)


def cut(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."


def _secret_values(secret: Mapping[str, Any]) -> set[str]:
    """Every value of a Secret in the spellings in which a message may quote it; single characters are left alone."""
    found: set[str] = set()
    for part in ("data", "stringData"):
        values = secret.get(part)
        for value in values.values() if isinstance(values, dict) else ():
            for spelling in _spellings(value):
                found.update((spelling, orjson.dumps(spelling).decode()[1:-1], *spelling.splitlines()))
    return {value for value in found if len(value) > 1}


def _spellings(value: Any) -> Iterator[str]:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    yield text
    yield base64.b64encode(text.encode()).decode()
    try:
        yield base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return
