"""`hub slack-socket`: the same clicks over an outgoing connection, with the same outcome (notifications.md 7, 12)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command

from hub.management.commands import slack_socket
from hub.models import ApprovalRequest
from hub.tasks import nudges
from notifications.services import slack_sockets
from tests.hub.approvals import Cast, audited, opened, policy
from tests.hub.chat import SECRET, Chat
from tests.slacksockets import SlackSockets

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def hinted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    found: list[object] = []
    monkeypatch.setattr(nudges, "look", lambda ids: found.append(("look", list(ids))))
    monkeypatch.setattr(nudges, "send", lambda task, args: found.append((task, args)))
    return found


@pytest.fixture
def sockets(chat: Chat) -> Iterator[SlackSockets]:
    """The command runs and is connected."""
    chat.configure(signingSecret=SECRET, appToken="xapp-good-token-1", mode="socket")
    with SlackSockets() as sockets:
        chat.slack.socket_url = sockets.url
        ended = threading.Event()
        command = slack_socket.Command()
        running = threading.Thread(target=command.listen, args=(slack_sockets.socket_services(), ended))
        running.start()
        try:
            assert sockets.connected()
            yield sockets
        finally:
            ended.set()
            running.join(20)
    assert not running.is_alive()


@pytest.fixture
def row(cast: Cast, chat: Chat) -> ApprovalRequest:
    policy(destinations=["slack:#ops"])
    found = opened(cast.app)
    chat.told()
    chat.member(cast.dan, "UDAN")
    chat.member(cast.erin, "UERIN")
    return found


def votes(row: ApprovalRequest) -> list[tuple[str, str]]:
    return list(row.votes.filter(ended_at__isnull=True).values_list("user__username", "via"))


def test_a_click_by_socket_votes_once_however_often_its_envelope_comes(
    cast: Cast, chat: Chat, sockets: SlackSockets, row: ApprovalRequest, hinted: list[object]
) -> None:
    """55, by socket."""
    click = chat.click("UDAN", chat.buttons(row)["hub:approve"])
    for _ in range(2):
        assert sockets.send(click, envelope="e-same") == {"envelope_id": "e-same"}
    assert votes(row) == [("dan", "slack")]
    assert audited(via="slack") == [("dan", "approve", "done", "")]
    assert ("look", [cast.app.id]) in hinted
    assert ("hub.dispatch_events", []) in hinted


def test_a_form_by_socket_shows_its_field_errors(
    chat: Chat, sockets: SlackSockets, row: ApprovalRequest
) -> None:
    sockets.send(chat.click("UDAN", chat.buttons(row)["hub:reject"]))
    refused = sockets.send(chat.filled("UDAN", ""))
    assert refused["payload"] == {
        "response_action": "errors",
        "errors": {"reason": "a rejection needs a reason"},
    }
    assert "payload" not in sockets.send(chat.filled("UDAN", "wrong week"))
    row.refresh_from_db()
    assert row.outcome == "Rejected by dan: wrong week"


def test_a_stranger_by_socket_is_refused(chat: Chat, sockets: SlackSockets, row: ApprovalRequest) -> None:
    sockets.send(chat.click("UDAN", chat.buttons(row)["hub:approve"], api_app_id="A9"))
    sockets.send({"type": "block_actions", "user": {}})
    sockets.send({"command": "/hub"}, kind="slash_commands")
    assert votes(row) == []
    assert audited(via="slack") == [("dan", "approve", "denied", "foreign_team")]


def test_a_connection_that_slack_ends_is_made_again(
    cast: Cast, chat: Chat, sockets: SlackSockets, row: ApprovalRequest
) -> None:
    sockets.refresh()
    assert sockets.connected(2)
    sockets.send(chat.click("UERIN", chat.buttons(row)["hub:approve"]))
    assert votes(row) == [("erin", "slack")]


def test_without_an_app_token_the_command_says_so(chat: Chat) -> None:
    with pytest.raises(CommandError, match="no Slack service of the hub has an appToken"):
        call_command("slack_socket")


def test_a_connection_that_does_not_come_about_is_tried_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.configure(appToken="xapp-good-token-1")
    monkeypatch.setattr(slack_sockets, "PAUSES_S", (0.01,))
    with SlackSockets() as sockets:
        chat.slack.socket_url = sockets.url
        chat.slack.fault("apps.connections.open", times=3, status=503)
        ended, ready = threading.Event(), threading.Event()
        running = threading.Thread(
            target=slack_sockets.listen, args=("slack", lambda *_: {}, ended, ready.set)
        )
        running.start()
        assert ready.wait(20)
        ended.set()
        running.join(20)
    assert len(chat.slack.made("apps.connections.open")) == 4
