"""Secrets of webhooks: who may make them, what is shown, and that they prove what they should (sources.md 7)."""

from __future__ import annotations

import hashlib
import hmac
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from hub.models import AuditEvent, Repository, User, WebhookSecret
from hub.services.webhooks import MOST_SECRETS
from hub.tasks import nudges
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
URL = "https://git.example.com/shop/web.git"


@pytest.fixture
def repository() -> Repository:
    return Repository.objects.create(url=URL, normal_url="https://git.example.com/shop/web")


def push(secret: str) -> int:
    body = json.dumps(
        {"ref": "refs/heads/main", "after": "a" * 40, "repository": {"clone_url": URL}}
    ).encode()
    mac = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": mac}
    return Client().post("/api/webhook", body, content_type="application/json", headers=headers).status_code


def test_a_secret_made_by_rest_proves_a_push_and_is_never_shown_again(
    dana: User, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(nudges, "send", lambda task, args, **_: sent.append((task, *args)))
    made = Api(dana).post("/webhook-secrets", {"provider": "github", "repository": URL})
    assert made.status_code == 201, made.content
    secret = made.json()["secret"]
    assert made.json()["address"].endswith("/api/v1/webhooks/github")
    assert (push("wrong"), push(secret)) == (401, 200)
    assert sent == [("hub.poll", str(repository.id))]
    assert secret not in json.dumps(Api(dana).get("/webhook-secrets").json())
    assert secret not in json.dumps(list(AuditEvent.objects.values("after", "object_name")))
    assert Api(dana).delete(f"/webhook-secrets/{made.json()['id']}").status_code == 204
    assert push(secret) == 404
    assert list(AuditEvent.objects.order_by("id").values_list("action", "resource")) == [
        ("create", "webhook secret"),
        ("delete", "webhook secret"),
    ]


def test_an_address_with_a_token_keeps_only_its_digest(dana: User, repository: Repository) -> None:
    made = Api(dana).post("/webhook-secrets", {"provider": "quay"}).json()
    assert made["address"].endswith("/quay/<token>")
    assert WebhookSecret.objects.get().secret.reveal() == hashlib.sha256(made["secret"].encode()).hexdigest()
    address = f"/api/v1/webhooks/quay/{made['secret']}"
    body = {"docker_url": "quay.io/shop/web"}
    assert Client().post(address, body, content_type="application/json").status_code == 200
    assert Client().post(address + "x", body, content_type="application/json").status_code == 401


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"provider": "pigeon"}, "provider"),
        ({"provider": "github", "secret": "short"}, "secret"),
        ({"provider": "quay", "secret": "a" * 31}, "secret"),
        ({"provider": "azure-devops", "secret": "without-a-colon-inside"}, "secret"),
        ({"provider": "github", "repository": "https://git.example.com/nope"}, "repository"),
        ({"provider": "github", "colour": "red"}, "colour"),
        ({"provider": []}, "provider"),
        ({"provider": "github", "secret": {}}, "secret"),
        ({}, "provider"),
    ],
)
def test_what_would_prove_nothing_is_refused(dana: User, document: dict[str, Any], field: str) -> None:
    answer = Api(dana).post("/webhook-secrets", document)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])


def test_no_more_secrets_than_are_looked_at(dana: User, repository: Repository) -> None:
    api = Api(dana)
    codes = [api.post("/webhook-secrets", {"provider": "github"}).status_code for _ in range(4)]
    assert codes == [201, 201, 201, 409]
    for _ in range(MOST_SECRETS - 3):
        WebhookSecret.objects.create(provider="github", secret="x" * 20, repository=repository)
    other = Repository.objects.create(url="https://git.example.com/b", normal_url="https://git.example.com/b")
    assert api.post("/webhook-secrets", {"provider": "github", "repository": other.url}).status_code == 409


def test_they_are_for_the_platform_team_alone(alice: User) -> None:
    assert Api(alice).get("/webhook-secrets").status_code == 404
    assert Api(alice).post("/webhook-secrets", {"provider": "github"}).status_code == 404


def test_the_command_adds_lists_and_removes(repository: Repository, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("webhook", *arguments, stdout=out)
        return out.getvalue()

    (tmp_path / "secret").write_text("a-long-shared-secret\n")
    said = run("add", "github", "--repository", URL, "--secret-file", str(tmp_path / "secret"))
    assert "a-long-shared-secret" in said
    assert WebhookSecret.objects.get().secret.reveal() == "a-long-shared-secret"
    assert "a-long-shared-secret" not in run("list")
    assert run("remove", str(WebhookSecret.objects.get().id)) == "removed\n"
    with pytest.raises(CommandError, match="there is no such secret"):
        run("remove", "nonsense")
