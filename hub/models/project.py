"""Projects: who may deploy what where."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Project(models.Model):
    """A fence around Applications. `rules` is the document judged by hub.core.policy (access-and-api.md 1.1)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=253, unique=True)
    description = models.CharField(max_length=255, blank=True, default="")
    labels = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True)
    rules = models.JSONField(default=dict, blank=True)
    archived = models.BooleanField(default=False)
    generation = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ProjectMember(models.Model):
    """A user or a local group that is owner or reader of a Project; RBAC lines will widen this."""

    class Role(models.TextChoices):
        OWNER = "owner"
        READER = "reader"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    role = models.CharField(max_length=16, choices=Role)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True)
    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="member_is_user_or_group",
                condition=models.Q(user__isnull=False, group__isnull=True)
                | models.Q(user__isnull=True, group__isnull=False),
            ),
            models.UniqueConstraint(fields=["project", "user"], name="one_role_per_user"),
            models.UniqueConstraint(fields=["project", "group"], name="one_role_per_group"),
        ]

    def __str__(self) -> str:
        return f"{self.user or self.group} is {self.role} of {self.project}"
