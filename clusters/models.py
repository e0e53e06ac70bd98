"""The record of a cluster: where it is, how to reach it, what the last probe saw."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from clusters.core.connection import Connection
from guard.fields import EncryptedTextField


class Cluster(models.Model):
    """A registered Kubernetes API. Credentials are encrypted and never readable back (access-and-api.md CL8)."""

    class State(models.TextChoices):
        UNKNOWN = "Unknown"
        CONNECTED = "Connected"
        DEGRADED = "Degraded"
        UNAUTHORIZED = "Unauthorized"
        UNREACHABLE = "Unreachable"
        PAUSED = "Paused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=253, unique=True)
    server = models.CharField(max_length=500)
    # An opaque name: who besides everybody may use this cluster (the hub stores a Project's name here).
    scope = models.CharField(max_length=253, blank=True, default="")
    labels = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True)

    ca_pem = models.TextField(blank=True, default="")
    token = EncryptedTextField(blank=True, default="")
    client_certificate_pem = models.TextField(blank=True, default="")
    client_key_pem = EncryptedTextField(blank=True, default="")
    tls_server_name = models.CharField(max_length=253, blank=True, default="")
    insecure_skip_tls_verify = models.BooleanField(default=False)
    insecure_reason = models.CharField(max_length=255, blank=True, default="")
    proxy_url = EncryptedTextField(blank=True, default="")
    in_cluster = models.BooleanField(default=False)
    namespaces = models.JSONField(default=list, blank=True)
    cluster_resources = models.BooleanField(default=True)
    max_in_flight = models.PositiveSmallIntegerField(default=16)

    paused = models.BooleanField(default=False)
    shard = models.PositiveSmallIntegerField(default=0)
    generation = models.PositiveIntegerField(default=1)

    state = models.CharField(max_length=16, choices=State, default=State.UNKNOWN)
    state_message = models.CharField(max_length=500, blank=True, default="")
    version = models.CharField(max_length=64, blank=True, default="")
    uid = models.CharField(max_length=64, blank=True, default="")
    missing_rights = models.JSONField(default=list, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    next_probe_at = models.DateTimeField(null=True, blank=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def connection(self) -> Connection:
        """The value the gate works with; the only place where the credentials are decrypted."""
        return Connection(
            identity=str(self.id),
            generation=self.generation,
            name=self.name,
            server=self.server,
            ca_pem=self.ca_pem,
            token=self.token.reveal(),
            client_certificate_pem=self.client_certificate_pem,
            client_key_pem=self.client_key_pem.reveal(),
            tls_server_name=self.tls_server_name,
            insecure_skip_tls_verify=self.insecure_skip_tls_verify,
            proxy_url=self.proxy_url.reveal(),
            in_cluster=self.in_cluster,
            namespaces=tuple(self.namespaces),
            cluster_resources=self.cluster_resources,
            allow_loopback=settings.HUB_ALLOW_LOOPBACK,
            private_networks=tuple(settings.HUB_PRIVATE_NETWORKS),
            max_in_flight=self.max_in_flight,
        )

    @property
    def credential_kind(self) -> str:
        if self.in_cluster:
            return "in-cluster"
        if self.token:
            return "token"
        return "client certificate" if self.client_key_pem else "none"
