"""Retry, roll back, silence: buttons on messages of failure, pressed with the person's own rights (notifications.md 8.5.8).

What they begin is a request like any other: a rollback asks for its own Approval where a policy says so.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import OperationalError
from django.utils import timezone

import hub.services.audit as audit
import hub.services.operations as operations
import hub.services.rights as rights
from hub.core.approvals import Refusal
from hub.errors import HubError
from hub.models import Application, CommandToken, SyncOperation, User
from hub.services.actors import Actor
from hub.services.chat.turn import LOCK_WITHIN_S, NOTHING, Answer, Turn
from hub.services.locks import patience
from notifications import services as notifications
from notifications.services import silences

ACTIONS = {f"hub:{name}": name for name in ("retry-sync", "request-rollback", "silence")}
OFFERED = {
    "sync-failed": ("retry-sync", "request-rollback", "silence"),
    "health-degraded": ("request-rollback", "silence"),
}
_RIGHTS = {"retry-sync": "sync", "request-rollback": "rollback", "silence": "update"}
TOKEN_LIVES, SILENCE = timedelta(days=7), timedelta(hours=1)


def with_commands(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping of a failure with its buttons, where the hub can hear a click on them."""
    offered = OFFERED.get(str(mapping.get("name")), ())
    uid = str((mapping.get("app") or {}).get("uid") or "")
    if not offered or not uid or not notifications.hears_clicks():
        return mapping
    app = Application.objects.filter(id=uid).first()
    if app is None:
        return mapping
    now = timezone.now()
    CommandToken.objects.filter(expires_at__lte=now).delete()
    buttons = []
    for action in offered:
        target = _earlier(app) if action == "request-rollback" else None
        if action == "request-rollback" and target is None:
            continue
        value = secrets.token_urlsafe(32)
        CommandToken.objects.create(
            hash=_hash(value),
            application=app,
            action=action,
            target=target.number if target is not None else None,
            expires_at=now + TOKEN_LIVES,
        )
        buttons.append(_button(app, action, value, target))
    return {**mapping, "buttons": buttons}


def _button(app: Application, action: str, value: str, target: SyncOperation | None) -> dict[str, Any]:
    button: dict[str, Any] = {"kind": action, "value": value}
    if action == "silence":
        button["label"] = "Silence for 1 hour"
    if target is not None:
        text = f"Ask to go back to the state of operation {target.number} of {app.name}, and stay there."
        button["confirm"] = {"title": f"Roll {app.name} back?"[:100], "text": text[:300]}
    return button


class Command(Turn):
    """One click on such a button."""

    def __init__(self, act: Any) -> None:
        super().__init__(act)
        rows = CommandToken.objects.select_related("application__project", "application__cluster")
        known = rows.filter(hash=_hash(act.value), expires_at__gt=timezone.now())
        self.token: CommandToken | None = known.first() if act.value else None

    def clicked(self, action: str) -> Answer:
        refusal = self.outsider() or self.unfit()
        if refusal is None and (self.token is None or self.token.action != action):
            refusal = Refusal("stale", "This button is not valid any more.")
        identity = self.identity()
        if refusal is None and identity is not None and self.token is not None:
            return self.done(action, self.token, identity.user, self.actor(identity))
        self.refuse(action, refusal or Refusal("not_linked", "this Slack account is linked to no user"))
        if refusal is None:
            self.offer_link()
        else:
            self.whisper(refusal.message)
        return NOTHING

    def done(self, action: str, token: CommandToken, user: User, who: Actor) -> Answer:
        app = token.application
        if not rights.may(user, _RIGHTS[action], app.project):
            refusal = Refusal("no_permission", f"You may not do this to {app.name}.")
            self.refuse(action, refusal)
            self.whisper(refusal.message)
            return NOTHING
        try:
            with patience(self.left(LOCK_WITHIN_S)):
                said = _ACT[action](who, app, token)
        except OperationalError:
            self.whisper("Nothing was done, press again: the hub was busy with this application.")
            return NOTHING
        except HubError as error:
            self.whisper(error.message)
            return NOTHING
        self.whisper(said)
        return Answer(look=(app.id,))

    def refuse(self, action: str, refusal: Refusal) -> None:
        app = self.token.application if self.token is not None else None
        audit.record(
            self.actor(),
            action,
            resource="application",
            name=app.name if app is not None else "",
            project=app.project.name if app is not None else "",
            outcome="denied",
            code=refusal.code,
            reason=refusal.message,
            level=3,
        )


def _retry(who: Actor, app: Application, _: CommandToken) -> str:
    operation, created = operations.request(who, app, {})
    return f"Operation {operation.number} of {app.name} {'was asked for' if created else 'is on its way already'}."


def _roll_back(who: Actor, app: Application, token: CommandToken) -> str:
    """To the state that the button named, whatever was deployed since: the person confirmed that one."""
    if token.target is None:
        raise HubError("no_such_state", f"{app.name} has no earlier state to go back to", status=404)
    operation = operations.rollback(who, app, token.target, reason="asked for in Slack")
    return f"Operation {operation.number} takes {app.name} back to operation {token.target}, when it may."


def _silence(who: Actor, app: Application, _: CommandToken) -> str:
    now = timezone.now()
    matcher = {"app": app.name, "project": app.project.name}
    silences.create(matcher, now, now + SILENCE, who.name, "asked for in Slack")
    audit.record(
        who,
        "silence",
        resource="application",
        name=app.name,
        project=app.project.name,
        reason="1 hour",
        level=2,
    )
    return f"Messages about {app.name} are silenced for an hour; what still holds then is told."


_ACT = {"retry-sync": _retry, "request-rollback": _roll_back, "silence": _silence}


def _earlier(app: Application) -> SyncOperation | None:
    """The newest operation that succeeded with another state than what is wanted now."""
    rows = app.operations.filter(phase=SyncOperation.Phase.SUCCEEDED).exclude(
        manifest_digest__in=["", app.manifest_digest]
    )
    return rows.order_by("-number").first()


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
