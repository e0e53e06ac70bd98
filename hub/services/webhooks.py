"""Webhooks: a proven delivery makes its Repositories due, and can do nothing else (sources.md 7)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

import hub.services.hints as hints
from hub.core.webhooks import Hint, read_webhook, recognised_name
from hub.errors import HubError
from hub.models import Repository, WebhookDelivery, WebhookSecret

MOST_SECRETS = 20


def receive(
    provider: str, method: str, headers: Mapping[str, str], body: bytes, token: str = ""
) -> list[uuid.UUID]:
    """Judge one delivery and make what it concerns due. Returns the ids to poll.

    Raises HubError with the status that sources.md 7 names; a repeated or uninteresting delivery returns nothing.
    """
    name = (provider or recognised_name(headers)).replace("\0", "")
    secrets = list(WebhookSecret.objects.filter(provider=name).select_related("repository")[:MOST_SECRETS])
    if not secrets:
        raise HubError("not_found", "there is no such address", status=404)
    proofs = [row.secret.reveal() for row in secrets]
    hint = read_webhook(name, method, headers, body, secrets=proofs, now=timezone.now(), token=token)
    if not hint.useful or _seen(hint):
        return []
    return _make_due(hint, secrets[hint.proven_by].repository)


def _seen(hint: Hint) -> bool:
    return seen(hint.provider, hint.delivery_id)


def seen(provider: str, delivery_id: str) -> bool:
    """Whether this delivery was accepted before, within 24 h; from now on it was."""
    key = f"{provider}:{hashlib.sha256(delivery_id.encode()).hexdigest()}"
    WebhookDelivery.objects.filter(at__lt=timezone.now() - timedelta(hours=24)).delete()
    _, created = WebhookDelivery.objects.get_or_create(key=key)
    return not created


@transaction.atomic
def _make_due(hint: Hint, only: Repository | None) -> list[uuid.UUID]:
    """At most one listing per Repository and second, whatever arrives: a fresh one waits for its end (2.1)."""
    rows = [only] if only is not None else Repository.objects.only("id", "url", "checked_at")
    ids = [row.id for row in rows if hint.concerns(row.url)]
    Repository.objects.filter(id__in=ids).update(webhook_at=timezone.now())
    return hints.poll(ids)
