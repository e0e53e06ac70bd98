"""The character NUL: PostgreSQL stores none, so no door takes it, whatever the database (C8, E4)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from hub.models import User
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
# Itself, or its escape in a JSON object.
NUL = re.compile(r"\0|^\{.*(?<!\\)\\u0000")


@pytest.fixture(autouse=True)
def as_strict_as_postgresql() -> Iterator[None]:
    """What PostgreSQL refuses, SQLite would keep."""

    def checked(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        for value in params or ():
            assert not (isinstance(value, str) and NUL.search(value)), sql[:200]
        return execute(sql, params, many, context)

    with connection.execute_wrapper(checked):
        yield


def test_c8_a_name_with_a_nul_is_a_failed_sign_in_at_every_door() -> None:
    form = {"username": "a\0b", "password": "x\0y"}
    assert Api().post("/session", form).status_code == 400
    assert Client().post("/admin/login/", form).status_code == 200
    assert Client().post("/approvals/7", form).status_code == 401
    assert Client().get("/link/a%00b").status_code == 404


def test_c8_a_document_with_a_nul_in_a_key_or_a_value_is_refused(dana: User) -> None:
    for labels in ({"a\0b": "x"}, {"a": "x\0y"}):
        answer = Api(dana).post("/projects", {"name": "bank", "labels": labels})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_the_text_of_the_escape_is_no_nul(dana: User) -> None:
    answer = Api(dana).post("/projects", {"name": "bank", "description": "says \\u0000 literally"})
    assert answer.status_code == 201


def test_e4_an_address_with_a_nul_is_nowhere(dana: User) -> None:
    assert Client().post("/api/v1/webhooks/a%00b", {}).status_code == 404
    browser = Client()
    browser.force_login(dana)
    for path in ("logs?namespace=shop&pod=a", "stream", "diff", "tree"):
        assert Api(dana).get(f"/applications/a%00b/{path}").status_code in {400, 404}
    for query in ("q=a%00b", "project=a%00b", "sync=a%00b"):
        assert browser.get(f"/admin/hub/application/?{query}").status_code in {200, 302}
