"""Webhooks: the secrets that prove a sender, and which deliveries were seen (sources.md 7)."""

from __future__ import annotations

import uuid

from django.db import models

from guard.fields import EncryptedTextField


class WebhookSecret(models.Model):
    """One secret of a provider, for every Repository or for one; several at once allow rotation.

    For providers that prove themselves by their address (Docker Hub, Quay, generic) it is the digest of the token.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=32, db_index=True)
    secret = EncryptedTextField()
    repository = models.ForeignKey("hub.Repository", on_delete=models.CASCADE, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["provider", "created_at"]

    def __str__(self) -> str:
        return f"{self.provider} for {self.repository or 'every repository'}"


class WebhookDelivery(models.Model):
    """A delivery that was accepted; the same one again within 24 h does nothing."""

    key = models.CharField(primary_key=True, max_length=160)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
