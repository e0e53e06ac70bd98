"""Imported templates to Messages (notifications.md 4.1, 4.5; examples 20, 31 to 33)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from notifications.core import marks
from notifications.core.gotimes import Clock
from notifications.core.templates import ImportedTemplate, Message, Occasion, message_for, read_template
from notifications.errors import ConfigError, TemplateError

CLOCK = Clock(datetime(2026, 1, 2, 12, tzinfo=UTC))
EVENT: dict[str, Any] = {
    "name": "sync-failed",
    "severity": "error",
    "summary": "Sync of shop-prod failed",
    "app": {"name": "shop-prod"},
    "project": {"name": "shop"},
    "cluster": {"name": "c1"},
    "revisions": [{"sha": "abcdef1234567890", "short": "abcdef1", "message": "Fix <it>"}],
    "operation": {"id": "7", "phase": "Failed", "message": "one or more objects failed"},
    "changes": [
        {
            "kind": "Deployment",
            "namespace": "a",
            "name": "api",
            "action": "failed",
            "message": "quota exceeded",
        },
        {"kind": "Service", "namespace": "a", "name": "api", "action": "configured"},
    ],
    "links": {"app": "https://hub.example/apps/1"},
    "application": {"metadata": {"name": "shop-prod"}, "spec": {"sources": [{"repoURL": "https://g/a"}, {}]}},
    "commits": [
        {"sha": "abcdef1234567890", "author": "Alice", "message": "Fix", "date": "2026-01-02T00:00:00Z"}
    ],
}


def message(channel: str, *texts: str, service: str = "", **more: Any) -> Message:
    templates = [read_template(f"t{number}", text) for number, text in enumerate(texts)]
    return message_for(templates, Occasion(EVENT, channel, service or channel, "dest", CLOCK, **more))


def test_multi_source_never_panics() -> None:
    text = "message: '{{ (call .repo.GetCommitMetadata \"abcdef1234567890\").Author }} {{ .app.spec.source.repoURL }}'"
    made = message("slack", text)
    assert (made.body, made.fallback) == ("Alice <no value>", "")
    assert made.remarks == (".app.spec.source.repoURL: there is no source",)


@pytest.mark.parametrize(
    "expression", ["index .app.spec.sources 5", "range 60000 }}{{ end", ".app.metadata.name.x"]
)
def test_a_broken_template_still_speaks(expression: str) -> None:
    made = message("slack", f"message: 'x {{{{ {expression} }}}}'")
    assert made.title == "❌ Sync of shop-prod failed"
    assert made.body == "one or more objects failed\nDeployment/a/api: quota exceeded"
    assert [(field.title, field.value) for field in made.fields] == [
        ("Application", "shop-prod"), ("Project", "shop"), ("Cluster", "c1"), ("Revisions", "abcdef1 Fix <it>"),
    ]  # fmt: skip
    assert made.link == "https://hub.example/apps/1"
    assert made.fallback.startswith("line 1, column ")
    assert made.parts == {}


def test_an_unknown_function_turns_off_that_template_and_is_named() -> None:
    with pytest.raises(TemplateError) as caught:
        read_template("x", "message: '{{ getHostByName .app }}'")
    assert "message: unknown function getHostByName" in str(caught.value)
    assert (
        message_for([], Occasion(EVENT, "slack", "slack", "c", CLOCK), ["x"]).fallback
        == "there is no template 'x'"
    )


def test_an_invalid_document_sends_the_fallback() -> None:
    made = message("slack", "message: m\nslack:\n  attachments: '[{{ .app.metadata.name }}]'")
    assert "slack.attachments: a value printed outside of quotes" in made.fallback


def test_secrets_reach_only_the_webhook_wire() -> None:
    text = "message: 's {{ .secrets.t }}'\nwebhook:\n  hook:\n    method: POST\n    path: '/x?k={{ .secrets.t }}'\n    body: 'token={{ .secrets.t }}'"
    made = message("webhook", text, service="hook")
    part = made.parts["webhook"]["hook"]
    assert marks.fill(part["body"], {"t": "s3cret"}) == "token=s3cret"
    assert marks.fill(part["path"], {"t": "s3cret"}) == "/x?k=s3cret"
    assert marks.fill(part["body"], {}) == "token=***"
    assert marks.hide(made.parts)["webhook"]["hook"]["body"] == "token=***"
    assert message("slack", text).body == "s ***"
    assert message("email", "email: {subject: 'a {{ .secrets.t }}'}").parts["email"]["subject"] == "a ***"


def test_a_secret_in_a_json_body_is_escaped_on_the_wire() -> None:
    made = message("webhook", 'webhook: {hook: {body: \'{"k": "{{ .secrets.t }}"}\'}}', service="hook")
    body = made.parts["webhook"]["hook"]["body"]
    assert marks.fill(body, {"t": 'a"b'}, in_json=True) == '{"k": "a\\"b"}'


def test_later_template_merges_by_channel() -> None:
    first = "message: one\nslack: {icon: ':a:', username: u}\nemail: {subject: s1, body: b1}"
    second = "message: two\nslack: {groupingKey: g}\nemail: {body: b2}"
    assert message("slack", first, second).parts == {"slack": {"groupingKey": "g"}}
    made = message("email", first, second)
    assert (made.parts, made.body) == ({"email": {"subject": "s1", "body": "b2"}}, "two")


def test_webhooks_and_sub_blocks_merge_by_their_first_name() -> None:
    first = "webhook: {a: {method: POST, body: x}, b: {body: y}}\ngithub: {status: {state: success, label: l}, revisionPath: r}"
    second = "webhook: {a: {path: /p}}\ngithub: {status: {state: failure}}"
    assert message("webhook", first, second, service="a").parts == {"webhook": {"a": {"path": "/p"}}}
    assert message("webhook", first, second, service="b").parts == {"webhook": {"b": {"body": "y"}}}
    assert message("github", first, second).parts == {
        "github": {"status": {"state": "failure"}, "revisionPath": "r"}
    }


def test_a_template_without_a_block_for_the_channel_sends_message() -> None:
    made = message(
        "email", "message: hello {{ .recipient }} {{ .serviceType }} {{ .context.notificationType }}"
    )
    assert (made.body, made.parts, made.markup) == ("hello dest email email", {}, "plain")


def test_mail_headers_are_one_line_and_html_is_escaped_when_asked() -> None:
    text = "email: {subject: \"a {{ .event.m }}\", body: '<b>{{ .event.m }}</b>'}"
    occasion = Occasion({**EVENT, "m": "x\r\nBcc: <e@h>"}, "email", "email", "d", CLOCK)
    part = message_for([read_template("t", text)], occasion).parts["email"]
    assert part == {"subject": "a x Bcc: <e@h>", "body": "<b>x\r\nBcc: <e@h></b>"}
    html = Occasion(occasion.event, "email", "email", "d", CLOCK, html=True)
    assert (
        message_for([read_template("t", text)], html).parts["email"]["body"] == "<b>x\r\nBcc: &lt;e@h&gt;</b>"
    )


def test_slack_parts_carry_policy_and_thread() -> None:
    text = "message: m\nslack:\n  groupingKey: '{{ .app.metadata.name }}'\n  deliveryPolicy: Update\n  notifyBroadcast: true"
    made = message("slack", text)
    assert (made.thread, made.policy, made.parts["slack"]["notifyBroadcast"]) == ("shop-prod", "Update", True)
    assert message("slack", "message: m\nslack: {groupingKey: '{{ .app.x }}'}").thread == ""


def test_documented_leniencies_are_read_with_a_remark() -> None:
    bare = read_template(
        "x", "message: {{ .app.metadata.name }} is 'out'\nslack:\n  attachments: |\n    a: {{ .x }}\n"
    )
    assert bare.message is not None
    assert bare.message.value == "{{ .app.metadata.name }} is 'out'"
    assert bare.blocks["slack"][("attachments",)].value == "a: {{ .x }}\n"
    assert bare.remarks == ("a value that begins with {{ is read as if it were in quotes",)
    slack_text = read_template("x", "slack: {message: hello}")
    assert slack_text.message is not None
    assert slack_text.message.value == "hello"
    with pytest.raises(ConfigError) as caught:
        read_template("x", "slack:\n  icon: :rocket:\n")
    assert (caught.value.line, caught.value.hint) == (2, "write icon: ':rocket:'")


def test_unknown_fields_and_channels_are_reported() -> None:
    made = read_template("x", "message: m\ntelegram: {}\nwhatever: {}\nslack: {colour: red}\nSlack2: 1")
    assert made.not_yet == ("telegram",)
    assert made.remarks == (
        "the block 'whatever' is not known and ignored",
        "slack.colour is not known and ignored",
        "the block 'Slack2' is not known and ignored",
    )


@pytest.mark.parametrize("text", ["- a", "x", "slack: text", "message: [", ""])
def test_a_template_that_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read_template("x", text)


def test_a_block_may_be_given_under_the_reading_of_go() -> None:
    made = read_template("x", "github: {Status: {targeturl: u}}")
    assert isinstance(made, ImportedTemplate)
    assert list(made.blocks["github"]) == [("status", "targetURL")]
