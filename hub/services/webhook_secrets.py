"""The secrets that prove who sends a webhook: made here, shown once, never read back (sources.md 7)."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.db import transaction

import hub.services.audit as audit
from hub.core import specs
from hub.core.sources import normalise_url, shown
from hub.core.webhooks import token_digest
from hub.core.webhooks.providers import BY_NAME
from hub.errors import HubError
from hub.models import Repository, WebhookSecret
from hub.services.actors import Actor
from hub.services.documents import InvalidDocument
from hub.services.webhooks import MOST_SECRETS

# Two overlap while they are exchanged; the third is for whoever forgot the first.
AT_ONCE = 3
SHORTEST = 16
# These sign nothing: the address itself holds the secret, of which only a digest is kept.
BY_ADDRESS = frozenset({"docker-hub", "quay", "acr", "ecr"})
DOCUMENT = specs.record(
    {"provider": specs.text(32), "repository": specs.text(1000), "secret": specs.text(512)},
    required=("provider",),
)


def shown_secret(row: WebhookSecret) -> dict[str, Any]:
    """What people may read: the address for the provider's form, and never the secret."""
    token = "/<token>" if row.provider in BY_ADDRESS else ""
    return {
        "id": str(row.id),
        "provider": row.provider,
        "repository": shown(row.repository.url) if row.repository else "",
        "address": f"{settings.HUB_URL.rstrip('/')}/api/v1/webhooks/{row.provider}{token}",
        "created_at": row.created_at,
    }


@transaction.atomic
def create(actor: Actor, doc: Any) -> tuple[WebhookSecret, str]:
    """Store a secret, a random one unless it is given. Returns it, too: this is the only time.

    Raises InvalidDocument, or HubError `too_many` when its place is full.
    """
    errors: specs.Errors = {}
    values = DOCUMENT(doc, "", errors)
    if errors:
        raise InvalidDocument(errors)
    provider, secret = values["provider"], values.get("secret", "")
    if provider not in BY_NAME:
        errors["provider"] = [f"is none of {', '.join(sorted(BY_NAME))}"]
    least = 32 if provider in BY_ADDRESS else SHORTEST
    if secret and len(secret) < least:
        errors["secret"] = [f"has fewer than {least} characters; leave it out for a random one"]
    if secret and provider == "azure-devops" and ":" not in secret:
        errors["secret"] = ["must be user:password, as Azure DevOps sends it"]
    repository = _repository(values.get("repository", ""), errors)
    if errors:
        raise InvalidDocument(errors)
    _refuse_crowds(provider, repository)
    secret = secret or ("hub:" if provider == "azure-devops" else "") + secrets.token_urlsafe(32)
    kept = token_digest(secret) if provider in BY_ADDRESS else secret
    row = WebhookSecret.objects.create(provider=provider, repository=repository, secret=kept)
    _audit(actor, "create", row)
    return row, secret


@transaction.atomic
def delete(actor: Actor, row: WebhookSecret) -> None:
    """From now on nothing is proven by it."""
    _audit(actor, "delete", row)
    row.delete()


def _repository(url: str, errors: specs.Errors) -> Repository | None:
    if not url or errors:
        return None
    found = Repository.objects.filter(normal_url=normalise_url(url)).first()
    if found is None:
        errors["repository"] = ["is not registered"]
    return found


def _refuse_crowds(provider: str, repository: Repository | None) -> None:
    """More than are looked at would be secrets that prove nothing."""
    of_provider = WebhookSecret.objects.filter(provider=provider)
    here = of_provider.filter(repository=repository).count()
    if here >= AT_ONCE or of_provider.count() >= MOST_SECRETS:
        raise HubError(
            "too_many",
            f"{provider} has {here} secrets here and {of_provider.count()} in all",
            "remove one that is no longer used",
            status=409,
        )


def _audit(actor: Actor, action: str, row: WebhookSecret) -> None:
    repository = row.repository
    audit.record(
        actor,
        action,
        resource="webhook secret",
        name=str(row.provider) + (f" for {shown(repository.url)}" if repository else ""),
        project=repository.project.name if repository and repository.project else "",
        level=3,
    )
