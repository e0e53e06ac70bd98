"""What happened, and what triggers remember of it."""

from __future__ import annotations

from django.db import models


class EventCopy(models.Model):
    """An event mapping as received; the unique key makes a repeated dispatch change nothing."""

    key = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=64, db_index=True)
    # The subject: the application's uid, or "" for an event of a cluster or of this room.
    app = models.CharField(max_length=64, blank=True, default="", db_index=True)
    project = models.CharField(max_length=253, blank=True, default="")
    severity = models.CharField(max_length=8, default="info")
    summary = models.CharField(max_length=500, blank=True, default="")
    data = models.JSONField(default=dict)
    # What could not be judged or routed: [{where, code, sentence, hint}]
    problems = models.JSONField(default=list)
    occurred_at = models.DateTimeField(db_index=True)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "event copies"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.summary or self.name


class TriggerState(models.Model):
    """What one condition of an imported trigger said last about one application."""

    app = models.CharField(max_length=64)
    # `name` or `project/name`: also triggers of the catalogue, which are no rows, have states.
    trigger = models.CharField(max_length=510)
    identity = models.CharField(max_length=40)
    truth = models.BooleanField(default=False)
    once_per_text = models.TextField(blank=True, default="")
    # {value: RFC 3339 time when it last held}
    told = models.JSONField(default=dict)
    edges = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["app", "trigger", "identity"], name="condition_state_once")
        ]

    def __str__(self) -> str:
        return f"{self.trigger} {self.identity} of {self.app}"


class Alarm(models.Model):
    """The open period of one native trigger and one subject (an application, a cluster)."""

    trigger = models.CharField(max_length=510)
    subject = models.CharField(max_length=300)
    episode = models.CharField(max_length=255)
    state = models.CharField(max_length=9)
    opening = models.JSONField(default=dict)
    ending = models.JSONField(null=True, blank=True)
    events = models.JSONField(default=list)
    repeats = models.PositiveSmallIntegerField(default=0)
    due = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trigger", "subject"], name="alarm_once")]

    def __str__(self) -> str:
        return f"{self.trigger} of {self.subject}: {self.state}"
