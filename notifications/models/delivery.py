"""What is owed and how each try ended (notifications.md 6)."""

from __future__ import annotations

import secrets

from django.db import models

from notifications.models.config import Destination, Service
from notifications.models.happened import EventCopy


def opaque() -> str:
    """A random value that means nothing to anybody else."""
    return secrets.token_hex(16)


class Silence(models.Model):
    """Suppresses what it matches between two times, and remembers what it suppressed.

    `matcher` holds any of app, project, cluster, event, destination; each is a glob, all must match.
    """

    matcher = models.JSONField(default=dict)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)
    author = models.CharField(max_length=100)
    reason = models.CharField(max_length=500)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"silence {self.pk}: {self.reason}"


class Delivery(models.Model):
    """One Message owed to one Destination. Claimed by one conditional UPDATE; every write names the fence."""

    class State(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"
        HELD = "held"
        UNCONFIRMED = "unconfirmed"
        SILENCED = "silenced"
        CANCELLED = "cancelled"
        MERGED = "merged"
        DIGESTED = "digested"

    class Kind(models.TextChoices):
        EVENT = "event"
        RECOVERY = "recovery"
        STILL = "still"
        TEST = "test"
        RESEND = "resend"
        OPERATORS = "operators"
        REMINDER = "reminder"
        DIGEST = "digest"

    kind = models.CharField(max_length=9, choices=Kind, default=Kind.EVENT)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(
        EventCopy, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries"
    )
    # SHA-256 of what makes it one telling (trigger, condition, value or event key).
    dedupe = models.CharField(max_length=64)
    # SHA-256 of (Destination, application or thread): these go out in order of id.
    lane = models.CharField(max_length=64)
    trigger = models.CharField(max_length=300, blank=True, default="")
    templates = models.JSONField(default=list, blank=True)
    because = models.JSONField(default=list, blank=True)
    app = models.CharField(max_length=64, blank=True, default="", db_index=True)
    episode = models.CharField(max_length=255, blank=True, default="")
    # Whom its subscriptions want called, if it is urgent.
    mention = models.CharField(max_length=200, blank=True, default="")
    # The grouping key of the thread.
    thread = models.CharField(max_length=255, blank=True, default="")

    state = models.CharField(max_length=11, choices=State, default=State.PENDING)
    next_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    # Questions asked about the step that ended unsure, and since when it is unsure.
    asks = models.PositiveSmallIntegerField(default=0)
    unsure_since = models.DateTimeField(null=True, blank=True)

    error_code = models.CharField(max_length=64, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")
    error_hint = models.CharField(max_length=300, blank=True, default="")
    error_permanent = models.BooleanField(default=False)

    # Frozen at the first attempt: every retry sends the same bytes. Names of secrets, never their values.
    payload = models.JSONField(null=True, blank=True)
    rendered = models.CharField(max_length=8, blank=True, default="")
    rendered_why = models.CharField(max_length=500, blank=True, default="")
    remarks = models.JSONField(default=list, blank=True)
    # [{name, request, started, done, receipt}]; a retry begins at the first step not done.
    steps = models.JSONField(default=list, blank=True)
    external = models.JSONField(default=dict, blank=True)
    # What the far side is asked for after an ambiguous answer.
    token = models.CharField(max_length=32, default=opaque, editable=False)

    resend_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True)
    # Merged: the Delivery that says it instead, or that flushed the digest.
    folded_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="folded"
    )
    silence = models.ForeignKey(
        Silence, on_delete=models.SET_NULL, null=True, blank=True, related_name="suppressed"
    )
    created_at = models.DateTimeField(db_index=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["dedupe", "destination"], name="delivery_once")]
        indexes = [
            models.Index(fields=["lane", "state", "id"], name="delivery_lane"),
            models.Index(fields=["state", "next_at"], name="delivery_due"),
            models.Index(fields=["state", "lease_until"], name="delivery_lapsed"),
            models.Index(fields=["state", "created_at"], name="delivery_history"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk} to {self.destination_id}: {self.state}"


class Attempt(models.Model):
    """One try, append-only. `ended_at` empty: the process died between beginning and outcome."""

    class Outcome(models.TextChoices):
        DONE = "done"
        CLEAN = "clean"
        UNSURE = "unsure"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    number = models.PositiveIntegerField()
    step = models.CharField(max_length=40, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=6, choices=Outcome, blank=True, default="")
    code = models.CharField(max_length=64, blank=True, default="")
    answer = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}: {self.outcome or 'open'}"


class Thread(models.Model):
    """(Service, channel, grouping key) to root message. `root` empty: a first message is on its way (`claimed_by`)."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="threads")
    channel = models.CharField(max_length=500)
    key = models.CharField(max_length=255)
    root = models.CharField(max_length=64, blank=True, default="")
    # The id the far side gave the channel; updates need it.
    channel_id = models.CharField(max_length=100, blank=True, default="")
    claimed_by = models.BigIntegerField(null=True, blank=True)
    used_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "channel", "key"], name="thread_once")]

    def __str__(self) -> str:
        return f"{self.key} in {self.channel}"


class Bucket(models.Model):
    """The pace of one (Service, channel): tokens at a time, and a freeze by Retry-After."""

    name = models.CharField(max_length=255, unique=True)
    tokens = models.FloatField()
    at = models.DateTimeField()
    frozen_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
