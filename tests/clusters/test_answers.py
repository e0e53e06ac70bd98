"""Bodies of a real API server (api-server-facts.md 4) and the errors they become."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from clusters import errors
from clusters.kube.answers import Answer, error_of, redact, retry_after, warnings_of
from tests.clusters.faults import status

TYPED = "failed to create typed patch object (kt/dep; apps/v1, Kind=Deployment):"
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "data": {"a": "c2VudGluZWwtdmFsdWU="},
    "stringData": {"b": "other\nlines"},
}


def answer(code: int, body: Any, **headers: str) -> Answer:
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return Answer(code, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), raw)


@pytest.mark.parametrize(
    ("code", "body", "expected", "permanent"),
    [
        (500, status(500, "", f"{TYPED} .spec.foo: field not declared in schema"), "undeclared_field", True),
        (
            500,
            status(500, "", f"{TYPED} .spec.replicas: expected numeric (int or float), got string"),
            "invalid",
            True,
        ),
        (500, status(500, "", f'{TYPED} .spec.env: duplicate entries for key [name="A"]'), "invalid", True),
        (
            500,
            status(500, "", "failed to convert new object (kt/s1; /v1, Kind=Secret): illegal base64"),
            "invalid",
            True,
        ),
        (500, status(500, "", 'resourceVersion: Invalid value: "abc"'), "invalid", True),
        (
            500,
            status(500, "InternalError", 'failed calling webhook "t.ex.io": refused'),
            "unavailable",
            False,
        ),
        (502, "<html>bad gateway</html>", "unavailable", False),
        (504, status(504, "Timeout", "Timeout: Too large resource version"), "timeout", False),
        (400, status(400, "BadRequest", 'unknown field "spec.foo"'), "invalid", True),
        (401, status(401, "Unauthorized", "Unauthorized"), "unauthorized", True),
        (403, status(403, "", 'admission webhook "t.ex.io" denied the request: no'), "forbidden", True),
        (
            403,
            status(403, "Forbidden", "being terminated", causes=[{"reason": "NamespaceTerminating"}]),
            "namespace_terminating",
            False,
        ),
        (404, "404 page not found", "kind_not_served", True),
        (
            404,
            status(404, "NotFound", "the server could not find the requested resource"),
            "kind_not_served",
            True,
        ),
        (404, status(404, "NotFound", 'namespaces "nope" not found', name="nope"), "not_found", True),
        (409, status(409, "AlreadyExists", "already exists"), "already_exists", True),
        (409, status(409, "Conflict", "the object has been modified"), "conflict", False),
        (409, status(409, "Conflict", "x", causes=[{"reason": "FieldManagerConflict"}]), "conflict", True),
        (410, status(410, "Expired", "too old resource version"), "gone", False),
        (413, status(413, "RequestEntityTooLarge", "limit is 3145728"), "too_large", True),
        (
            422,
            status(422, "Invalid", "Service is invalid: spec.clusterIPs[0]: may not change once set"),
            "immutable",
            True,
        ),
        (422, status(422, "Invalid", "roleRef: cannot change roleRef"), "immutable", True),
        (
            422,
            status(422, "Invalid", "spec: Forbidden: updates to statefulset spec for fields other"),
            "immutable",
            True,
        ),
        (422, status(422, "Invalid", "env[2].name: Required value"), "invalid", True),
        (429, "Too many requests, please try again later.", "throttled", False),
    ],
)
def test_every_body_has_its_code(code: int, body: Any, expected: str, permanent: bool) -> None:
    error = error_of(answer(code, body))
    assert (error.code, error.permanent, error.status) == (expected, permanent, code)
    assert error.message


def test_causes_name_the_fields() -> None:
    cause = {"field": "spec.selector", "reason": "FieldValueInvalid", "message": "field is immutable"}
    error = error_of(answer(422, status(422, "Invalid", "word " * 400, causes=[cause])))
    assert isinstance(error, errors.Immutable)
    assert error.causes == (errors.Cause("spec.selector", "FieldValueInvalid", "field is immutable"),)
    assert len(error.message) == 500
    assert len(error.whole) == 2000


@pytest.mark.parametrize(
    ("given_answer", "seconds"),
    [
        (answer(429, "x", Retry_After="7"), 7.0),
        (answer(429, status(429, "TooManyRequests", "x", retryAfterSeconds=3)), 3.0),
        (answer(429, "x", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), None),
        (answer(429, "x", Retry_After="-1"), None),
        (answer(503, "x"), None),
    ],
)
def test_retry_after_is_read_where_the_server_puts_it(given_answer: Answer, seconds: float | None) -> None:
    assert retry_after(given_answer) == seconds


def test_warnings_are_read_from_every_header() -> None:
    headers = CIMultiDict(
        [("Warning", '299 - "env[2]: hides \\"A\\""'), ("Warning", '299 - "two", 299 - "three"')]
    )
    assert warnings_of(Answer(200, headers, b"")) == ('env[2]: hides "A"', "two", "three")
    assert warnings_of(Answer(200, CIMultiDict(), b"")) == ()


@pytest.mark.parametrize(
    "text",
    [
        "sentinel-value is too weak",
        "c2VudGluZWwtdmFsdWU= is too long",
        'Invalid value: "other\\nlines"',
        "line: lines",
        ".data.a: expected string, got &value.valueUnstructured{Value:map[x:sentinel-value]}",
        ".data.a: expected string, got 12345 sentinel",
    ],
)
def test_c4_no_spelling_of_a_secret_s_value_passes(text: str) -> None:
    shown = error_of(answer(403, status(403, "", text)), SECRET).message
    for value in ("sentinel", "c2VudGluZWw", "other", "lines", "12345"):
        assert value not in shown


def test_c4_an_invalid_secret_shows_fields_and_reasons_only() -> None:
    cause = {
        "field": "data[a b]",
        "reason": "FieldValueInvalid",
        "message": 'Invalid value: "sentinel-value"',
    }
    error = error_of(answer(422, status(422, "Invalid", "sentinel-value", causes=[cause])), SECRET)
    assert error.message == "the Secret is invalid: data[a b] (FieldValueInvalid)"
    assert error.causes == (errors.Cause("data[a b]", "FieldValueInvalid", ""),)


def test_a_value_of_a_wrong_type_is_never_printed_whatever_the_kind() -> None:
    text = f"{TYPED} errors:\n  .a: expected string, got &value.valueUnstructured{{Value:secret}}\n  .b: field not declared in schema"
    assert (
        redact(text)
        == f"{TYPED} errors:\n  .a: expected string, got another type\n  .b: field not declared in schema"
    )


@given(st.text(max_size=300), st.binary(max_size=300), st.integers(300, 599))
def test_d8_any_answer_becomes_an_error(text: str, body: bytes, code: int) -> None:
    assert isinstance(error_of(Answer(code, {"Retry-After": text}, body)), errors.ClusterError)
    details = {"causes": [text, None, {"field": 1}], "retryAfterSeconds": text}
    odd = {"kind": "Status", "message": None, "reason": 7, "details": details}
    assert isinstance(
        error_of(Answer(code, {}, orjson.dumps(odd, option=orjson.OPT_NON_STR_KEYS))), errors.ClusterError
    )


def test_a_text_of_a_server_can_be_stored() -> None:
    """PostgreSQL takes no NUL."""
    body = b'{"kind":"Status","reason":"Invalid","message":"a\\u0000b","details":{"causes":[{"message":"\\u0000"}]}}'
    error = error_of(Answer(422, {}, body))
    assert (error.message, error.whole, error.causes[0].message) == ("a\ufffdb", "a\ufffdb", "\ufffd")
