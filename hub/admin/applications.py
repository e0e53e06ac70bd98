"""Applications: what they want, what is known of them, and the buttons of everyday."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

import hub.admin.base as base
from hub.admin.site import site
from hub.models import Application, SyncOperation, User
from hub.services import applications, operations, rights
from hub.services.actors import Actor
from hub.tasks import nudges

SYNC = ("Synced", "OutOfSync", "Unknown")
HEALTH = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")


SHOWN = 100
CELL = '<td style="padding-right: 1.5em">{}</td>'
LINK = '<a href="{}" style="text-decoration: underline">{}</a>'
CALL = "POST /api/v1/applications/NAME"


class ApplicationForm(base.DocumentForm):
    name = forms.CharField()
    project = forms.CharField()
    cluster = forms.CharField(help_text="name of a registered cluster")
    namespace = base.line()
    sources = base.json(list, '[{"repo_url": "...", "path": "...", "target_revision": "main"}]')
    sync_policy = base.json(dict, '{"automated": {"prune": true, "self_heal": true}}')
    ignore_differences = base.json(list)
    labels = base.json(dict)
    annotations = base.json(dict)
    on_delete = forms.ChoiceField(choices=Application.OnDelete.choices, initial=Application.OnDelete.DETACH)

    class Meta:
        model = Application
        fields: tuple[str, ...] = ()

    def read(self, row: Application) -> dict[str, Any]:
        document = applications.document(row)
        return {**document, **document["destination"]}

    def document(self) -> dict[str, Any]:
        found = super().document()
        found["destination"] = {"cluster": found.pop("cluster"), "namespace": found.pop("namespace")}
        return found


@admin.register(Application, site=site)
class ApplicationAdmin(base.DocumentAdmin):
    form = ApplicationForm
    list_display = (
        "name",
        "project",
        "cluster",
        "sync_status",
        "health_status",
        "operation_phase",
        "revision",
    )
    list_select_related = ("project", "cluster")
    list_filter = (
        base.choices("sync", "sync", SYNC, "sync_status"),
        base.choices("health", "health", HEALTH, "health_status"),
        base.choices("phase", "phase", SyncOperation.Phase.values, "operation_phase"),
        base.related("project", "project", rights.visible_projects, "project__name"),
        base.related("cluster", "cluster", rights.visible_clusters, "cluster__name"),
    )
    search_fields = ("^name",)
    ordering = ("name",)
    sortable_by = ("name", "sync_status", "health_status")
    actions = ("sync", "refresh")
    readonly_fields = (
        "state",
        "operation",
        "waits",
        "conditions_shown",
        "revisions",
        "resources_shown",
        "api_call",
    )

    def visible(self, user: User) -> QuerySet[Application]:
        rows = rights.visible_applications(user).select_related("project", "cluster")
        return rows.defer("memory", "stages")

    def has_add_permission(self, request: HttpRequest) -> bool:
        user = base.person(request)
        return user.is_superuser or rights.owned_projects(user).exists()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or rights.may(base.person(request), "update", obj.project)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and rights.may(base.person(request), "delete", obj.project)

    @admin.display(description="revision")
    def revision(self, row: Application) -> str:
        return str((row.revisions or [""])[0])[:8]

    @admin.display(description="state")
    def state(self, row: Application) -> str:
        health = f"{row.health_status} ({row.health_message})" if row.health_message else row.health_status
        leaving = ", is being deleted" if row.deletion_requested_at else ""
        return f"{row.sync_status}, {health}{leaving}"

    @admin.display(description="last operation")
    def operation(self, row: Application) -> str:
        """What it did or waits for, and the way to all of them."""
        last = row.operations.defer("plan", "progress").order_by("-number").first() if row.name else None
        if last is None:
            return "none yet"
        last.application = row
        why = last.wait.get("reason") or last.message
        return format_html(
            "{}: {}{} ({})",
            format_html(LINK, reverse("admin:hub_syncoperation_change", args=[last.pk]), last),
            last.phase,
            f", {why}" if why else "",
            format_html(LINK, f"{reverse('admin:hub_syncoperation_changelist')}?q={row.name}", "all"),
        )

    @admin.display(description="why nothing starts by itself")
    def waits(self, row: Application) -> str:
        pin = f"pinned by {row.pin.get('by')} until {row.pin.get('until')}; " if row.pin else ""
        return pin + str(row.gate.get("reason") or "")

    @admin.display(description="resources")
    def resources_shown(self, row: Application) -> str:
        """The first of them, with what differs by path; everything is behind the links."""
        found = list(row.resources.defer("baseline").order_by("kind", "namespace", "name")[: SHOWN + 1])
        lines = [
            (
                each.status or "hook",
                each.health or "-",
                f"{each.kind} {each.namespace}/{each.name}".replace(" /", " "),
                each.health_message or each.message or each.reason,
                ", ".join(str(entry.get("path", "")) for entry in each.drift[:5]),
            )
            for each in found[:SHOWN]
        ]
        table = format_html_join("", f"<tr>{CELL * 5}</tr>", lines)
        api = f"/api/v1/applications/{row.name}"
        return format_html(
            "<table>{}</table>{}<p>{}</p>",
            table,
            f"and more than {SHOWN}" if len(found) > SHOWN else "",
            format_html_join(
                ", ", LINK, ((f"{api}/{word}", word) for word in ("resources", "diff", "events", "windows"))
            ),
        )

    @admin.display(description="conditions")
    def conditions_shown(self, row: Application) -> str:
        lines = [(item.get("type", ""), item.get("message", "")) for item in row.conditions]
        return format_html_join("\n", "<div>{}: {}</div>", lines)

    @admin.display(description="API")
    def api_call(self, row: Application) -> str:
        return f"POST /api/v1/applications/{row.name}/sync, or: hub app sync {row.name}"

    def create(self, who: Actor, document: dict[str, Any]) -> Application:
        self._demand(who, document)
        return applications.create(who, document)

    def update(self, who: Actor, row: Application, document: dict[str, Any]) -> Application:
        if document["project"] != row.project.name:
            self._demand(who, document)
        return applications.update(who, row, document)

    def _demand(self, who: Actor, document: dict[str, Any]) -> None:
        """The right to create in the Project that the form names."""
        user = User.objects.get(id=who.id)
        project = rights.visible_projects(user).filter(name=document["project"]).first()
        rights.demand(user, "create", project, f"applications in project {document['project']}")

    def stored(self, row: Application) -> None:
        nudges.look([row.id])

    def consequence(self, row: Application) -> str:
        objects = f"its {row.resources.count()} objects in cluster {row.cluster.name}"
        if row.on_delete == Application.OnDelete.CASCADE:
            return f"{objects} are deleted first (on delete: cascade)"
        return f"{objects} stay as they are (on delete: detach)"

    def remove(self, who: Actor, row: Application) -> None:
        applications.request_deletion(who, row)
        nudges.look([row.id])

    @admin.action(description="Sync")
    def sync(self, request: HttpRequest, rows: QuerySet[Application]) -> HttpResponse | None:
        def do(app: Application) -> None:
            rights.demand(base.person(request), "sync", app.project, f"application {app.name}")
            operations.request(base.actor(request), app, {})
            nudges.look([app.id])

        return base.carry_out(
            self, request, rows, "Sync applications", "sync", do, f"{CALL}/sync, or: hub app sync NAME"
        )

    @admin.action(description="Refresh")
    def refresh(self, request: HttpRequest, rows: QuerySet[Application]) -> HttpResponse | None:
        def do(app: Application) -> None:
            applications.refresh(base.actor(request), app)
            for repository in app.source_states.filter(repository__isnull=False).values_list(
                "repository", flat=True
            ):
                nudges.send("hub.poll", [str(repository)])
            nudges.look([app.id])

        return base.carry_out(
            self,
            request,
            rows,
            "Refresh applications",
            "refresh",
            do,
            f"{CALL}/refresh, or: hub app refresh NAME",
        )
