"""Approvals: policies, requests for consent to one plan, votes, card tokens, and who is who in a chat."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class ApprovalPolicy(models.Model):
    """Which operations need whose consent. `document` is what people wrote, judged by hub.core.approvals (8.1)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    document = models.JSONField(default=dict)
    generation = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "approval policies"

    def __str__(self) -> str:
        return self.name


class ApprovalRequest(models.Model):
    """One plan that waits for consent, bound to its digest; the states are those of notifications.md 8.4.

    `operation` is who used it up, `asked_for` who waited for it: ids without constraint, as rows of operations age.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        EXECUTING = "executing"
        REJECTED = "rejected"
        CANCELLED = "cancelled"
        EXPIRED = "expired"
        SUPERSEDED = "superseded"
        DONE = "done"
        FAILED = "failed"

    number = models.BigAutoField(primary_key=True)
    application = models.ForeignKey(
        "hub.Application", on_delete=models.SET_NULL, null=True, related_name="approvals"
    )
    app_name = models.CharField(max_length=253)
    project = models.CharField(max_length=253, db_index=True)
    kind = models.CharField(max_length=10)
    digest = models.CharField(max_length=64)
    # What people were asked about, as it was then: changes, prune, hooks, revisions, counts.
    plan = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING, db_index=True)
    round = models.PositiveIntegerField(default=1)
    # {kind, id, name, via} of the operation's initiator, and its reason.
    requester = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True, default="")
    # E-mail addresses of everybody who wrote or committed what is new; incomplete when history was missing.
    authors = models.JSONField(default=list)
    authors_complete = models.BooleanField(default=True)
    policies = models.JSONField(default=list)
    asked_for = models.UUIDField()
    operation = models.UUIDField(null=True, blank=True)
    superseded_by = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="supersedes"
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    approved_at = models.DateTimeField(null=True, blank=True)
    # Approved and windows open since: until when it may be used.
    use_by = models.DateTimeField(null=True, blank=True)
    executing_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The sentence of its end: who rejected and why, what superseded it.
    outcome = models.CharField(max_length=500, blank=True, default="")
    # {by, reason, ticket, at, proof_at, windows, review_due, reviewed_by, review}
    break_glass = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["application"],
                condition=Q(state__in=["pending", "approved"]),
                name="one_open_approval",
            )
        ]
        indexes = [models.Index(fields=["application", "-number"], name="approval_history")]

    def __str__(self) -> str:
        return f"approval {self.number}: {self.kind} in {self.app_name}"


class Vote(models.Model):
    """One person's word on that digest. A vote that was taken back stays, with its end."""

    class Decision(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="votes")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="votes")
    decision = models.CharField(max_length=7, choices=Decision)
    reason = models.CharField(max_length=500, blank=True, default="")
    digest = models.CharField(max_length=64)
    round = models.PositiveIntegerField()
    via = models.CharField(max_length=16)
    # The chat identity that clicked: unlinking it takes its open votes back.
    chat = models.CharField(max_length=200, blank=True, default="")
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "user"], condition=Q(ended_at__isnull=True), name="one_standing_vote"
            )
        ]

    def __str__(self) -> str:
        return f"{self.decision} by {self.user_id} on {self.request_id}"


class CardToken(models.Model):
    """The value of one button, stored as SHA-256; it is worth nothing once the card's round is over (8.5)."""

    hash = models.CharField(primary_key=True, max_length=64)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="tokens")
    round = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    action = models.CharField(max_length=16)
    created_at = models.DateTimeField(auto_now_add=True)


class CommandToken(models.Model):
    """The value of a button on a message about an application: retry, roll back, silence; stored as SHA-256 (8.5.8)."""

    hash = models.CharField(primary_key=True, max_length=64)
    application = models.ForeignKey("hub.Application", on_delete=models.CASCADE, related_name="+")
    action = models.CharField(max_length=16)
    # The number of the operation whose state a rollback goes back to, as its button said.
    target = models.PositiveBigIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(db_index=True)


class ChatIdentity(models.Model):
    """Somebody in a chat is this hub user, said by that user's own sign-in (issuer `slack:<team>`, sub user id)."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_identities"
    )
    issuer = models.CharField(max_length=80)
    sub = models.CharField(max_length=80)
    linked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["issuer", "sub"]
        verbose_name_plural = "chat identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "sub"], name="one_user_per_chat_identity")]

    def __str__(self) -> str:
        return f"{self.issuer}/{self.sub}"


class LinkCode(models.Model):
    """A one-time link that was shown privately to one chat account; stored hashed, worth 10 minutes."""

    hash = models.CharField(primary_key=True, max_length=64)
    issuer = models.CharField(max_length=80)
    sub = models.CharField(max_length=80)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)
