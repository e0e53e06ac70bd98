"""Repositories: where manifests come from, with credentials, and what the last poll saw."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from guard.fields import EncryptedTextField
from hub.core.sources import RepositoryAccess


class Repository(models.Model):
    """One Git repository as somebody registered it; mirrors are never shared between rows (sources.md 1)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.CharField(max_length=1000)
    # `hub.core.sources.normalise_url(url)`: what Applications and webhooks are matched by.
    normal_url = models.CharField(max_length=1000, db_index=True)
    project = models.ForeignKey(
        "hub.Project", on_delete=models.PROTECT, null=True, blank=True, related_name="repositories"
    )
    username = models.CharField(max_length=255, blank=True, default="")
    password = EncryptedTextField(blank=True, default="")
    bearer_token = EncryptedTextField(blank=True, default="")
    ssh_private_key = EncryptedTextField(blank=True, default="")
    known_hosts = models.TextField(blank=True, default="")
    ca_pem = models.TextField(blank=True, default="")
    client_certificate_pem = models.TextField(blank=True, default="")
    client_key_pem = EncryptedTextField(blank=True, default="")
    proxy_url = EncryptedTextField(blank=True, default="")
    generation = models.PositiveIntegerField(default=1)

    # The last RefTable: {"refs": {name: sha}, "head": name}; its digest decides whether anything moved.
    refs = models.JSONField(default=dict, blank=True)
    refs_digest = models.CharField(max_length=64, blank=True, default="")
    state = models.CharField(max_length=16, default="Unknown")
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.CharField(max_length=500, blank=True, default="")
    failures = models.PositiveIntegerField(default=0)
    checked_at = models.DateTimeField(null=True, blank=True)
    next_poll_at = models.DateTimeField(null=True, blank=True, db_index=True)
    # The server asked for this pause, or refused the credential: no Hint ends it, a changed credential does.
    wait_until = models.DateTimeField(null=True, blank=True)
    webhook_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["url"]
        verbose_name_plural = "repositories"
        constraints = [
            models.UniqueConstraint(fields=["normal_url", "project"], name="one_repository_per_project"),
            models.UniqueConstraint(
                fields=["normal_url"], condition=models.Q(project__isnull=True), name="one_repository_for_all"
            ),
        ]

    def __str__(self) -> str:
        return self.url

    def access(self) -> RepositoryAccess:
        """The value the Git gate works with; the only place where the credentials are decrypted."""
        return RepositoryAccess(
            id=str(self.id),
            url=self.url,
            project=self.project.name if self.project else "",
            username=self.username,
            password=self.password.reveal(),
            bearer_token=self.bearer_token.reveal(),
            ssh_private_key=self.ssh_private_key.reveal(),
            known_hosts=self.known_hosts,
            tls_ca=self.ca_pem,
            tls_client_certificate=self.client_certificate_pem,
            tls_client_key=self.client_key_pem.reveal(),
            proxy_url=self.proxy_url.reveal(),
            allow_file=settings.HUB_ALLOW_LOOPBACK,
            allow_loopback=settings.HUB_ALLOW_LOOPBACK,
            private_networks=tuple(settings.HUB_PRIVATE_NETWORKS),
        )

    @property
    def credential_kind(self) -> str:
        if self.ssh_private_key:
            return "ssh"
        if self.bearer_token:
            return "bearer"
        return "password" if self.password else "none"
