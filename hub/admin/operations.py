"""Operations: what runs, what waits and why. Read-only; a running one can be terminated."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

import hub.admin.base as base
from hub.admin.site import site
from hub.errors import HubError
from hub.models import SyncOperation, User
from hub.models.operation import UNFINISHED
from hub.services import operations, rights
from hub.tasks import nudges

ALSO = "DELETE /api/v1/applications/NAME/operation, or: hub app terminate NAME"


@admin.register(SyncOperation, site=site)
class OperationAdmin(base.HubAdmin):
    list_display = ("number", "application", "kind", "phase", "message", "created_at", "finished_at")
    list_select_related = ("application",)
    list_filter = (
        base.choices("phase", "phase", SyncOperation.Phase.values, "phase"),
        base.choices("kind", "kind", SyncOperation.Kind.values, "kind"),
    )
    search_fields = ("^application__name",)
    ordering = ("-created_at",)
    actions = ("terminate",)
    fields = (
        "application",
        "number",
        "kind",
        "phase",
        "initiator",
        "request",
        "revisions",
        "message",
        "wait",
        "results",
        "attempt",
        "created_at",
        "started_at",
        "finished_at",
    )
    readonly_fields = fields

    def visible(self, user: User) -> QuerySet[SyncOperation]:
        rows = rights.visible_operations(user).select_related("application__project")
        return rows.defer("plan", "progress", "application__memory", "application__stages")

    @admin.action(description="Terminate")
    def terminate(self, request: HttpRequest, rows: QuerySet[SyncOperation]) -> HttpResponse | None:
        def do(operation: SyncOperation) -> None:
            app = operation.application
            rights.demand(base.person(request), "sync", app.project, f"application {app.name}")
            if operation.phase not in UNFINISHED:
                raise HubError(
                    "no_operation", f"operation {operation.number} of {app.name} has ended", status=409
                )
            operations.terminate(base.actor(request), app)
            nudges.look([app.id])

        return base.carry_out(self, request, rows, "Terminate operations", "terminate", do, ALSO)
