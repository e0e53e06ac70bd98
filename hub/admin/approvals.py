"""Approvals: policies for the platform team, requests with their plan and votes, linked chat accounts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

import hub.admin.base as base
from hub.admin.site import site
from hub.models import ApprovalPolicy, ApprovalRequest, ChatIdentity, User
from hub.services import approvals, chat
from hub.services.actors import Actor
from hub.tasks import nudges


class PolicyForm(base.DocumentForm):
    name = forms.CharField()
    description = base.line()
    enabled = forms.BooleanField(required=False, initial=True)
    scope = base.json(
        dict,
        '{"projects": ["shop"], "applications": ["*-prod"], "kinds": ["sync", "prune"], '
        '"when": "plan.prune_count > 0"}; what is left out selects everything',
    )
    require = base.json(
        list, '[{"from": ["group:local:platform-leads"], "count": 2}]: each line is its own quorum'
    )
    no_self = forms.BooleanField(required=False, initial=True, help_text="who asked may not approve")
    no_authors = forms.BooleanField(
        required=False, initial=True, help_text="who wrote a change may not approve it"
    )
    step_up = forms.BooleanField(required=False, help_text="votes are made in the hub, not in a chat")
    ttl = base.line(help_text="how long a request waits: 24h, at most 168h")
    use_within = base.line(help_text="how long an approval may be used: 1h")
    break_glass = base.json(list, 'who may execute without votes: ["user:alice"]')
    break_glass_windows = forms.BooleanField(
        required=False, help_text="a broken glass also opens closed windows"
    )
    destinations = base.json(list, 'where the card goes: ["slack:#deploys"]')

    class Meta:
        model = ApprovalPolicy
        fields: tuple[str, ...] = ()

    def read(self, row: ApprovalPolicy) -> dict[str, Any]:
        return approvals.policy_document(row)

    def document(self) -> dict[str, Any]:
        """Empty texts and lists say nothing: the usual holds."""
        return {name: value for name, value in super().document().items() if value not in ("", [], {})}


@admin.register(ApprovalPolicy, site=site)
class PolicyAdmin(base.DocumentAdmin):
    form = PolicyForm
    list_display = ("name", "enabled", "updated_at")
    search_fields = ("^name",)
    ordering = ("name",)

    def visible(self, user: User) -> QuerySet[ApprovalPolicy]:
        return ApprovalPolicy.objects.all() if user.is_superuser else ApprovalPolicy.objects.none()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return base.person(request).is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:
        return base.person(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return base.person(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and base.person(request).is_superuser

    def create(self, who: Actor, document: dict[str, Any]) -> ApprovalPolicy:
        return approvals.create_policy(who, document)

    def update(self, who: Actor, row: ApprovalPolicy, document: dict[str, Any]) -> ApprovalPolicy:
        return approvals.update_policy(who, row, document)

    def remove(self, who: Actor, row: ApprovalPolicy) -> None:
        approvals.delete_policy(who, row)


@admin.register(ApprovalRequest, site=site)
class RequestAdmin(base.HubAdmin):
    """Decisions are made beside the plan, on the page of one request: there is no approving from a list."""

    list_display = ("number", "kind", "app_name", "project", "state", "created_at", "expires_at", "outcome")
    list_filter = (
        base.choices("state", "state", ApprovalRequest.State.values, "state"),
        base.choices("kind", "kind", ("sync", "prune", "rollback", "takeover", "delete"), "kind"),
    )
    search_fields = ("^app_name",)
    ordering = ("-number",)
    sortable_by = ()
    actions = ("cancel",)

    def visible(self, user: User) -> QuerySet[ApprovalRequest]:
        return approvals.visible(user)

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, *_: Any, **__: Any
    ) -> HttpResponse:
        row = self.get_object(request, str(object_id)) if object_id is not None else None
        if row is None:
            raise Http404
        shown = approvals.shown(row)
        context = self.admin_site.each_context(request) | {
            "title": shown.card.title,
            "shown": shown,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/hub/approval.html", context)

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, rows: QuerySet[ApprovalRequest]) -> HttpResponse | None:
        def do(row: ApprovalRequest) -> None:
            done = approvals.cancel(base.actor(request), base.person(request), row.number)
            if done.request.application is not None:
                nudges.look([done.request.application.id])

        return base.carry_out(self, request, rows, "Cancel approval requests", "cancel", do)


@admin.register(ChatIdentity, site=site)
class ChatIdentityAdmin(base.HubAdmin):
    """Who is who in the chat; the platform team can take a link away."""

    list_display = ("user", "issuer", "sub", "linked_at")
    list_select_related = ("user",)
    search_fields = ("^user__username", "^sub")
    ordering = ("user__username",)
    sortable_by = ()
    actions = ("unlink",)
    fields = ("user", "issuer", "sub", "linked_at")
    readonly_fields = fields

    def visible(self, user: User) -> QuerySet[ChatIdentity]:
        return ChatIdentity.objects.select_related("user") if user.is_superuser else chat.identities(user)

    @admin.action(description="Unlink")
    def unlink(self, request: HttpRequest, rows: QuerySet[ChatIdentity]) -> HttpResponse | None:
        def do(identity: ChatIdentity) -> None:
            chat.unlink(base.actor(request), identity)

        return base.carry_out(self, request, rows, "Unlink chat accounts", "unlink", do)
