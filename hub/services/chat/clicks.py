"""One click or submitted form: who, which token, what follows, and the private answer (notifications.md 8.5).

The decision is one transaction without network. Asking Slack who somebody is comes before it, answering them after it,
all within Slack's three seconds.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import OperationalError

import hub.services.approvals as approvals
import hub.services.chat.linking as linking
import hub.services.chat.people as people
import hub.services.webhooks as webhooks
from hub.core.approvals import OPEN, Refusal
from hub.models import ApprovalRequest, CardToken, ChatIdentity
from hub.services.actors import Actor
from hub.services.approvals import ApprovalRefused, Decided
from hub.services.buckets import Buckets, Rate
from hub.services.documents import InvalidDocument
from hub.services.locks import patience
from notifications import services as notifications
from notifications.errors import NotificationError
from notifications.services import Interaction

log = structlog.get_logger(__name__)
WITHIN_S, LOCK_WITHIN_S, ASK_WITHIN_S = 2.5, 1.5, 1.0
CLICKS = Rate(10, 10)
REJECT_FORM = "hub:reject"
REASON = "reason"
# A rejection opens a form at once, as its trigger lives three seconds; who it is is asked when the form comes back.
_ACTIONS = {"hub:approve": "approve", "hub:reject": "reject", "hub:withdraw": "withdraw"}
_CLOSED = {"stale", "closed", "expired"}
NOT_RECORDED = "Not recorded, press again: the hub was busy with this request."
limit = Buckets()


@dataclass(frozen=True)
class Answer:
    """`errors`: sentences by input of a submitted form, which stays open. `look`: applications that are due now."""

    errors: Mapping[str, str] = field(default_factory=dict)
    look: tuple[uuid.UUID, ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        """What Slack gets back; empty for an answer without content."""
        return {"response_action": "errors", "errors": dict(self.errors)} if self.errors else {}


NOTHING = Answer()


def receive(headers: Mapping[str, str], body: bytes) -> Answer:
    """A request as Slack sent it. Raises SlackRequestRefused; nothing of a refused one is kept."""
    act = notifications.read_slack_request(headers, body)
    return handle(act, act.signature)


def handle(act: Interaction, once: str) -> Answer:
    """`once` is what a replay of this interaction would carry again: then nothing happens."""
    is_form = act.kind == "view_submission"
    if act.callback_id != REJECT_FORM if is_form else act.action_id not in _ACTIONS:
        return NOTHING
    if limit.take("click", f"{act.team_id}/{act.user_id}", CLICKS):
        return Answer({REASON: "Slow down, and press again."}) if is_form else NOTHING
    if webhooks.seen("slack", once):
        return NOTHING
    return _Turn(act).submitted() if is_form else _Turn(act).clicked(_ACTIONS[act.action_id])


class _Turn:
    """One interaction on its way; `left` is what remains of the time that Slack waits."""

    def __init__(self, act: Interaction) -> None:
        self.act = act
        self.issuer = f"slack:{act.team_id}"
        self.until = time.monotonic() + WITHIN_S
        self.token: CardToken | None = approvals.find_token(act.private_metadata or act.value)

    def left(self, most: float) -> float:
        return max(0.3, min(most, self.until - time.monotonic()))

    # -- the two ways in

    def clicked(self, action: str) -> Answer:
        refusal = people.outsider(self.act, self.left(ASK_WITHIN_S))
        if refusal is None and action != "reject":
            refusal = people.unfit_member(self.act, self.left(ASK_WITHIN_S))
        refusal = refusal or self.dead_token(action)
        if refusal is not None:
            return self.refused(action, refusal)
        identity = linking.identity_of(self.issuer, self.act.user_id)
        if identity is None:
            return self.unlinked(action)
        if action == "reject":
            return self.form()
        outcome = self.decided(lambda: self.vote(action, identity))
        if isinstance(outcome, ApprovalRefused):
            return self.told_refused(Refusal(outcome.code, outcome.message))
        if outcome is None:
            self.whisper(NOT_RECORDED)
            return NOTHING
        self.whisper(outcome.text)
        return _looked(outcome)

    def submitted(self) -> Answer:
        refusal = people.outsider(self.act, self.left(ASK_WITHIN_S))
        refusal = (
            refusal or people.unfit_member(self.act, self.left(ASK_WITHIN_S)) or self.dead_token("reject")
        )
        identity = linking.identity_of(self.issuer, self.act.user_id)
        if refusal is None and identity is None:
            refusal = Refusal("not_linked", "your account is not linked any more: press Reject again")
        if refusal is not None or identity is None:
            assert refusal is not None
            self.note("reject", refusal)
            return Answer({REASON: refusal.message})
        reason = self.act.inputs.get(REASON, "")
        try:
            outcome = self.decided(lambda: self.vote("reject", identity, reason))
        except InvalidDocument as error:
            return Answer({REASON: "; ".join(error.fields.get(REASON, [error.message]))})
        if isinstance(outcome, ApprovalRefused):
            return Answer({REASON: outcome.message})
        return _looked(outcome) if outcome is not None else Answer({REASON: NOT_RECORDED})

    # -- steps

    def dead_token(self, action: str) -> Refusal | None:
        """A value that the hub never gave out, or a button of an earlier round of its card."""
        if self.token is None or self.token.action != action:
            return Refusal("stale", "this button is not valid any more: look at the newest card")
        row = self.token.request
        if row.state in OPEN and (self.token.round, self.token.digest) != (row.round, row.digest):
            return Refusal(
                "stale", f"approval {row.number} was asked anew: press the button on the card again"
            )
        if action == "reject" and row.state not in OPEN:
            return Refusal("stale" if row.state == "superseded" else "closed", _ended(row))
        return None

    def vote(self, action: str, identity: ChatIdentity, reason: str = "") -> Decided:
        assert self.token is not None
        user, number = identity.user, self.token.request_id
        if action == "withdraw":
            return approvals.withdraw(self.actor(identity), user, number)
        return approvals.decide(
            self.actor(identity),
            user,
            number,
            decision=action,
            digest=self.token.digest,
            reason=reason,
            chat=str(identity),
        )

    def decided(self, act: Callable[[], Decided]) -> Decided | ApprovalRefused | None:
        """None when a lock was not got in time: then nothing has changed. A refusal is audited all the same."""
        try:
            with patience(self.left(LOCK_WITHIN_S)):
                try:
                    return act()
                except ApprovalRefused as refusal:
                    return refusal
        except OperationalError as error:
            log.warning("a click was not recorded", why=type(error).__name__)
            return None

    def form(self) -> Answer:
        assert self.token is not None
        row = self.token.request
        try:
            notifications.open_modal(self.act.service, self.act.trigger_id, _reject_form(row, self.act.value))
        except NotificationError as error:
            log.warning("a form could not be opened", code=error.code)
            text = "The form did not open in time. Press Reject again, or reject in the hub."
            self.whisper(text, ("Open the approval", approvals.link_of(row)))
        return NOTHING

    # -- answers

    def unlinked(self, action: str) -> Answer:
        self.note(action, Refusal("not_linked", "this Slack account is linked to no user"))
        address = linking.offer(self.issuer, self.act.user_id)
        if address:
            text = "Nothing was recorded: the hub does not know who you are yet. Link your account, then press again."
            self.whisper(text, ("Link my account (10 minutes, once)", address))
        else:
            self.whisper("Nothing was recorded. Use one of the links you got to link your account.")
        return NOTHING

    def refused(self, action: str, refusal: Refusal) -> Answer:
        self.note(action, refusal)
        return self.told_refused(refusal)

    def told_refused(self, refusal: Refusal) -> Answer:
        """Told to this person alone; a card that is behind is brought up to date."""
        row = self.token.request if self.token is not None else None
        link = None
        if row is not None and refusal.code == "step_up":
            link = ("Vote in the hub", approvals.link_of(row))
        self.whisper(refusal.message[:1].upper() + refusal.message[1:], link)
        if row is not None and refusal.code in _CLOSED:
            self.refresh(row)
        return NOTHING

    def refresh(self, row: ApprovalRequest) -> None:
        event = approvals.latest_card(row)
        if event is None:
            return
        try:
            notifications.rewrite_card(
                self.act.service, self.act.channel_id, event, seconds=self.left(WITHIN_S)
            )
        except NotificationError as error:
            log.info("a card was not refreshed", approval=row.number, code=error.code)

    def whisper(self, text: str, link: tuple[str, str] | None = None) -> None:
        """Lost, it changes nothing: what was decided stands in the rows."""
        try:
            notifications.post_ephemeral(
                self.act.service,
                self.act.channel_id,
                self.act.user_id,
                text,
                link=link,
                seconds=self.left(WITHIN_S),
            )
        except NotificationError as error:
            log.info("a private answer was not given", code=error.code)

    def note(self, action: str, refusal: Refusal) -> None:
        row = self.token.request if self.token is not None else None
        approvals.note_refused(self.actor(), action, refusal, row)

    def actor(self, identity: ChatIdentity | None = None) -> Actor:
        identity = identity or linking.identity_of(self.issuer, self.act.user_id)
        if identity is None:
            return Actor(kind="anonymous", name=f"{self.issuer}/{self.act.user_id}"[:150], via="slack")
        user = identity.user
        return Actor(kind="user", id=str(user.pk), name=user.username, via="slack")


def _looked(done: Decided) -> Answer:
    app = done.request.application
    return Answer(look=(app.id,) if done.changed and app is not None else ())


def _ended(row: ApprovalRequest) -> str:
    by = f" by {row.superseded_by_id}" if row.superseded_by_id else ""
    return (
        f"approval {row.number} was superseded{by}"
        if row.state == "superseded"
        else f"approval {row.number} is {row.state}"
    )


def _reject_form(row: ApprovalRequest, token: str) -> dict[str, object]:
    def plain(text: str) -> dict[str, object]:
        return {"type": "plain_text", "text": text}

    about = (
        f"{row.kind} of {row.app_name}, plan {row.digest[:12]}. The request ends, and its operation fails."
    )
    ask = {"type": "plain_text_input", "action_id": REASON, "multiline": True, "max_length": 500}
    return {
        "type": "modal",
        "callback_id": REJECT_FORM,
        "private_metadata": token,
        "title": plain(f"Reject approval {row.number}"[:24]),
        "submit": plain("Reject"),
        "close": plain("Cancel"),
        "blocks": [
            {"type": "section", "text": plain(about[:3000])},
            {"type": "input", "block_id": REASON, "element": ask, "label": plain("Why?")},
        ],
    }
