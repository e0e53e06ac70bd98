"""The other channels, and the one sender: what goes over the wire, and what each answer means (notifications.md 9.6, 10)."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from notifications.channels import CHANNELS, base, email, github, teams_workflows, webhook
from notifications.channels.base import DeliveryError, Network, Owed, Request, Step
from notifications.core.templates import Message, MessageField
from tests.notifications.receivers import Got, HttpReceiver, SmtpReceiver, certificate

LOCAL = Network(allow_loopback=True, timeout_s=3)
OWED = Owed(
    id=7,
    token="t" * 32,
    service="hook",
    event={"revisions": [{"repo": "https://github.com/shop/web.git", "sha": "a" * 40}]},
)
MESSAGE = Message(
    title="web failed",
    body="because",
    fields=(MessageField("Cluster", "dev"),),
    severity="error",
    link="https://h/x",
)


def refused(act: Any, *args: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        act(*args)
    return error.value


def test_every_channel_has_the_same_shape() -> None:
    for module in CHANNELS.values():
        assert module.TYPE
        assert module.SECRETS <= module.KNOWN
        assert module.check({}) != []
        assert callable(module.prepare)
        assert callable(module.carry_out)


# -- the sender


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f000001",
        "100.64.0.1",
    ],
)
def test_e9_inner_addresses_are_refused_at_connect_time(host: str) -> None:
    error = refused(base.send, Request("GET", f"http://{host}/"), Network())
    assert (error.code, error.kind) == ("address_refused", "service")


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "http://user@h/", "file:///etc/passwd", "http://h:99999/", "https://"]
)
def test_odd_urls_are_refused(url: str) -> None:
    assert refused(base.send, Request("GET", url), LOCAL).kind == "service"


def test_a_redirect_to_another_host_is_not_followed() -> None:
    with HttpReceiver() as here, HttpReceiver() as there:
        here.answers.append((307, {"Location": there.url}, b""))
        assert (
            refused(base.send, Request("POST", here.url, {"Authorization": "Bearer x"}), LOCAL).code
            == "redirected"
        )
        assert there.requests == []
        here.answers.append((307, {"Location": "/next"}, b""))
        assert base.send(Request("POST", here.url, {}, b"b"), LOCAL).status == 200
        assert here.requests[-1].path == "/next"
        here.answers += [(302, {"Location": "/loop"}, b"")] * 9
        assert refused(base.send, Request("GET", here.url), LOCAL).code == "redirected"


def test_a_refused_connection_is_clean_and_a_lost_answer_is_unsure() -> None:
    with HttpReceiver() as hook:
        gone = hook.url
        hook.answers.append(None)
        assert refused(base.send, Request("POST", hook.url, {}, b"x"), LOCAL).kind == "unsure"
    assert refused(base.send, Request("POST", gone, {}, b"x"), LOCAL).kind == "passing"


def test_a_slow_answer_ends_at_its_time_and_is_unsure() -> None:
    never = threading.Event()
    with HttpReceiver() as hook:
        hook.answer = lambda got: never.wait(3) or 200  # type: ignore[method-assign]
        error = refused(base.send, Request("POST", hook.url), Network(allow_loopback=True, timeout_s=1.2))
        assert (error.code, error.kind) == ("no_answer", "unsure")
        never.set()


def test_a_large_answer_is_cut() -> None:
    with HttpReceiver() as hook:
        hook.answers.append((200, {}, b"x" * 300_000))
        assert len(base.send(Request("GET", hook.url), LOCAL).body) == base.MAX_ANSWER


def test_a_header_cannot_smuggle_another() -> None:
    with HttpReceiver() as hook:
        error = refused(base.send, Request("POST", hook.url, {"X": "a\r\nY: b"}), LOCAL)
        assert (error.code, hook.requests) == ("bad_request", [])


def test_tls_names_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate nobody trusts, then a trusted one for another name: refused before a byte of the request."""
    with HttpReceiver(tls=certificate(tmp_path, "localhost")) as hook:
        url = hook.url.replace("127.0.0.1", "localhost")
        assert refused(base.send, Request("POST", url, {}, b"secret"), LOCAL).code == "tls"
        assert refused(base.send, Request("POST", url, insecure=True), LOCAL).code == "tls"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pem"))
        assert base.send(Request("POST", url), LOCAL).status == 200
        error = refused(base.send, Request("POST", hook.url), LOCAL)
        assert (error.code, error.kind) == ("tls", "passing")
        allowed = Network(allow_loopback=True, insecure_allowed=True)
        assert base.send(Request("POST", hook.url, insecure=True), allowed).status == 200
        assert len(hook.requests) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "wait"),
        (408, "passing"),
        (425, "passing"),
        (503, "passing"),
        (401, "service"),
        (403, "service"),
        (404, "message"),
        (500, "unsure"),
        (502, "unsure"),
    ],
)
def test_statuses_have_their_usual_meaning(status: int, kind: str) -> None:
    assert refused(base.judged, base.Answer(status, {}, b"")).kind == kind


def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour() -> None:
    def after(**headers: str) -> float | None:
        return base.retry_after(base.Answer(429, headers, b""))

    date = {"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert [
        after(**one)
        for one in ({}, {"retry-after": "5"}, {"retry-after": "99999"}, {"retry-after": "soon"}, date)
    ] == [30, 5, 3600, 30, 30]


# -- webhook


def test_a_webhook_sends_its_block() -> None:
    part = {"hook": {"method": "PUT", "path": "/a/b", "body": '{"t": "\ufde0key\ufde1"}'}}
    message = Message(title="t", parts={"webhook": part})
    with HttpReceiver() as hook:
        settings = {
            "url": f"{hook.url}/base/",
            "headers": [{"name": "X-A", "value": "b"}],
            "basicAuth": {"username": "u", "password": "p"},
        }
        (step,) = webhook.prepare(message, "", settings, OWED)
        webhook.carry_out(step, settings, LOCAL, Owed(id=7, token="t", secrets={"key": 'va"lue'}))
        (got,) = hook.requests
        assert (got.method, got.path, json.loads(got.body)) == ("PUT", "/base/a/b", {"t": 'va"lue'})
        assert (got.headers["x-a"], got.headers["authorization"]) == ("b", "Basic dTpw")
        assert got.headers["idempotency-key"] == "7-t"


def test_a_webhook_5xx_is_clean() -> None:
    with HttpReceiver() as hook:
        hook.answers.append(500)
        (step,) = webhook.prepare(MESSAGE, "", {}, OWED)
        assert refused(webhook.carry_out, step, {"url": hook.url}, LOCAL, OWED).kind == "passing"
        assert step.request["body"] == "because"


def test_an_empty_body_stays_empty() -> None:
    message = Message(title="t", body="text", parts={"webhook": {"hook": {"method": "POST", "body": ""}}})
    (step,) = webhook.prepare(message, "", {}, OWED)
    assert step.request["body"] == ""


# -- e-mail


def mail_settings(server: SmtpReceiver, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": server.port, "from": "Hub <hub@example.com>", **more}


def test_mail_goes_to_each_recipient_with_one_message_id() -> None:
    with SmtpReceiver() as server:
        settings = mail_settings(server)
        message = Message(title="a\r\nBcc: evil@example.com", body=".hidden dot", thread="op/1")
        for step in email.prepare(message, "a@example.com, b@example.com", settings, OWED):
            email.carry_out(step, settings, LOCAL, OWED)
        assert [to for to, _ in server.mails] == ["a@example.com", "b@example.com"]
        text = server.mails[0][1].decode()
        assert not any(line.startswith("Bcc") for line in text.partition("\r\n\r\n")[0].splitlines())
        assert "Subject: a Bcc: evil@example.com" in text
        assert f"Message-ID: <7.{OWED.token}@example.com>" in text
        assert "References: <" in text
        assert "\r\n..hidden dot" in text


@pytest.mark.parametrize(
    ("verb", "reply", "kind"),
    [
        ("MAIL", "451 later", "passing"),
        ("MAIL", "550 not you", "service"),
        ("RCPT", "450 later", "passing"),
        ("RCPT", "550 nobody", "message"),
        ("DATA", "554 no", "message"),
        ("END", "452 full", "passing"),
        ("END", "554 spam", "message"),
        ("END", None, "unsure"),
        ("DATA", None, "passing"),
    ],
)
def test_smtp_answers_have_their_meaning(verb: str, reply: str | None, kind: str) -> None:
    with SmtpReceiver() as server:
        server.replies[verb] = reply
        settings = mail_settings(server)
        (step,) = email.prepare(MESSAGE, "a@example.com", settings, OWED)
        assert refused(email.carry_out, step, settings, LOCAL, OWED).kind == kind


def test_one_refused_address_keeps_nobody_else_from_the_mail() -> None:
    with SmtpReceiver() as server:
        settings = mail_settings(server)
        bad, good = email.prepare(MESSAGE, "not an address, b@example.com", settings, OWED)
        assert "refused" in next(iter(email.carry_out(bad, settings, LOCAL, OWED).ids))
        email.carry_out(good, settings, LOCAL, OWED)
        assert [to for to, _ in server.mails] == ["b@example.com"]


def test_a_password_is_not_sent_without_tls() -> None:
    with SmtpReceiver() as server:
        settings = mail_settings(server, username="u", password="p")
        (step,) = email.prepare(MESSAGE, "a@example.com", settings, OWED)
        error = refused(email.carry_out, step, settings, LOCAL, OWED)
        assert (error.code, error.kind) == ("smtp_tls", "service")
        assert "AUTH" not in server.verbs


@pytest.mark.parametrize(
    ("settings", "attempts", "seconds"),
    [
        ({}, 1, None),
        ({"retryWaitMin": "1s"}, 1, 1),
        ({"retryWaitMin": "1s", "retryWaitMax": "3s"}, 3, 3),
        ({"retryWaitMin": "2s", "retryMax": 1}, 2, None),
        ({"retryWaitMax": 4}, 2, 2),
        ({"retryWaitMin": "soon"}, 1, None),
        ({"retryWaitMin": "-5s"}, 1, 0),
    ],
)
def test_retry_keys_of_a_webhook_give_its_first_waits(
    settings: dict[str, Any], attempts: int, seconds: int | None
) -> None:
    wait = webhook.first_wait(settings, attempts)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


# -- Teams


WORKFLOW = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=secret"
)


def test_teams_cards_fit_and_keep_their_parts() -> None:
    part = {
        "title": "T",
        "facts": [{"name": "a", "value": "b"}],
        "potentialAction": [{"@type": "OpenUri", "name": "Go", "targets": [{"uri": "https://h/x"}]}],
    }
    message = Message(title="t", body="x" * 12_000 + "ä" * 9_000, parts={"teams-workflows": part})
    (step,) = teams_workflows.prepare(message, "team", {}, OWED)
    body = json.dumps(step.request["body"])
    assert len(body.encode()) <= teams_workflows.MAX_BYTES
    card = step.request["body"]["attachments"][0]["content"]
    assert card["body"][-1] == {"type": "FactSet", "facts": [{"title": "a", "value": "b"}]}
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Go", "url": "https://h/x"}]
    assert "secret" not in body


def test_teams_takes_an_adaptive_card_as_it_is() -> None:
    card = {"type": "AdaptiveCard", "body": []}
    (step,) = teams_workflows.prepare(
        Message(title="t", parts={"teams": {"adaptiveCard": card}}), "team", {}, OWED
    )
    assert step.request["body"]["attachments"][0]["content"] == card


@pytest.mark.parametrize(
    "template",
    [
        {"type": "AdaptiveCard", "body": [{"type": "TextBlock", "text": "from the template"}]},
        {
            "@type": "MessageCard",
            "title": "from the template",
            "sections": [{"facts": [{"name": "a", "value": "b"}]}],
        },
        {
            "type": "message",
            "attachments": [{"content": {"type": "AdaptiveCard", "body": "from the template"}}],
        },
    ],
)
def test_teams_takes_a_whole_template(template: dict[str, Any]) -> None:
    """The documented `template` replaces the whole: a card, what carries one, or a connector's card to translate."""
    (step,) = teams_workflows.prepare(
        Message(title="t", parts={"teams": {"template": template}}), "team", {}, OWED
    )
    body = step.request["body"]
    assert "from the template" in json.dumps(body)
    assert body["attachments"][0]["content"]["type"] == "AdaptiveCard"


def test_teams_addresses_are_workflows_and_nothing_else() -> None:
    assert teams_workflows.refused(WORKFLOW) is None
    retired = teams_workflows.refused("https://x.webhook.office.com/webhookb2/1")
    assert retired is not None
    assert retired.code == "retired"
    assert "workflow" in retired.hint
    for url in (
        "http://prod.logic.azure.com/x",
        "https://logic.azure.com.evil.example/x",
        "https://evil.example/",
    ):
        assert teams_workflows.refused(url) is not None
    step = Step("post", {"recipient": "team", "body": {}})
    assert refused(teams_workflows.carry_out, step, {"recipientUrls": {}}, LOCAL, OWED).kind == "recipient"


# -- GitHub


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


class GitHubReceiver(HttpReceiver):
    """Remembers what it made, as GitHub would."""

    def __init__(self) -> None:
        super().__init__()
        self.comments: list[dict[str, Any]] = []
        self.deployments: list[dict[str, Any]] = []

    def answer(self, got: Got) -> Any:
        if self.answers and "access_tokens" not in got.path:
            return self.answers.pop(0)
        body = json.loads(got.body) if got.body else {}
        if "access_tokens" in got.path:
            return 201, {}, b'{"token": "ghs_installation1"}'
        if got.path.endswith("/pulls"):
            return 200, {}, b'[{"number": 5, "state": "open"}, {"number": 6, "state": "closed"}]'
        if got.method == "GET" and "/comments" in got.path:
            asked = parse_qs(urlsplit(got.path).query)
            size, page = int(asked["per_page"][0]), int(asked.get("page", ["1"])[0])
            return 200, {}, json.dumps(self.comments[(page - 1) * size : page * size]).encode()
        if got.method == "POST" and got.path.endswith("/comments"):
            self.comments.append({"id": len(self.comments) + 1, **body})
        if got.method == "PATCH":
            wanted = int(got.path.rpartition("/")[2])
            next(one for one in self.comments if one["id"] == wanted).update(body)
        if got.path.endswith("/deployments") and got.method == "POST":
            self.deployments.append({"id": 42, **body})
        if "/deployments?" in got.path:
            asked = parse_qs(urlsplit(got.path).query)
            return (
                200,
                {},
                json.dumps([one for one in self.deployments if [one["ref"]] == asked["ref"]]).encode(),
            )
        return 201, {}, b'{"id": 42}'


def _github(server: HttpReceiver, key: str) -> dict[str, Any]:
    return {"appID": 1, "installationID": "2", "privateKey": key, "enterpriseBaseURL": server.url}


def test_github_sets_a_status_of_the_first_revision(private_key: str) -> None:
    with GitHubReceiver() as server:
        settings = _github(server, private_key)
        (step,) = github.prepare(Message(title="t", body="x" * 300, severity="error"), "", settings, OWED)
        github.carry_out(step, settings, LOCAL, OWED)
        token, status = server.requests
        assert token.headers["authorization"].count(".") == 2
        assert status.path == f"/repos/shop/web/statuses/{'a' * 40}"
        assert status.headers["authorization"] == "Bearer ghs_installation1"
        body = json.loads(status.body)
        assert (body["state"], len(body["description"])) == ("failure", 140)


def test_github_comments_once_per_tag(private_key: str) -> None:
    part = {"pullRequestComment": {"content": "deployed", "commentTag": "web"}}
    with GitHubReceiver() as server:
        settings = _github(server, private_key)
        (step,) = github.prepare(Message(title="t", parts={"github": part}), "", settings, OWED)
        for _ in range(3):
            github.carry_out(step, settings, LOCAL, OWED)
        (comment,) = server.comments
        assert comment["body"] == "deployed\n<!-- hub:tag:web -->"


def test_github_finds_its_comment_behind_a_hundred_others(private_key: str) -> None:
    part = {"pullRequestComment": {"content": "deployed", "commentTag": "web"}}
    with GitHubReceiver() as server:
        settings = _github(server, private_key)
        server.comments = [{"id": number, "body": "chat"} for number in range(130)]
        (step,) = github.prepare(Message(title="t", parts={"github": part}), "", settings, OWED)
        for _ in range(2):
            github.carry_out(step, settings, LOCAL, OWED)
        assert len(server.comments) == 131


def test_github_asks_in_spite_of_what_others_deployed(private_key: str) -> None:
    part = {"deployment": {"reference": "main"}}
    with GitHubReceiver() as server:
        settings = _github(server, private_key)
        server.deployments = [{"id": 1, "ref": "main", "payload": "free text"}]
        step, _ = github.prepare(Message(title="t", parts={"github": part}), "", settings, OWED)
        assert github.ask(step, settings, LOCAL, OWED) is None
        github.carry_out(step, settings, LOCAL, OWED)
        assert github.ask(step, settings, LOCAL, OWED) is not None


def test_github_deployments_can_be_asked_for(private_key: str) -> None:
    part = {"deployment": {"environment": "prod", "state": "success"}}
    with GitHubReceiver() as server:
        settings = _github(server, private_key)
        deployment, status = github.prepare(Message(title="t", parts={"github": part}), "", settings, OWED)
        assert (deployment.unsure, status.unsure) == ("ask", "harmless")
        assert github.ask(deployment, settings, LOCAL, OWED) is None
        made = github.carry_out(deployment, settings, LOCAL, OWED)
        found = github.ask(deployment, settings, LOCAL, OWED)
        assert found is not None
        assert found.ids == made.ids == {"deployment": "42"}
        github.carry_out(status, settings, LOCAL, Owed(id=7, token="t", receipts={"deployment": "42"}))
        assert server.requests[-1].path == "/repos/shop/web/deployments/42/statuses"
        assert server.deployments[0]["auto_merge"] is True


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((403, {"x-ratelimit-remaining": "0"}, b""), "wait"),
        ((403, {}, b"Resource not accessible"), "service"),
        ((404, {}, b""), "message"),
        ((422, {}, b"no commit"), "message"),
        ((502, {}, b""), "unsure"),
    ],
)
def test_github_answers_have_their_meaning(private_key: str, answer: Any, kind: str) -> None:
    with GitHubReceiver() as server:
        settings = _github(server, private_key)
        server.answers.append(answer)
        (step,) = github.prepare(MESSAGE, "", settings, OWED)
        assert refused(github.carry_out, step, settings, LOCAL, OWED).kind == kind


def test_github_too_many_statuses_is_done(private_key: str) -> None:
    with GitHubReceiver() as server:
        settings = _github(server, private_key)
        server.answers.append((422, {}, b'{"message": "This SHA and context has reached too many statuses"}'))
        (step,) = github.prepare(MESSAGE, "", settings, OWED)
        assert github.carry_out(step, settings, LOCAL, OWED) is not None
