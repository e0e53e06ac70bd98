"""The entry of every click and submitted form: read, limited, not twice, and handed on (notifications.md 8.5, 9)."""

from __future__ import annotations

from collections.abc import Mapping

import hub.services.chat.commands as commands
import hub.services.chat.votes as votes
import hub.services.webhooks as webhooks
from hub.services.buckets import Buckets, Rate
from hub.services.chat.turn import NOTHING, Answer
from notifications import services as notifications
from notifications.services import Interaction

CLICKS = Rate(10, 10)
limit = Buckets()


def receive(headers: Mapping[str, str], body: bytes) -> Answer:
    """A request as Slack sent it. Raises SlackRequestRefused; nothing of a refused one is kept."""
    act = notifications.read_slack_request(headers, body)
    return handle(act, act.signature)


def handle(act: Interaction, once: str) -> Answer:
    """`once` is what a replay of this interaction would carry again: then nothing happens."""
    is_form = act.kind == "view_submission"
    known = (
        act.callback_id == votes.REJECT_FORM if is_form else act.action_id in votes.ACTIONS | commands.ACTIONS
    )
    if not known:
        return NOTHING
    if limit.take("click", f"{act.team_id}/{act.user_id}", CLICKS):
        return Answer({votes.REASON: "Slow down, and press again."}) if is_form else NOTHING
    if webhooks.seen("slack", once):
        return NOTHING
    if is_form:
        return votes.Ballot(act).submitted()
    if act.action_id in votes.ACTIONS:
        return votes.Ballot(act).clicked(votes.ACTIONS[act.action_id])
    return commands.Command(act).clicked(commands.ACTIONS[act.action_id])
