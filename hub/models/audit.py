"""The audit: append-only, written in the transaction of what it describes (access-and-api.md 7)."""

from __future__ import annotations

from django.db import models


class AuditEvent(models.Model):
    """Who did what, how, with which outcome. Triggers refuse UPDATE and early DELETE on both databases."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor_kind = models.CharField(max_length=16, default="system")
    actor_id = models.CharField(max_length=64, blank=True, default="")
    actor_name = models.CharField(max_length=128, blank=True, default="")
    via = models.CharField(max_length=16, default="tick")
    address = models.CharField(max_length=64, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    action = models.CharField(max_length=64, db_index=True)
    resource = models.CharField(max_length=32, blank=True, default="")
    object_name = models.CharField(max_length=300, blank=True, default="", db_index=True)
    project = models.CharField(max_length=253, blank=True, default="", db_index=True)
    outcome = models.CharField(max_length=8, default="done")
    code = models.CharField(max_length=64, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    level = models.PositiveSmallIntegerField(default=1)
    cwe = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.actor_name or self.actor_kind} {self.action} {self.object_name}"
