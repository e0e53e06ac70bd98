"""What the log of requests says, and what it never says (A15, C1)."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils.module_loading import import_string

pytestmark = pytest.mark.django_db
CODE = "one-time-code-77aa01"


def _said(caplog: pytest.LogCaptureFixture) -> str:
    """Every record as the handler of production prints it."""
    arguments: dict[str, Any] = dict(settings.LOGGING["filters"]["redact"])
    cleaner = import_string(arguments.pop("()"))(**arguments)
    for record in caplog.records:
        cleaner.filter(record)
    return "\n".join(str(record.msg) for record in caplog.records)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", f"/api/v1/webhooks/gitlab/{CODE}"),
        ("post", f"/api/v1/webhooks/docker/{CODE}?x=1"),
        ("get", f"/link/{CODE}"),
        ("get", f"/api/v1/me?token={CODE}"),
        ("get", f"/api/v1/nowhere?access_token={CODE}&x=1"),
    ],
)
def test_a15_no_secret_of_an_address_reaches_the_log(
    caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    with caplog.at_level("DEBUG"):
        getattr(Client(), method)(path)
    said = _said(caplog)
    assert path.split(CODE, maxsplit=1)[0].split("?")[0] in said, "the request itself is logged"
    assert CODE not in said


def test_the_log_has_the_address_of_the_caller_and_not_of_its_headers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("DEBUG"):
        Client().get("/api/v1/me", headers={"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"})
    said = _said(caplog)
    assert "'ip': '127.0.0.1'" in said
    assert "203.0.113.9" not in said
