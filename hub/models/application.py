"""Applications and what is known of them: sources, rendered manifests, resources."""

from __future__ import annotations

import uuid

from django.db import models


class Application(models.Model):
    """Sources + destination + policy inside one Project (sync-semantics.md 1).

    The row is the queue: `next_look_at` says when somebody must look again, the lease columns who looks now; every
    write of a pass names `fence` (house.md 4.2). `look_level` is the level of comparison asked for (7.1).
    """

    class OnDelete(models.TextChoices):
        CASCADE = "cascade"
        DETACH = "detach"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=253, unique=True)
    project = models.ForeignKey("hub.Project", on_delete=models.PROTECT, related_name="applications")
    labels = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True)

    # [{repo_url, path, target_revision, ref?, directory: {recurse, include, exclude}}], at least one.
    sources = models.JSONField(default=list)
    cluster = models.ForeignKey("clusters.Cluster", on_delete=models.PROTECT, related_name="applications")
    destination_namespace = models.CharField(max_length=63, blank=True, default="")
    # {automated: {enabled, prune, self_heal, allow_empty} | null, sync_options: [], retry: {}, ...}
    sync_policy = models.JSONField(default=dict, blank=True)
    ignore_differences = models.JSONField(default=list, blank=True)
    on_delete = models.CharField(max_length=8, choices=OnDelete, default=OnDelete.DETACH)
    generation = models.PositiveIntegerField(default=1)

    sync_status = models.CharField(max_length=16, default="Unknown")
    health_status = models.CharField(max_length=16, default="Unknown")
    health_message = models.CharField(max_length=500, blank=True, default="")
    # [{type, code, message, since}]
    conditions = models.JSONField(default=list, blank=True)
    # The commits that the desired set was rendered from, one per source.
    revisions = models.JSONField(default=list, blank=True)
    synced_revisions = models.JSONField(default=list, blank=True)
    manifest_digest = models.CharField(max_length=64, blank=True, default="")
    # The manifest set of the last successful full sync: what self-heal restores.
    synced_digest = models.CharField(max_length=64, blank=True, default="")
    hooks_digest = models.CharField(max_length=64, blank=True, default="")
    counts = models.JSONField(default=dict, blank=True)
    # [[group, kind, namespace, name]] of its namespace that nobody owns; written by hub.services.orphans alone.
    orphans = models.JSONField(default=list, blank=True, db_default=[])
    # What keeps an automated sync from starting now: {gate, reason} or empty.
    gate = models.JSONField(default=dict, blank=True)
    # Held at an older Revision: {id, operation, revisions, digest, excluded, by, reason, until, at} or empty.
    pin = models.JSONField(default=dict, blank=True)
    # Self-heal counters, episodes, attempted targets: state of hub.core decisions, opaque to everybody else.
    memory = models.JSONField(default=dict, blank=True)
    operation_phase = models.CharField(max_length=16, blank=True, default="")
    observed_generation = models.PositiveIntegerField(default=0)
    status_at = models.DateTimeField(null=True, blank=True)
    stages = models.JSONField(default=dict, blank=True)
    event_seq = models.PositiveBigIntegerField(default=0)
    operation_seq = models.PositiveBigIntegerField(default=0)

    next_look_at = models.DateTimeField(null=True, blank=True)
    look_level = models.PositiveSmallIntegerField(default=0)
    look_count = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=128, blank=True, default="")
    fence = models.PositiveBigIntegerField(default=0)
    lost_passes = models.PositiveSmallIntegerField(default=0)
    deletion_requested_at = models.DateTimeField(null=True, blank=True)
    # Who asked for the deletion, as an operation's initiator.
    deletion_requested_by = models.JSONField(default=dict, blank=True, db_default={})
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["next_look_at"], name="application_due"),
            models.Index(fields=["project", "name"], name="application_project"),
            models.Index(fields=["sync_status", "name"], name="application_sync"),
            models.Index(fields=["health_status", "name"], name="application_health"),
            models.Index(fields=["cluster", "name"], name="application_cluster"),
        ]

    def __str__(self) -> str:
        return self.name


class SourceState(models.Model):
    """What the hub knows of one source of one Application: which commit, which inputs, which manifests."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="source_states")
    index = models.PositiveSmallIntegerField(default=0)
    repository = models.ForeignKey(
        "hub.Repository", on_delete=models.SET_NULL, null=True, blank=True, related_name="source_states"
    )
    target_revision = models.CharField(max_length=255, blank=True, default="")
    # The newest commit the target resolves to, and the one the manifests below were rendered from.
    wanted = models.CharField(max_length=64, blank=True, default="")
    revision = models.CharField(max_length=64, blank=True, default="")
    ref_name = models.CharField(max_length=255, blank=True, default="")
    # SHA-256 of the source entry that was rendered: another path or tool setting renders anew.
    parameters = models.CharField(max_length=64, blank=True, default="")
    # Sorted (path, object id or "absent") of everything the render read (sources.md 3).
    inputs = models.JSONField(default=list, blank=True)
    input_key = models.CharField(max_length=64, blank=True, default="")
    manifest_digest = models.CharField(max_length=64, blank=True, default="")
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.CharField(max_length=500, blank=True, default="")
    error_since = models.DateTimeField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "index"], name="one_state_per_source")]
        indexes = [models.Index(fields=["repository", "revision"], name="source_by_repository")]


class ManifestSet(models.Model):
    """Rendered manifests by digest: zlib over canonical JSON, encrypted when a Secret is inside (sources.md 6)."""

    digest = models.CharField(primary_key=True, max_length=64)
    data = models.BinaryField()
    encrypted = models.BooleanField(default=False)
    objects_count = models.PositiveIntegerField(default=0)
    warnings = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True, db_index=True)


class ResourceStatus(models.Model):
    """One object that an Application wants or holds: status, health, and the Baseline for drift (6.3)."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="resources")
    group = models.CharField(max_length=253, blank=True, default="")
    version = models.CharField(max_length=63, blank=True, default="")
    kind = models.CharField(max_length=63)
    namespace = models.CharField(max_length=63, blank=True, default="")
    name = models.CharField(max_length=253)
    status = models.CharField(max_length=16, blank=True, default="")
    reason = models.CharField(max_length=32, blank=True, default="")
    message = models.CharField(max_length=500, blank=True, default="")
    health = models.CharField(max_length=16, blank=True, default="")
    health_message = models.CharField(max_length=500, blank=True, default="")
    is_hook = models.BooleanField(default=False)
    # Taken over from nobody: its prune always waits for a person (sync-semantics.md 4.3).
    adopted = models.BooleanField(default=False)
    wave = models.IntegerField(default=0)
    desired_hash = models.CharField(max_length=64, blank=True, default="")
    baseline = models.BinaryField(null=True, blank=True)
    uid = models.CharField(max_length=64, blank=True, default="")
    resource_version = models.CharField(max_length=64, blank=True, default="")
    # Health and drift details that people ask for: [{path, desired, live, manager, at}] masked.
    drift = models.JSONField(default=list, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application", "group", "kind", "namespace", "name"], name="one_row_per_resource"
            )
        ]
        indexes = [
            models.Index(fields=["kind", "namespace", "name"], name="resource_lookup"),
            models.Index(fields=["application"], name="resource_shared", condition=models.Q(reason="shared")),
        ]
