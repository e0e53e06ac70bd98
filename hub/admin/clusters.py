"""Clusters: state, version, shard, and credentials that are only ever written."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

import hub.admin.base as base
from clusters.models import Cluster
from hub.admin.site import site
from hub.models import User
from hub.services import clusters, credentials, rights
from hub.services.actors import Actor
from hub.tasks import nudges

ALSO = {
    "probe": "POST /api/v1/clusters/NAME/probe, or: hub cluster probe NAME",
    "pause": "POST /api/v1/clusters/NAME/pause",
    "resume": "DELETE /api/v1/clusters/NAME/pause",
}


class ClusterForm(base.DocumentForm):
    name = forms.CharField()
    kubeconfig = base.secret("paste a kubeconfig, or fill the address and one credential below", lines=True)
    context = base.line(help_text="of the kubeconfig; empty: its current-context")
    server = base.line()
    project = base.line(help_text="empty: for every project")
    token = base.secret(lines=True)
    client_certificate_pem = base.secret(lines=True)
    client_key_pem = base.secret(lines=True)
    ca_pem = base.area()
    tls_server_name = base.line()
    insecure_skip_tls_verify = forms.BooleanField(required=False)
    insecure_reason = base.line()
    namespaces = base.json(list, "empty: all")
    cluster_resources = forms.BooleanField(required=False, initial=True)
    max_in_flight = forms.IntegerField(initial=16)
    labels = base.json(dict)
    annotations = base.json(dict)

    write_only = ("kubeconfig", "context", "token", "client_certificate_pem", "client_key_pem")

    class Meta:
        model = Cluster
        fields: tuple[str, ...] = ()

    def read(self, row: Cluster) -> dict[str, Any]:
        return clusters.document(row)

    def document(self) -> dict[str, Any]:
        """Empty texts beside a kubeconfig are left to it."""
        found = super().document()
        beside = ("server", "ca_pem", "tls_server_name") if found.get("kubeconfig") else ()
        return {name: value for name, value in found.items() if name not in beside or value}


@admin.register(Cluster, site=site)
class ClusterAdmin(base.DocumentAdmin):
    form = ClusterForm
    list_display = ("name", "server", "scope", "state", "version", "shard", "credential_kind", "probed_at")
    list_filter = (base.choices("state", "state", Cluster.State.values, "state"),)
    search_fields = ("^name",)
    ordering = ("name",)
    actions = ("probe", "pause", "resume")
    readonly_fields = (
        "state",
        "state_message",
        "version",
        "uid",
        "missing_rights",
        "credential",
        "shard",
        "probed_at",
    )

    def visible(self, user: User) -> QuerySet[Cluster]:
        return rights.visible_clusters(user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return base.person(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return base.person(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and base.person(request).is_superuser

    @admin.display(description="credential")
    def credential(self, row: Cluster) -> str:
        told = credentials.described(row) if row.pk and row.name else {}
        return ", ".join(f"{name} {value}" for name, value in told.items())

    def create(self, who: Actor, document: dict[str, Any]) -> Cluster:
        return clusters.register(who, document)

    def update(self, who: Actor, row: Cluster, document: dict[str, Any]) -> Cluster:
        return clusters.update(who, row, document)

    def stored(self, row: Cluster) -> None:
        nudges.send("hub.probe", [str(row.id)])

    def remove(self, who: Actor, row: Cluster) -> None:
        clusters.delete(who, row)

    def _each(self, request: HttpRequest, rows: Any, title: str, name: str, act: Any) -> HttpResponse | None:
        def do(row: Cluster) -> None:
            if not base.person(request).is_superuser:
                raise rights.Forbidden(name, row.name)
            act(base.actor(request), row)
            nudges.send("hub.probe", [str(row.id)])

        return base.carry_out(self, request, rows, title, name, do, ALSO[name])

    @admin.action(description="Probe")
    def probe(self, request: HttpRequest, rows: QuerySet[Cluster]) -> HttpResponse | None:
        return self._each(request, rows, "Probe clusters", "probe", clusters.probe_now)

    @admin.action(description="Pause")
    def pause(self, request: HttpRequest, rows: QuerySet[Cluster]) -> HttpResponse | None:
        def act(who: Actor, row: Cluster) -> None:
            clusters.set_paused(who, row, True)

        return self._each(request, rows, "Pause clusters", "pause", act)

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Cluster]) -> HttpResponse | None:
        def act(who: Actor, row: Cluster) -> None:
            clusters.set_paused(who, row, False)

        return self._each(request, rows, "Resume clusters", "resume", act)
