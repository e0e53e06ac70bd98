"""What happened and who did it: both read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

import hub.admin.base as base
from hub.admin.site import site
from hub.models import AuditEvent, Event, User
from hub.services import audit, rights


def audited(request: HttpRequest, action: str, row: Any) -> None:
    """What people change in the pages of notifications, which know no audit. Values stay out: they may be secret."""
    project = str(getattr(row, "project", "") or getattr(row, "owner", "") or "")
    audit.record(
        base.actor(request), action, resource=row._meta.model_name, name=str(row), project=project, level=2
    )


@admin.register(Event, site=site)
class EventAdmin(base.HubAdmin):
    list_display = ("occurred_at", "severity", "name", "summary", "project")
    list_filter = (
        base.choices("severity", "severity", ("info", "success", "warning", "error", "critical"), "severity"),
    )
    search_fields = ("^name",)
    ordering = ("-id",)
    sortable_by = ()
    fields = ("key", "name", "severity", "summary", "project", "data", "occurred_at", "dispatched_at")
    readonly_fields = fields

    def visible(self, user: User) -> QuerySet[Event]:
        return rights.visible_events(user)


@admin.register(AuditEvent, site=site)
class AuditAdmin(base.HubAdmin):
    list_display = ("at", "actor_name", "via", "action", "resource", "object_name", "project", "outcome")
    list_filter = (base.choices("outcome", "outcome", ("done", "denied", "failed"), "outcome"),)
    search_fields = ("^object_name", "^actor_name")
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "at",
        "actor_kind",
        "actor_name",
        "via",
        "address",
        "request_id",
        "action",
        "resource",
        "object_name",
        "project",
        "outcome",
        "code",
        "reason",
        "before",
        "after",
        "level",
    )
    readonly_fields = fields

    def visible(self, user: User) -> QuerySet[AuditEvent]:
        if user.is_superuser:
            return AuditEvent.objects.all()
        return AuditEvent.objects.filter(project__in=rights.owned_projects(user).values("name"))
