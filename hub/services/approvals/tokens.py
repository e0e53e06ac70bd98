"""Tokens of card buttons: random, kept as hashes, bound to request, round, digest and action (8.5).

They come into being when an event is handed to notifications, so the hub's own events never hold one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import hub.services.approvals.requests as requests
import hub.services.approvals.telling as telling
from hub.models import ApprovalRequest, CardToken
from notifications import services as notifications

ACTIONS = ("approve", "reject", "withdraw")
_ASKING = {"approval-requested", "approval-voted", "approval-approved"}


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def with_buttons(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping with buttons for the card, while its request can still be decided in the round of the event, where
    the hub can hear a click on them."""
    if mapping.get("name") not in _ASKING or not notifications.hears_clicks():
        return mapping
    asked = mapping.get("approval") or {}
    row = ApprovalRequest.objects.filter(
        number=int(asked.get("request") or 0), round=int(asked.get("round") or 0), state__in=requests.OPEN
    ).first()
    if row is None:
        return mapping
    buttons = []
    for action in ACTIONS if row.state == "approved" else ACTIONS[:2]:
        token = secrets.token_urlsafe(32)
        CardToken.objects.create(
            hash=digest_of(token), request=row, round=row.round, digest=row.digest, action=action
        )
        buttons.append(_button(row, action, token))
    return {**mapping, "buttons": buttons}


def latest_card(row: ApprovalRequest) -> Mapping[str, Any] | None:
    """The newest event of this request with the buttons that work now, for a card that is behind."""
    newest = telling.latest(row)
    return with_buttons(newest) if newest is not None else None


def _button(row: ApprovalRequest, action: str, token: str) -> dict[str, Any]:
    button: dict[str, Any] = {"kind": action, "value": token}
    if action == "approve":
        prunes = [str(entry["key"]) for entry in row.plan.get("prune") or ()]
        text = f"{row.kind} of {row.app_name}, plan {row.digest[:12]}"
        if prunes:
            text += f". Deletes {', '.join(prunes[:5])}" + (
                f" and {len(prunes) - 5} more" if prunes[5:] else ""
            )
        button["confirm"] = {"title": f"Approve {row.number}?", "text": text[:300]}
    return button


def find_token(value: str) -> CardToken | None:
    """The row of a clicked value, with its request; None for anything the hub did not give out."""
    if not value or len(value) > 200:
        return None
    return CardToken.objects.select_related("request").filter(hash=digest_of(value)).first()
