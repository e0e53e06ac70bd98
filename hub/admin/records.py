"""What happened and who did it: both read-only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet

import hub.admin.base as base
from hub.admin.site import site
from hub.models import AuditEvent, Event, User
from hub.services import rights


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
