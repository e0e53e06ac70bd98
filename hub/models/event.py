"""Events: what happened, written in the transaction of the status they describe."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """One plain mapping with a unique key (notifications.md 2); the row is also the hand-over to notifications."""

    key = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=64, db_index=True)
    seq = models.PositiveBigIntegerField(default=0)
    # No foreign key: an event outlives its application.
    application = models.UUIDField(null=True, blank=True, db_index=True)
    project = models.CharField(max_length=253, blank=True, default="", db_index=True)
    severity = models.CharField(max_length=8, default="info")
    summary = models.CharField(max_length=500, default="")
    data = models.JSONField(default=dict)
    occurred_at = models.DateTimeField(db_index=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"], name="event_undispatched", condition=models.Q(dispatched_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return self.summary or self.name
