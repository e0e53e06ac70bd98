"""A Slack channel that gets the cards of approvals, and what people press there."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from hub.models import ApprovalRequest, ChatIdentity, User
from hub.services import events, telling
from notifications.models import Service
from tests.notifications.conftest import FakeClock, run, slack_service
from tests.slackserver import SlackServer

SECRET = "signing-secret-of-tests"
PATH = "/api/v1/slack/interactions"


def _number(row: ApprovalRequest | int) -> int:
    return row if isinstance(row, int) else row.number


@dataclass
class Workspace:
    """What people see and press in the fake Slack; `press` and `submit` are signed and go to the hub by `client`."""

    slack: SlackServer
    time: Callable[[], datetime]
    client: Any = field(default_factory=Client)
    channel: str = "ops"
    triggers: Iterator[int] = field(default_factory=itertools.count)

    def cards(self, row: ApprovalRequest | int) -> list[dict[str, Any]]:
        title = f"Approval {_number(row)}: "
        return [root for root in self.slack.roots(self.channel) if title in json.dumps(root)]

    def card(self, row: ApprovalRequest | int) -> dict[str, Any]:
        """The one root message of this request."""
        (found,) = self.cards(row)
        return found

    def thread(self, row: ApprovalRequest | int) -> list[str]:
        root = self.card(row)
        return [str(message["text"]) for message in self.slack.replies(self.channel, root["ts"])]

    def buttons(self, row: ApprovalRequest | int) -> dict[str, dict[str, Any]]:
        """By action id, as they stand on the card now."""
        blocks = self.card(row)["attachments"][0]["blocks"]
        rows = [block["elements"] for block in blocks if block["type"] == "actions"]
        return {button["action_id"]: button for elements in rows for button in elements}

    def text(self, row: ApprovalRequest | int) -> str:
        """All that the card says."""
        return json.dumps(self.card(row), ensure_ascii=False)

    def arrives(self, name: str, sub: str, **more: Any) -> None:
        """A member of the workspace."""
        self.slack.users[sub] = {"id": sub, "name": name, "team_id": "T1", "deleted": False, **more}

    def press(self, sub: str, button: dict[str, Any], **more: Any) -> Any:
        return self.post(self.click(sub, button, **more))

    def click(self, sub: str, button: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "type": "block_actions",
            "user": {"id": sub, "team_id": "T1"},
            "team": {"id": "T1"},
            "api_app_id": "A1",
            "trigger_id": f"t.{next(self.triggers)}",
            "container": {"channel_id": "C00000003", "message_ts": "1.0"},
            "actions": [{"action_id": button["action_id"], "value": button.get("value", "")}],
            **more,
        }

    def submit(self, sub: str, reason: str) -> Any:
        return self.post(self.filled(sub, reason))

    def filled(self, sub: str, reason: str) -> dict[str, Any]:
        """The form that was opened last, filled in."""
        view = self.slack.views[-1]["view"]
        (block,) = [one for one in view["blocks"] if one["type"] == "input"]
        state = {
            block["block_id"]: {block["element"]["action_id"]: {"type": "plain_text_input", "value": reason}}
        }
        shown = {
            "callback_id": view["callback_id"],
            "private_metadata": view["private_metadata"],
            "state": {"values": state},
        }
        return {
            "type": "view_submission",
            "user": {"id": sub, "team_id": "T1"},
            "team": {"id": "T1"},
            "api_app_id": "A1",
            "view": shown,
        }

    def signed(self, body: bytes, stamp: str = "") -> dict[str, str]:
        """The headers that Slack would send with this body."""
        stamp = stamp or str(int(self.time().timestamp()))
        base = b"v0:" + stamp.encode() + b":" + body
        signature = "v0=" + hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}

    def post(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        return self.client.post(
            PATH,
            data=body,
            content_type="application/x-www-form-urlencoded",
            headers=headers or self.signed(body),
        )

    def whispered(self, sub: str) -> list[str]:
        """What only this person sees."""
        return [str(one["text"]) for one in self.slack.ephemeral if one["user"] == sub]


@dataclass
class Chat(Workspace):
    """The workspace of a hub in the test's own process; `told` brings what happened to Slack."""

    def __post_init__(self) -> None:
        slack_service(self.slack, settings={"signingSecret": SECRET})

    def configure(self, **settings: str) -> None:
        """Other settings for the service."""
        service = Service.objects.get(name="slack")
        service.settings = json.dumps({"token": "xoxb-good-token-1", "apiURL": self.slack.url, **settings})  # type: ignore[assignment]
        service.save()

    def told(self) -> None:
        while rows := events.undispatched():
            for row in rows:
                telling.hand_over(row)
        assert isinstance(self.time, FakeClock)
        run(self.time)

    def member(self, user: User, sub: str, *, linked: bool = True, **more: Any) -> None:
        """A member of the workspace, linked to the hub user."""
        self.arrives(user.username, sub, **more)
        if linked:
            ChatIdentity.objects.create(user=user, issuer="slack:T1", sub=sub)
