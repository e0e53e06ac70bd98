"""What every interaction has: who acted, how long Slack still waits, and the private answer (notifications.md 8.5)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

import hub.services.chat.linking as linking
import hub.services.chat.people as people
from hub.core.approvals import Refusal
from hub.models import ChatIdentity
from hub.services.actors import Actor
from notifications import services as notifications
from notifications.errors import NotificationError
from notifications.services import Interaction

log = structlog.get_logger(__name__)
WITHIN_S, LOCK_WITHIN_S, ASK_WITHIN_S = 2.5, 1.5, 1.0


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


class Turn:
    """One interaction on its way; `left` is what remains of the time that Slack waits."""

    def __init__(self, act: Interaction) -> None:
        self.act = act
        self.issuer = f"slack:{act.team_id}"
        self.until = time.monotonic() + WITHIN_S

    def left(self, most: float) -> float:
        return max(0.3, min(most, self.until - time.monotonic()))

    def outsider(self) -> Refusal | None:
        return people.outsider(self.act, self.left(ASK_WITHIN_S))

    def unfit(self) -> Refusal | None:
        return people.unfit_member(self.act, self.left(ASK_WITHIN_S))

    def identity(self) -> ChatIdentity | None:
        return linking.identity_of(self.issuer, self.act.user_id)

    def actor(self, identity: ChatIdentity | None = None) -> Actor:
        """With the account that acted where other doors have the address (access-and-api.md AU1)."""
        identity, account = identity or self.identity(), f"{self.issuer}/{self.act.user_id}"
        if identity is None:
            return Actor(kind="anonymous", name=account[:150], via="slack", address=account[:64])
        user = identity.user
        return Actor(
            kind="user",
            id=str(user.pk),
            name=user.username,
            via="slack",
            address=account[:64],
            is_admin=user.is_superuser,
        )

    def offer_link(self) -> None:
        address = linking.offer(self.issuer, self.act.user_id)
        if address:
            text = "Nothing was done: the hub does not know who you are yet. Link your account, then press again."
            self.whisper(text, ("Link my account (10 minutes, once)", address))
        else:
            self.whisper("Nothing was done. Use one of the links you got to link your account.")

    def whisper(self, text: str, link: tuple[str, str] | None = None) -> None:
        """Told to this person alone. Lost, it changes nothing: what was decided stands in the rows."""
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
