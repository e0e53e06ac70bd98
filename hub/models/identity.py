"""Who this hub is, and which of its processes are alive and own which shard of clusters."""

from __future__ import annotations

from django.db import models

from guard.fields import EncryptedTextField


class HubIdentity(models.Model):
    """One row, made by the first migration: the id written into clusters, and the key of every mask."""

    id = models.CharField(primary_key=True, max_length=32)
    created_at = models.DateTimeField(auto_now_add=True)
    # Key of the HMACs that stand for Secret values in baselines, digests and diffs (sync-semantics.md 6.6).
    mask_key = EncryptedTextField(default="")


class WorkerProcess(models.Model):
    """A heartbeat: a process is alive only while it consumes (access-and-api.md OB3)."""

    id = models.CharField(primary_key=True, max_length=128)
    role = models.CharField(max_length=16)
    started_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(db_index=True)


class Shard(models.Model):
    """A share of the clusters, leased by one worker process at a time (access-and-api.md CL13)."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    owner = models.CharField(max_length=128, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
