"""SyncOperations: accepted requests, their plan, their progress, their results."""

from __future__ import annotations

import uuid

from django.db import models

UNFINISHED = ("Queued", "Running", "Terminating")


class SyncOperation(models.Model):
    """One accepted request (sync-semantics.md 1). Plan and progress live here, so any worker can carry on."""

    class Kind(models.TextChoices):
        SYNC = "sync"
        SELF_HEAL = "self-heal"
        ROLLBACK = "rollback"
        PRUNE = "prune"
        TAKEOVER = "takeover"
        DELETE = "delete"

    class Phase(models.TextChoices):
        QUEUED = "Queued"
        RUNNING = "Running"
        TERMINATING = "Terminating"
        SUCCEEDED = "Succeeded"
        FAILED = "Failed"
        ERROR = "Error"
        SUPERSEDED = "Superseded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveBigIntegerField()
    application = models.ForeignKey("hub.Application", on_delete=models.CASCADE, related_name="operations")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SYNC)
    phase = models.CharField(max_length=12, choices=Phase, default=Phase.QUEUED, db_index=True)
    # {kind: user|robot|automation, name, via}
    initiator = models.JSONField(default=dict)
    # What was asked: {dry_run, prune, resources, labels, force, apply_all, skip_hooks, retry, reason, ...}
    request = models.JSONField(default=dict, blank=True)
    revisions = models.JSONField(default=list, blank=True)
    manifest_digest = models.CharField(max_length=64, blank=True, default="")
    plan = models.BinaryField(null=True, blank=True)
    plan_digest = models.CharField(max_length=64, blank=True, default="")
    progress = models.BinaryField(null=True, blank=True)
    # One Result per task, for people: [{group, kind, namespace, name, phase, wave, code, state, message}]
    results = models.JSONField(default=list, blank=True)
    message = models.CharField(max_length=1000, blank=True, default="")
    wait = models.JSONField(default=dict, blank=True)
    attempt = models.PositiveIntegerField(default=1)
    retry_at = models.DateTimeField(null=True, blank=True)
    terminate_requested = models.BooleanField(default=False)
    confirmed = models.JSONField(default=list, blank=True)
    superseded_by = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["application", "number"], name="operation_number"),
            models.UniqueConstraint(
                fields=["application"],
                condition=models.Q(phase__in=["Running", "Terminating"]),
                name="one_running_operation",
            ),
            models.UniqueConstraint(
                fields=["application"], condition=models.Q(phase="Queued"), name="one_queued_operation"
            ),
        ]
        indexes = [models.Index(fields=["application", "-created_at"], name="operation_history")]

    def __str__(self) -> str:
        # Read by people, and never a reason for one more statement.
        known = "application" in self._state.fields_cache
        return f"{self.kind} {self.number} of {self.application.name if known else self.application_id}"
