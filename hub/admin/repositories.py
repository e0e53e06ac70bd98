"""Repositories: where manifests come from. Credentials go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

import hub.admin.base as base
from hub.admin.site import site
from hub.core.sources import shown
from hub.models import Repository, User
from hub.services import repositories, rights
from hub.services.actors import Actor
from hub.tasks import nudges

ALSO = "POST /api/v1/repositories/ID/probe, or: hub repo probe URL"


class RepositoryForm(base.DocumentForm):
    url = forms.CharField()
    project = base.line(help_text="empty: for every project")
    username = base.line()
    password = base.secret()
    bearer_token = base.secret()
    ssh_private_key = base.secret(lines=True)
    known_hosts = base.area()
    ca_pem = base.area()
    client_certificate_pem = base.area()
    client_key_pem = base.secret(lines=True)
    proxy_url = base.secret()

    write_only = ("password", "bearer_token", "ssh_private_key", "client_key_pem", "proxy_url")

    class Meta:
        model = Repository
        fields: tuple[str, ...] = ()

    def read(self, row: Repository) -> dict[str, Any]:
        shared = ("username", "known_hosts", "ca_pem", "client_certificate_pem")
        return {
            "url": shown(row.url),
            "project": row.project.name if row.project else "",
            **{name: getattr(row, name) for name in shared},
        }


@admin.register(Repository, site=site)
class RepositoryAdmin(base.DocumentAdmin):
    form = RepositoryForm
    list_display = ("address", "project", "credential", "state", "error_code", "checked_at")
    list_select_related = ("project",)
    list_filter = (base.choices("state", "state", ("Unknown", "Connected", "Failed"), "state"),)
    search_fields = ("url",)
    search_help_text = "a part of the address"
    ordering = ("url",)
    actions = ("probe",)
    readonly_fields = ("credential", "state", "error_code", "error_message", "checked_at", "next_poll_at")

    def visible(self, user: User) -> QuerySet[Repository]:
        return rights.visible_repositories(user).select_related("project").defer("refs")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return base.person(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or rights.may(base.person(request), "update", obj.project)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and rights.may(base.person(request), "delete", obj.project)

    @admin.display(description="address", ordering="url")
    def address(self, row: Repository) -> str:
        return shown(row.url)

    @admin.display(description="credential")
    def credential(self, row: Repository) -> str:
        return row.credential_kind

    def create(self, who: Actor, document: dict[str, Any]) -> Repository:
        return repositories.create(who, document)

    def update(self, who: Actor, row: Repository, document: dict[str, Any]) -> Repository:
        moved = document["project"] != (row.project.name if row.project else "")
        if moved and not who.is_admin:
            raise rights.Forbidden("move", shown(row.url))
        return repositories.update(who, row, document)

    def stored(self, row: Repository) -> None:
        nudges.send("hub.poll", [str(row.id)])

    def remove(self, who: Actor, row: Repository) -> None:
        repositories.delete(who, row)

    @admin.action(description="Probe")
    def probe(self, request: HttpRequest, rows: QuerySet[Repository]) -> HttpResponse | None:
        def do(row: Repository) -> None:
            rights.demand(base.person(request), "update", row.project, shown(row.url))
            repositories.poll_now(base.actor(request), row)
            nudges.send("hub.poll", [str(row.id)])

        return base.carry_out(self, request, rows, "Probe repositories", "probe", do, ALSO)
