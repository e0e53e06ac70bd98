"""What Slack gets and what it sends: limits, errors by name, pace, signatures (notifications.md 7 and 9)."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.channels import slack as channel
from notifications.channels import slackblocks
from notifications.channels.base import Answer, DeliveryError, Owed
from notifications.core.templates import Action, Message, MessageField
from notifications.models import Delivery, Destination
from notifications.services import (
    SlackRequestRefused,
    deliver,
    dispatch,
    due_deliveries,
    open_modal,
    post_ephemeral,
    read_slack_request,
    user_info,
)
from tests.notifications.conftest import FakeClock, event, run, slack_service, subscribe
from tests.slackserver import SlackServer, _wrong

TEXTS = st.text(max_size=4000) | st.sampled_from(
    ["&" * 5000, "<!channel>" * 500, "x" * 13000, "\n" * 4000, ""]
)


@given(
    message=st.builds(
        Message,
        title=TEXTS.map(lambda text: text[:150]),
        body=TEXTS,
        fields=st.lists(
            st.builds(MessageField, title=TEXTS, value=TEXTS, short=st.booleans()), max_size=20
        ).map(tuple),
        severity=st.sampled_from(["info", "success", "warning", "error", "critical"]),
        link=st.sampled_from([None, "https://hub.example.com/a", "javascript:alert(1)"]),
        actions=st.lists(
            st.builds(Action, kind=st.just("open"), label=TEXTS, link=st.just("https://h/x")), max_size=5
        ).map(tuple),
        mention=st.sampled_from(["", "<!here>", "<!channel> <http://x|y>", "<@U123>"]),
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_message_breaks_a_limit_or_gains_a_mention(message: Message) -> None:
    made = slackblocks.content(message, {}, event_stub())
    assert _wrong(made) == ""
    assert 0 < len(made["text"]) <= slackblocks.MAX_TEXT
    told = made["text"] + json.dumps(made["attachments"], ensure_ascii=False)
    if message.severity not in ("error", "critical"):
        assert "<!here>" not in made["text"]
    assert "<http://x|y>" not in told
    assert "javascript:" not in json.dumps(made["attachments"][0]["blocks"][-1])


def event_stub() -> dict[str, Any]:
    return {
        "project": {"name": "shop"},
        "cluster": {"name": "<dev>"},
        "occurred_at": "2026-01-02T03:04:05+00:00",
    }


def test_an_entity_is_never_cut_in_two() -> None:
    assert slackblocks.cut_text("ab&amp;cd", 6) == "ab…"
    assert slackblocks.cut_text("ab&amp;cd", 8) == "ab&amp;…"


def test_buttons_come_from_the_hub_alone() -> None:
    """A template's action of a command kind makes no button; the event's own buttons do, with their dialogue."""
    message = Message(
        title="t", actions=(Action("approve", "Approve", None), Action("open", "Look", "https://h/x"))
    )
    buttons = [{"kind": "approve", "value": "token-1", "confirm": {"title": "Sure?", "text": "prunes a, b"}}]
    made = slackblocks.content(message, {}, {"buttons": buttons})
    elements = made["attachments"][0]["blocks"][-1]["elements"]
    assert [(one["action_id"], one.get("value")) for one in elements] == [
        ("hub:approve", "token-1"),
        ("hub:open", None),
    ]
    assert elements[0]["confirm"]["text"]["text"] == "prunes a, b"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ratelimited", "wait"),
        ("service_unavailable", "passing"),
        ("accesslimited", "passing"),
        ("fatal_error", "unsure"),
        ("channel_not_found", "recipient"),
        ("restricted_action_read_only_channel", "recipient"),
        ("token_revoked", "service"),
        ("missing_scope", "service"),
        ("invalid_blocks", "message"),
        ("invalid_metadata_format", "message"),
        ("message_not_found", "root"),
        ("edit_window_closed", "reply"),
        ("something_new", "unknown"),
    ],
)
def test_errors_are_classed_by_name(error: str, kind: str) -> None:
    answer = Answer(200, {}, json.dumps({"ok": False, "error": error}).encode())
    assert channel.judged(answer, error, {"channel": "#x"}).kind == kind


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "wait"), (500, "unsure"), (502, "unsure"), (503, "passing"), (404, "unknown")]
)
def test_statuses_are_classed(status: int, kind: str) -> None:
    assert channel.judged(Answer(status, {"retry-after": "7"}, b"<html>"), None, {}).kind == kind


def test_the_policies_make_their_steps() -> None:
    def names(policy: str, root: str) -> list[str]:
        message = Message(title="t", thread="op/1", policy=policy)
        owed = Owed(id=1, token="t", root=root, channel_id="C1")
        return [step.name for step in channel.prepare(message, "#a", {}, owed)]

    assert [names(policy, "") for policy in ("Post", "PostAndUpdate", "Update", "Odd")] == [["post"]] * 4
    assert names("Post", "1.0") == ["reply"]
    assert names("Odd", "1.0") == ["reply"]
    assert names("PostAndUpdate", "1.0") == ["reply", "update-root"]
    assert names("Update", "1.0") == ["update-root"]


@pytest.mark.django_db
def test_two_first_messages_of_one_key_become_root_and_reply(slack: SlackServer, time_: FakeClock) -> None:
    """Two applications share a grouping key: their lanes differ, the thread row makes the second a reply."""
    from notifications.models import Template
    from notifications.services import save_trigger

    slack_service(slack)
    text = "message: 'm {{ .event.summary }}'\nslack:\n  groupingKey: 'one-key'\n"
    Template.objects.create(name="grouped", kind="imported", text=text)
    save_trigger("x", json.dumps({"on": ["deployed"], "send": ["grouped"]}), "native")
    subscribe("slack:#a", triggers=["x"])
    first = dispatch(event("deployed", app="web"))
    second = dispatch(event("deployed", app="api"))
    slack.fault("chat.postMessage", status=503)
    for delivery in (*first, *second):
        deliver(delivery)
    assert slack.messages("a") == []
    run(time_)
    (root,) = slack.roots("a")
    assert len(slack.replies("a", root["ts"])) == 1


@pytest.mark.django_db
def test_a_burst_keeps_the_pace_and_loses_nothing(slack: SlackServer, time_: FakeClock) -> None:
    """300 messages to two channels of a Slack that refuses what is too fast: none refused, all arrive in order."""
    slack_service(slack)
    subscribe("slack:#a", "slack:#b", events=["deployed"])
    slack.enforce_pace = True
    for number in range(60):
        # With buttons, so that none is folded into another.
        buttons = [{"kind": "silence", "label": "Silence"}]
        dispatch(event("deployed", key=f"k/{number}", summary=f"deployed {number:03}", buttons=buttons))
    run(time_, rounds=400, step=5.0)
    assert [call.status for call in slack.made("chat.postMessage") if call.status == 429] == []
    for name in ("a", "b"):
        texts = [message["text"] for message in slack.messages(name)]
        assert [text[text.index("deployed") :][:12] for text in texts] == [
            f"deployed {number:03}" for number in range(60)
        ]


@pytest.mark.django_db
def test_ten_thousand_owed_messages_are_found_in_small_turns(slack: SlackServer, time_: FakeClock) -> None:
    """A storm in one channel starves no other, and what one tick looks at is bounded."""
    service = slack_service(slack)
    busy = Destination.objects.create(service=service, recipient="#a")
    calm = Destination.objects.create(service=service, recipient="#b")
    now = time_()
    Delivery.objects.bulk_create(
        [
            Delivery(destination=busy, dedupe=str(n), lane=f"lane-{n % 500}", next_at=now, created_at=now)
            for n in range(10_000)
        ],
        batch_size=1000,
    )
    late = Delivery.objects.create(destination=calm, dedupe="calm", lane="calm", next_at=now, created_at=now)
    found = due_deliveries()
    assert len(found) == 26
    assert late.pk in found
    Destination.objects.filter(pk=busy.pk).update(throttled_until=time_() + (time_() - now) * 1000)
    assert due_deliveries() == [late.pk]


# -- inbound


SECRET = "signing-secret-of-tests"


def signed(body: bytes, stamp: str, secret: str = SECRET) -> dict[str, str]:
    base = b"v0:" + stamp.encode("ascii", "ignore") + b":" + body
    signature = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}


def click(**more: Any) -> bytes:
    payload = {
        "type": "block_actions",
        "user": {"id": "U1", "team_id": "T1"},
        "team": {"id": "T1"},
        "api_app_id": "A1",
        "trigger_id": "t.1",
        "container": {"channel_id": "C1", "message_ts": "1.0"},
        "actions": [{"action_id": "hub:approve", "value": "opaque"}],
        **more,
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


@pytest.mark.django_db
def test_a_signed_click_is_read(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack, settings={"signingSecret": f"old-secret-of-tests,{SECRET}"})
    body, stamp = click(), str(int(time_().timestamp()))
    found = read_slack_request(signed(body, stamp), body)
    assert (found.user_id, found.team_id, found.action_id, found.value) == (
        "U1",
        "T1",
        "hub:approve",
        "opaque",
    )
    assert read_slack_request(signed(body, stamp, "old-secret-of-tests"), body).service == "slack"


@pytest.mark.django_db
def test_a_bad_signature_is_401_never_500(slack: SlackServer, time_: FakeClock) -> None:
    """54: timestamp "abc", non-ASCII signature, body not UTF-8, 6 min old, missing: refused, nothing of it kept."""
    slack_service(slack, settings={"signingSecret": SECRET})
    body, stamp = click(), str(int(time_().timestamp()))
    old = str(int(time_().timestamp()) - 360)
    good = signed(body, stamp)
    cases = [
        ({**good, "X-Slack-Request-Timestamp": "abc"}, body),
        ({**good, "X-Slack-Request-Timestamp": "-5"}, body),
        ({**good, "X-Slack-Request-Timestamp": "1" * 400}, body),
        ({**good, "X-Slack-Signature": "v0=ä"}, body),
        ({**good, "X-Slack-Signature": ""}, body),
        (signed(b"\xff\xfe", stamp), b"\xff\xfe"),
        (signed(body, old), body),
        (signed(body, stamp, "another-secret"), body),
        ({}, body),
        (good, body + b"x"),
    ]
    for headers, sent in cases:
        with pytest.raises(SlackRequestRefused) as refused:
            read_slack_request(headers, sent)
        assert refused.value.status == 401
        assert "payload" not in str(refused.value)


@pytest.mark.django_db
def test_other_bad_requests_have_their_status(slack: SlackServer, time_: FakeClock) -> None:
    def status(body: bytes) -> int:
        with pytest.raises(SlackRequestRefused) as refused:
            read_slack_request(signed(body, str(int(time_().timestamp()))), body)
        return refused.value.status

    assert status(click()) == 404
    slack_service(slack, settings={"signingSecret": SECRET})
    assert status(b"x" * (1024 * 1024 + 1)) == 413
    assert [
        status(body)
        for body in (b"nothing", b"payload=[]", b"payload={", b"a=1", click(user={}), click(type="odd"))
    ] == [400] * 6


@pytest.mark.django_db
def test_the_calls_that_answer_a_person(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    open_modal(
        "slack",
        "t.1",
        {"type": "modal", "title": {"type": "plain_text", "text": "Why?"}, "private_metadata": "x"},
    )
    post_ephemeral("slack", "C00000001", "U1", "no: <!channel>", link=("Look", "https://hub.example.com/x"))
    assert slack.views[0]["view"]["private_metadata"] == "x"
    assert slack.ephemeral[0]["text"] == "no: &lt;!channel&gt;\n<https://hub.example.com/x|Look>"
    assert user_info("slack", "U1")["name"] == "alice"
    with pytest.raises(DeliveryError):
        user_info("slack", "U9")
    assert len(slack.made("views.open")) == 1
