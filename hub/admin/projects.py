"""Projects: rules, members, and who is in them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

import hub.admin.base as base
from hub.admin.site import site
from hub.models import Project, User
from hub.services import projects, rights
from hub.services.actors import Actor


class ProjectForm(base.DocumentForm):
    name = forms.CharField()
    description = base.line()
    rules = base.json(
        dict,
        'what may be deployed where; empty denies everything: {"sources": {"allow": ["https://git.example.com/**"]}, '
        '"destinations": {"allow": [{"name": "*", "namespace": "shop-*"}]}}; more in docs/production.md',
    )
    members = base.json(list, '[{"user": "alice", "role": "owner"}, {"group": "team", "role": "reader"}]')
    labels = base.json(dict)
    annotations = base.json(dict)

    class Meta:
        model = Project
        fields: tuple[str, ...] = ()

    def read(self, row: Project) -> dict[str, Any]:
        return projects.document(row)


@admin.register(Project, site=site)
class ProjectAdmin(base.DocumentAdmin):
    form = ProjectForm
    list_display = ("name", "description", "archived")
    search_fields = ("^name",)
    ordering = ("name",)

    def visible(self, user: User) -> QuerySet[Project]:
        return rights.visible_projects(user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return base.person(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return base.person(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and base.person(request).is_superuser

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Who may look and not write sees the words, not the rules of others' making."""
        return () if self._writable(request, obj) else ("name", "description", "labels", "rules")

    def create(self, who: Actor, document: dict[str, Any]) -> Project:
        return projects.create(who, document)

    def update(self, who: Actor, row: Project, document: dict[str, Any]) -> Project:
        return projects.update(who, row, document)

    def remove(self, who: Actor, row: Project) -> None:
        projects.delete(who, row)
