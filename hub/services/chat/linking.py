"""Linking a chat account to a hub user: the chat shows a one-time address, the user's own sign-in confirms it."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

import hub.services.approvals as approvals
import hub.services.audit as audit
import hub.services.events as events
from hub.errors import HubError
from hub.models import ApprovalRequest, ChatIdentity, LinkCode, User, Vote
from hub.services.actors import Actor

CODE_LIVES = timedelta(minutes=10)
MOST_CODES = 5


class LinkRefused(HubError):
    """The code is unknown, used or too old: `link_expired`; somebody else has the account: `linked_elsewhere`."""


def identity_of(issuer: str, sub: str) -> ChatIdentity | None:
    return ChatIdentity.objects.select_related("user").filter(issuer=issuer, sub=sub).first()


def identities(user: User) -> QuerySet[ChatIdentity]:
    return ChatIdentity.objects.filter(user=user)


@transaction.atomic
def offer(issuer: str, sub: str) -> str:
    """The address that links this account, once, within 10 minutes; "" when it was given out too often just now."""
    now = timezone.now()
    LinkCode.objects.filter(expires_at__lte=now).delete()
    if LinkCode.objects.filter(issuer=issuer, sub=sub).count() >= MOST_CODES:
        return ""
    code = secrets.token_urlsafe(32)
    LinkCode.objects.create(
        hash=_hash(code), issuer=issuer, sub=sub, created_at=now, expires_at=now + CODE_LIVES
    )
    return events.link(f"/link/{code}")


def asked(code: str) -> LinkCode:
    """Which account a code is about. Raises LinkRefused."""
    return _found(LinkCode.objects.all(), code)


@transaction.atomic
def confirm(actor: Actor, user: User, code: str) -> ChatIdentity:
    """The signed-in user says: this account is mine. Raises LinkRefused."""
    row = _found(LinkCode.objects.select_for_update(), code)
    identity, created = ChatIdentity.objects.get_or_create(
        issuer=row.issuer, sub=row.sub, defaults={"user": user}
    )
    if identity.user_id != user.pk:
        raise LinkRefused("linked_elsewhere", "this account is linked to somebody else", status=409)
    LinkCode.objects.filter(hash=row.hash).update(used_at=timezone.now())
    if created:
        audit.record(actor, "link", resource="chat-identity", name=str(identity), level=3)
    return identity


@transaction.atomic
def unlink(actor: Actor, identity: ChatIdentity) -> None:
    """Its votes that stand on open requests are taken back: nobody answers for them any more (8.5.5)."""
    name = str(identity)
    audit.record(actor, "unlink", resource="chat-identity", name=name, level=3)
    ChatIdentity.objects.filter(pk=identity.pk).delete()
    standing = Vote.objects.filter(
        chat=name,
        ended_at__isnull=True,
        request__state__in=[ApprovalRequest.State.PENDING, ApprovalRequest.State.APPROVED],
    )
    for vote in standing.select_related("user"):
        try:
            approvals.withdraw(actor, vote.user, vote.request_id, why="unlinked")
        except approvals.ApprovalRefused as refusal:
            # Executed or ended meanwhile: there is no vote to take back.
            if refusal.code not in ("closed", "not_yours"):
                raise


def _found(rows: QuerySet[LinkCode], code: str) -> LinkCode:
    now = timezone.now()
    row = rows.filter(hash=_hash(code[:200]), used_at__isnull=True, expires_at__gt=now).first()
    if row is None:
        raise LinkRefused(
            "link_expired",
            "this link was used or is older than ten minutes",
            "press the button in Slack again",
            status=404,
        )
    return row


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
