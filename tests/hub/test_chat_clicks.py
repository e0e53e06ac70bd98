"""Clicks in Slack: who may, what follows, what only they are told (notifications.md 8.5, 9, 12)."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection

from hub.models import ApprovalRequest, AuditEvent, ChatIdentity, Vote
from hub.services import approvals
from hub.services.chat import clicks
from hub.services.chat import votes as votes_
from notifications.models import Service
from tests.hub.approvals import Cast, audited, opened, person, policy, vote
from tests.hub.chat import PATH, SECRET, Chat
from tests.notifications.conftest import slack_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(cast: Cast, chat: Chat) -> ApprovalRequest:
    """A request for two leads, whose card is in #ops; Dan and Erin are members of the workspace."""
    policy(destinations=["slack:#ops"])
    found = opened(cast.app)
    chat.told()
    chat.member(cast.dan, "UDAN")
    chat.member(cast.erin, "UERIN")
    return found


def votes(row: ApprovalRequest) -> list[tuple[str, str]]:
    return list(row.votes.filter(ended_at__isnull=True).values_list("user__username", "via"))


def test_two_leads_approve_in_slack(
    cast: Cast, chat: Chat, row: ApprovalRequest, nudged: list[object]
) -> None:
    button = chat.buttons(row)["hub:approve"]
    first = chat.press("UDAN", button)
    assert (first.status_code, first.content) == (200, b"")
    assert chat.whispered("UDAN") == ["dan approved, 1 of 2 votes"]
    chat.told()
    assert chat.press("UERIN", chat.buttons(row)["hub:approve"]).status_code == 200
    row.refresh_from_db()
    assert (row.state, votes(row)) == ("approved", [("dan", "slack"), ("erin", "slack")])
    assert ("look", [cast.app.id]) in nudged
    chat.told()
    assert "hub:withdraw" in chat.buttons(row)
    assert audited(via="slack") == [("dan", "approve", "done", ""), ("erin", "approve", "done", "")]


def test_the_author_is_refused_privately(cast: Cast, chat: Chat) -> None:
    """47: Alice wrote the commit; she clicks Approve: a private refusal, no vote, audited, the card unchanged."""
    policy(destinations=["slack:#ops"])
    alice = cast.dan
    row = opened(cast.app, authors=frozenset(["dan@example.com"]))
    alice.email = "Dan@example.com"
    alice.save()
    chat.told()
    before = chat.card(row)["edits"]
    chat.member(alice, "UDAN")
    assert chat.press("UDAN", chat.buttons(row)["hub:approve"]).status_code == 200
    assert chat.whispered("UDAN") == [
        "You wrote or committed a change of this plan; somebody else must approve it"
    ]
    chat.told()
    assert (votes(row), chat.card(row)["edits"], chat.thread(row)) == ([], before, [])
    assert audited(via="slack") == [("dan", "approve", "denied", "author")]


def test_one_person_is_one_vote_however_they_vote(cast: Cast, chat: Chat, row: ApprovalRequest) -> None:
    """48: clicks twice, then REST: one vote, 1 of 2."""
    button = chat.buttons(row)["hub:approve"]
    for _ in range(2):
        chat.press("UDAN", button)
    assert vote(cast.dan, row.number) == ""
    assert votes(row) == [("dan", "slack")]
    assert chat.whispered("UDAN")[1] == "you have voted already: 1 of 2 votes"


def test_rejection_needs_a_reason(cast: Cast, chat: Chat, row: ApprovalRequest) -> None:
    """50: the form comes back empty, then with "wrong week": a field error, then rejected with the reason on the card."""
    chat.press("UDAN", chat.buttons(row)["hub:reject"])
    empty = chat.submit("UDAN", "  ")
    assert empty.json() == {
        "response_action": "errors",
        "errors": {"reason": "a rejection needs a reason"},
    }
    row.refresh_from_db()
    assert row.state == "pending"
    done = chat.submit("UDAN", "wrong week")
    assert (done.status_code, done.content) == (200, b"")
    chat.told()
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("rejected", "Rejected by dan: wrong week")
    assert "Rejected by dan: wrong week" in chat.text(row)
    assert chat.slack.made("users.info") != []


def test_a_form_that_does_not_open_leads_to_the_hub(chat: Chat, row: ApprovalRequest) -> None:
    chat.slack.fault("views.open", error="expired_trigger_id")
    assert chat.press("UDAN", chat.buttons(row)["hub:reject"]).status_code == 200
    (told,) = chat.whispered("UDAN")
    assert f"/approvals/{row.number}|Open the approval>" in told


def test_a_rejection_by_somebody_unfit_is_refused_at_its_submission(
    cast: Cast, chat: Chat, row: ApprovalRequest
) -> None:
    chat.press("UDAN", chat.buttons(row)["hub:reject"])
    chat.slack.users["UDAN"]["is_restricted"] = True
    answer = chat.submit("UDAN", "wrong week").json()
    assert answer["errors"] == {"reason": "only active members may decide here, no guests and no bots"}
    row.refresh_from_db()
    assert row.state == "pending"
    assert audited(via="slack") == [("dan", "reject", "denied", "inactive")]


def test_a_stale_button_changes_nothing(cast: Cast, chat: Chat, row: ApprovalRequest) -> None:
    """52: superseded by another request; the old card is clicked: told so in private, state same, audited `stale`."""
    old = chat.buttons(row)["hub:approve"]
    newer = opened(cast.app, digest="e" * 64)
    assert (
        chat.press("UDAN", old, container={"channel_id": "C00000003", "message_ts": "1.0"}).status_code == 200
    )
    (told,) = chat.whispered("UDAN")
    assert f"superseded by {newer.number}" in told
    assert f"Superseded by approval {newer.number}" in chat.text(row), "the card is refreshed"
    assert [*chat.buttons(row)] == ["hub:open"]
    row.refresh_from_db()
    assert (row.state, Vote.objects.count()) == ("superseded", 0)
    assert audited(via="slack") == [("dan", "approve", "denied", "stale")]


def test_a_button_of_an_earlier_round_is_stale_and_its_card_gets_fresh_ones(
    cast: Cast, chat: Chat, row: ApprovalRequest
) -> None:
    old = chat.buttons(row)
    chat.press("UDAN", old["hub:approve"])
    approvals.withdraw(person(cast.dan), cast.dan, row.number)
    chat.press("UDAN", old["hub:approve"])
    assert votes(row) == []
    fresh = chat.buttons(row)["hub:approve"]
    assert fresh["value"] != old["hub:approve"]["value"]
    chat.press("UDAN", fresh)
    assert votes(row) == [("dan", "slack")]
    chat.press("UERIN", old["hub:reject"])
    assert chat.slack.views == []


@pytest.mark.parametrize(
    ("elsewhere", "code"),
    [
        ({"user": {"id": "UDAN", "team_id": "T9"}}, "foreign_team"),
        ({"user": {"id": "UDAN"}}, "foreign_team"),
        ({"team": {"id": "T9"}, "user": {"id": "UDAN", "team_id": "T9"}}, "foreign_team"),
        ({"api_app_id": "A9"}, "foreign_team"),
    ],
)
def test_a_stranger_of_a_shared_channel_is_refused(
    chat: Chat, row: ApprovalRequest, elsewhere: dict[str, Any], code: str
) -> None:
    """53: Charlie's team is another one: a private refusal, audited `foreign_team`."""
    assert chat.press("UDAN", chat.buttons(row)["hub:approve"], **elsewhere).status_code == 200
    assert votes(row) == []
    assert chat.whispered("UDAN") == ["Only members of this workspace may decide here"]
    assert [(line[1], line[3]) for line in audited(via="slack")] == [("approve", code)]


@pytest.mark.parametrize(
    "profile",
    [
        {"deleted": True},
        {"is_bot": True},
        {"is_restricted": True},
        {"is_ultra_restricted": True},
        {"deleted": None},
    ],
)
def test_bots_guests_and_leavers_are_refused(
    cast: Cast, chat: Chat, row: ApprovalRequest, profile: dict[str, Any]
) -> None:
    chat.slack.users["UDAN"].update(profile)
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert votes(row) == []
    assert audited(via="slack") == [("dan", "approve", "denied", "inactive")]


def test_no_answer_about_an_account_is_a_refusal(cast: Cast, chat: Chat, row: ApprovalRequest) -> None:
    chat.slack.fault("users.info", status=503)
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert votes(row) == []
    assert audited(via="slack") == [("dan", "approve", "denied", "inactive")]
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert votes(row) == [("dan", "slack")], "an error is not remembered"


def test_who_somebody_is_is_asked_once_in_five_minutes(chat: Chat, row: ApprovalRequest) -> None:
    for _ in range(3):
        chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert len(chat.slack.made("users.info")) == 1
    assert len(chat.slack.made("auth.test")) == 1


def test_a_replayed_click_votes_once(cast: Cast, chat: Chat, row: ApprovalRequest) -> None:
    """55: the same signed request twice: one vote, one audit line, and after a withdrawal it does not come back."""
    payload = chat.click("UDAN", chat.buttons(row)["hub:approve"])
    body = urlencode({"payload": json.dumps(payload)}).encode()
    headers = chat.signed(body)
    assert [chat.post(payload, headers).status_code for _ in range(2)] == [200, 200]
    assert votes(row) == [("dan", "slack")]
    assert audited(via="slack") == [("dan", "approve", "done", "")]
    assert len(chat.whispered("UDAN")) == 1
    approvals.withdraw(person(cast.dan), cast.dan, row.number)
    assert chat.post(payload, headers).status_code == 200
    assert votes(row) == []


def test_f13_a_bad_signature_is_401_never_500_at_the_door(chat: Chat, row: ApprovalRequest) -> None:
    """54, by HTTP: nothing of a refused body is kept, and nothing happens."""
    body = urlencode({"payload": json.dumps(chat.click("UDAN", chat.buttons(row)["hub:approve"]))}).encode()
    good = chat.signed(body)
    old, future = (chat.signed(body, str(int(chat.time().timestamp()) + away)) for away in (-360, 360))
    cases = [
        future,
        {**good, "X-Slack-Request-Timestamp": "9" * 400},
        {},
        {**good, "X-Slack-Request-Timestamp": "abc"},
        {**good, "X-Slack-Signature": "v0=" + "0" * 64},
        {**good, "X-Slack-Signature": "v0=\u00e4"},
        old,
    ]
    for headers in cases:
        answer = chat.client.post(
            PATH, data=body, content_type="application/x-www-form-urlencoded", headers=headers
        )
        assert (answer.status_code, b"payload" in answer.content) == (401, False)
    binary = b"\xff\xfe"
    assert (
        chat.client.post(
            PATH, data=binary, content_type="application/x-www-form-urlencoded", headers=chat.signed(binary)
        ).status_code
        == 401
    )
    assert (votes(row), audited(via="slack")) == ([], [])


def test_too_large_is_413_and_without_a_secret_there_is_no_such_address(chat: Chat) -> None:
    large = b"payload=" + b"x" * (1024 * 1024)
    form = "application/x-www-form-urlencoded"
    assert chat.client.post(PATH, data=large, content_type=form).status_code == 413
    chat.configure()
    assert chat.client.post(PATH, data=b"payload=x", content_type=form).status_code == 404
    assert chat.client.get(PATH).status_code == 405


def test_the_secret_of_a_project_says_nothing_about_who_clicked(chat: Chat, row: ApprovalRequest) -> None:
    """Who owns a Project and brings a Slack service for it could sign clicks of anybody: they are not believed."""
    Service.objects.filter(name="slack").update(project="shop")
    slack_service(chat.slack, "other", settings={"signingSecret": "another-secret-of-tests"})
    assert chat.press("UDAN", {"action_id": "hub:approve", "value": "x"}).status_code == 401


def test_an_unlinked_click_is_not_counted_and_offers_a_link(
    cast: Cast, chat: Chat, row: ApprovalRequest
) -> None:
    ChatIdentity.objects.filter(user=cast.dan).delete()
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    (told,) = chat.whispered("UDAN")
    assert "/link/" in told
    assert votes(row) == []
    assert audited(via="slack") == [("slack:T1/UDAN", "approve", "denied", "not_linked")]


def test_step_up_answers_with_a_link_to_the_hub(cast: Cast, chat: Chat) -> None:
    policy(destinations=["slack:#ops"], step_up=True)
    row = opened(cast.app)
    chat.told()
    chat.member(cast.dan, "UDAN")
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    (told,) = chat.whispered("UDAN")
    assert f"/approvals/{row.number}|Vote in the hub>" in told
    assert votes(row) == []
    assert vote(cast.dan, row.number) == ""


def test_a_stolen_action_id_has_no_valid_token(chat: Chat, row: ApprovalRequest) -> None:
    button = chat.buttons(row)
    for value in ("", "123", "x" * 43, button["hub:reject"]["value"]):
        chat.press("UDAN", {"action_id": "hub:approve", "value": value})
    assert votes(row) == []
    assert {line[3] for line in audited(via="slack")} == {"stale"}


def test_unknown_actions_are_200_and_nothing(chat: Chat, row: ApprovalRequest) -> None:
    assert chat.press("UDAN", {"action_id": "hub:open"}).status_code == 200
    assert chat.press("UDAN", {"action_id": "somebody:else", "value": "1"}).status_code == 200
    assert AuditEvent.objects.filter(via="slack").count() == 0
    assert chat.slack.ephemeral == []


def test_more_than_ten_clicks_at_once_are_not_heard(
    chat: Chat, row: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clicks, "CLICKS", clicks.Rate(0.001, 3))
    for _ in range(6):
        chat.press("UDAN", {"action_id": "hub:approve", "value": "x"})
    assert AuditEvent.objects.filter(via="slack").count() == 3
    chat.press("UERIN", chat.buttons(row)["hub:approve"])
    assert votes(row) == [("erin", "slack")], "others are heard"


def test_a_private_answer_that_is_lost_changes_nothing(chat: Chat, row: ApprovalRequest) -> None:
    chat.slack.fault("chat.postEphemeral", status=500)
    assert chat.press("UDAN", chat.buttons(row)["hub:approve"]).status_code == 200
    assert votes(row) == [("dan", "slack")]


@pytest.mark.django_db(transaction=True)
def test_a_click_that_gets_no_lock_says_press_again(
    cast: Cast, chat: Chat, row: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(votes_, "LOCK_WITHIN_S", 0.3)
    button = chat.buttons(row)["hub:approve"]
    chat.press("UERIN", {"action_id": "hub:approve", "value": "warm up"})
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        from django.db import transaction

        with transaction.atomic():
            ApprovalRequest.objects.select_for_update().get(number=row.number)
            ApprovalRequest.objects.filter(number=row.number).update(reason="busy")
            held.set()
            free.wait(30)
        connection.close()

    real = votes_.patience
    waited: list[float] = []

    def while_somebody_holds_it(seconds: float) -> Any:
        thread.start()
        held.wait(10)
        waited.append(time.monotonic())
        return real(seconds)

    thread = threading.Thread(target=hold)
    monkeypatch.setattr(votes_, "patience", while_somebody_holds_it)
    monkeypatch.setattr(votes_.Ballot, "whisper", _freeing(votes_.Ballot.whisper, free, thread))
    assert chat.press("UDAN", button).status_code == 200
    assert chat.whispered("UDAN") == ["Not recorded, press again: the hub was busy with this request."]
    assert votes(row) == []
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA busy_timeout")
            assert cursor.fetchone() == (30000,)


def _freeing(whisper: Any, free: threading.Event, thread: threading.Thread) -> Any:
    def first_free(*args: Any, **named: Any) -> None:
        free.set()
        thread.join(10)
        whisper(*args, **named)

    return first_free


def test_two_secrets_work_while_one_is_replaced(chat: Chat, row: ApprovalRequest) -> None:
    chat.configure(signingSecret=f"new-secret,{SECRET}")
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert votes(row) == [("dan", "slack")]
