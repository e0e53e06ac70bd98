"""Approve, reject, withdraw: from a pressed button to a decision of hub.services.approvals (notifications.md 8.5).

The decision is one transaction without network. Asking Slack who somebody is comes before it, answering them after it.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import OperationalError

import hub.services.approvals as approvals
from hub.core.approvals import OPEN, Refusal
from hub.models import ApprovalRequest, CardToken, ChatIdentity
from hub.services.approvals import ApprovalRefused, Decided
from hub.services.chat.turn import LOCK_WITHIN_S, NOTHING, WITHIN_S, Answer, Turn
from hub.services.documents import InvalidDocument
from hub.services.locks import patience
from notifications import services as notifications
from notifications.errors import NotificationError
from notifications.services import Interaction

log = structlog.get_logger(__name__)
REJECT_FORM = "hub:reject"
REASON = "reason"
# A rejection opens a form at once, as its trigger lives three seconds; who it is is asked when the form comes back.
ACTIONS = {"hub:approve": "approve", "hub:reject": "reject", "hub:withdraw": "withdraw"}
_CLOSED = {"stale", "closed", "expired"}
NOT_RECORDED = "Not recorded, press again: the hub was busy with this request."


class Ballot(Turn):
    """A click on a card, or the form of a rejection that came back."""

    def __init__(self, act: Interaction) -> None:
        super().__init__(act)
        self.token: CardToken | None = approvals.find_token(act.private_metadata or act.value)

    # -- the two ways in

    def clicked(self, action: str) -> Answer:
        refusal = self.outsider()
        if refusal is None and action != "reject":
            refusal = self.unfit()
        refusal = refusal or self.dead_token(action)
        if refusal is not None:
            return self.refused(action, refusal)
        identity = self.identity()
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
        refusal = self.outsider()
        refusal = refusal or self.unfit() or self.dead_token("reject")
        identity = self.identity()
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
        self.offer_link()
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

    def note(self, action: str, refusal: Refusal) -> None:
        row = self.token.request if self.token is not None else None
        approvals.note_refused(self.actor(), action, refusal, row)


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
