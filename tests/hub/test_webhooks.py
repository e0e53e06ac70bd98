"""Webhooks are hints: proven, small, repeated without effect (sources.md 7; security-and-reliability.md E3-E6)."""

from __future__ import annotations

import hashlib
import hmac
import json
from unittest.mock import patch

import pytest
from django.test import Client

from hub.models import Repository, WebhookSecret

SECRET = "a-long-shared-secret"
pytestmark = pytest.mark.django_db


@pytest.fixture
def repository() -> Repository:
    WebhookSecret.objects.create(provider="github", secret=SECRET)
    return Repository.objects.create(
        url="https://git.example.com/shop/web.git", normal_url="https://git.example.com/shop/web"
    )


def _post(body: bytes, *, signature: str | None = None, delivery: str = "1", **headers: str) -> int:
    mac = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    with patch("hub.tasks.nudges.send") as send:
        answer = Client().post(
            "/api/webhook",
            data=body,
            content_type="application/json",
            headers={
                "X-GitHub-Event": "push",
                "X-GitHub-Delivery": delivery,
                "X-Hub-Signature-256": mac if signature is None else signature,
                **headers,
            },
        )
    _post.sent = [call.args[0] for call in send.call_args_list]  # type: ignore[attr-defined]
    return answer.status_code


def _push(url: str = "https://git.example.com/shop/web.git") -> bytes:
    return json.dumps(
        {"ref": "refs/heads/main", "after": "a" * 40, "repository": {"clone_url": url}}
    ).encode()


def test_s33_a_push_makes_its_repository_due_and_nothing_else(repository: Repository) -> None:
    assert _post(_push()) == 200
    repository.refresh_from_db()
    assert repository.next_poll_at is not None
    assert repository.webhook_at is not None
    assert _post.sent == ["hub.poll"]  # type: ignore[attr-defined]


def test_s30_the_same_delivery_twice_is_one_hint(repository: Repository) -> None:
    assert (_post(_push()), _post(_push())) == (200, 200)
    assert _post.sent == []  # type: ignore[attr-defined]


def test_a_repository_of_another_address_is_not_touched(repository: Repository) -> None:
    assert _post(_push("https://git.example.com/bank/vault.git")) == 200
    repository.refresh_from_db()
    assert repository.next_poll_at is None


@pytest.mark.parametrize(
    ("body", "signature", "status"),
    [
        (b"[]", None, 400),
        (b"null", None, 400),
        (b"{", None, 400),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, None, 400),
        (_push(), "sha256=" + "0" * 64, 401),
        (_push(), "", 401),
        (b"x" * (1024 * 1024 + 1), None, 413),
    ],
)
def test_s31_e4_every_wrong_body_is_a_clear_refusal(
    repository: Repository, body: bytes, signature: str | None, status: int
) -> None:
    assert _post(body, signature=signature) == status
    repository.refresh_from_db()
    assert repository.next_poll_at is None


def test_e5_without_a_secret_the_address_does_not_exist() -> None:
    assert _post(_push()) == 404
