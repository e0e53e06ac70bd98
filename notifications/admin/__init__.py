"""Pages for platform teams; whoever owns an admin site calls `register(site)`. Every write is a service.

Secrets go in and never come out; Deliveries are read-only but for Re-send and Mark sent.
"""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

import notifications.services as services
from notifications.admin.room import Area, BaseInline, Choice, Lines, RoomAdmin, Told, by
from notifications.core.digests import read_digest
from notifications.errors import NotificationError
from notifications.models import (
    Attempt,
    Delivery,
    Destination,
    EventCopy,
    Service,
    Silence,
    Subscription,
    Template,
    Trigger,
)
from notifications.services import configured, rendering, saving, silences, subscribing


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    type = forms.ChoiceField(choices=[(name, name) for name in saving.types()], widget=Choice)
    settings_text = forms.CharField(
        widget=Area,
        required=False,
        label="settings",
        help_text="YAML; ******** keeps the stored secret",
    )
    recipients = Lines(help_text="globs that annotations may name, one per line; empty: all")
    projects = Lines(help_text="globs of projects that annotations may come from; empty: all")

    class Meta:
        model = Service
        fields = ("name", "type", "project", "recipients", "projects")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.settings:
            self.initial["settings_text"] = saving.shown_settings(self.instance)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.instance.type = cleaned.get("type", self.instance.type)
        try:
            cleaned["settings"] = saving.read_settings(self.instance, cleaned.get("settings_text") or "")
        except NotificationError as error:
            self.add_error("settings_text", f"{error} {error.hint}".strip())
        return cleaned


class ServiceAdmin(RoomAdmin):
    writable = True
    form = ServiceForm
    list_display = ("name", "type", "project", "state", "state_reason")
    list_filter = ("state", "type")
    search_fields = ("name",)
    readonly_fields = ("state", "state_code", "state_reason", "state_by", "state_since")
    actions = ("enable",)

    def save_model(self, request: HttpRequest, obj: Service, form: Any, change: bool) -> None:  # noqa: ARG002
        saving.store_service(obj, form.cleaned_data["settings"])

    @admin.action(description="Enable")
    def enable(self, request: HttpRequest, rows: QuerySet[Service]) -> None:
        who = by(request)
        self.each(
            request,
            rows,
            "enable",
            lambda row: f"{row}: {len(services.enable(row, who))} held deliveries go out",
        )


class DestinationAdmin(RoomAdmin):
    writable = True
    list_display = ("__str__", "state", "state_reason", "operators", "throttled_until")
    list_filter = ("state", "operators")
    list_select_related = ("service",)
    search_fields = ("recipient",)
    readonly_fields = (
        "external_id", "state", "state_code", "state_reason", "state_by", "state_since", "throttled_until", "tested_at",
    )  # fmt: skip
    actions = ("test", "enable")

    @admin.action(description="Send a test")
    def test(self, request: HttpRequest, rows: QuerySet[Destination]) -> None:
        def one(row: Destination) -> str:
            tested = services.send_test(row.pk, by(request))
            if not tested.ok:
                raise NotificationError(tested.code, f"{tested.code}: {tested.sentence}", tested.hint)
            return f"{row}: the test was sent"

        self.each(request, rows, "test", one)

    @admin.action(description="Enable")
    def enable(self, request: HttpRequest, rows: QuerySet[Destination]) -> None:
        who = by(request)
        self.each(
            request,
            rows,
            "enable",
            lambda row: f"{row}: {len(services.enable(row, who))} held deliveries go out",
        )


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]
    destinations = Lines(required=True, help_text="service:recipient, one per line")
    triggers = Lines(help_text="names of triggers, one per line")
    events = Lines(help_text="names of events, one per line")
    projects = Lines(help_text="globs; empty: all")
    namespaces = Lines(help_text="globs; empty: all")

    class Meta:
        model = Subscription
        exclude = ("imported",)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.instance.imported is not None:
            self.add_error(None, "it is part of an imported configuration: import again")
        for name in ("app_selector", "cluster_selector"):
            try:
                configured.check_selector(cleaned.get(name) or "")
            except NotificationError as error:
                self.add_error(name, f"{error} {error.hint}".strip())
        try:
            read_digest(cleaned.get("digest"))
        except NotificationError as error:
            self.add_error("digest", f"{error} {error.hint}".strip())
        if not self.errors:
            try:
                cleaned |= subscribing.read(self.document(cleaned))
            except NotificationError as error:
                self.add_error(None, f"{error} {error.hint}".strip())
        return cleaned

    def document(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """What the service reads, which judges the REST door's documents, too."""
        until = cleaned.get("until")
        return {name: cleaned.get(name) for name in subscribing.FIELDS} | {
            "until": until.isoformat() if until else None
        }


class SubscriptionAdmin(RoomAdmin):
    writable = True
    form = SubscriptionForm
    list_display = ("name", "destinations", "triggers", "events", "enabled", "until")
    list_filter = ("enabled",)
    search_fields = ("name",)


class TextForm(forms.ModelForm):  # type: ignore[type-arg]
    """A trigger or a template: its text is parsed before it is stored."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        parse = configured.parsed_trigger if self._meta.model is Trigger else configured.parsed_template
        try:
            parse(cleaned.get("kind", ""), cleaned.get("name", ""), cleaned.get("text", ""))
        except NotificationError as error:
            self.add_error("text", f"{error} {error.hint}".strip())
        return cleaned


class TriggerAdmin(RoomAdmin):
    writable = True
    form = TextForm
    fields = ("name", "project", "kind", "enabled", "text", "errors", "last_error", "last_error_event")
    list_display = ("name", "project", "kind", "enabled", "errors", "last_error")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    readonly_fields = ("errors", "last_error", "last_error_event")

    def save_model(self, request: HttpRequest, obj: Trigger, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        services.save_trigger(obj.name, obj.text, obj.kind, obj.project)


class TemplateAdmin(RoomAdmin):
    writable = True
    form = TextForm
    fields = ("name", "project", "kind", "text", "errors", "last_error", "last_error_event")
    list_display = ("name", "project", "kind", "errors", "last_error")
    list_filter = ("kind",)
    search_fields = ("name",)
    readonly_fields = ("errors", "last_error", "last_error_event")


class AttemptInline(BaseInline):  # type: ignore[misc]
    model = Attempt
    extra = 0
    can_delete = False
    fields = readonly_fields = ("number", "step", "started_at", "ended_at", "outcome", "code", "answer")

    def has_add_permission(self, *_: Any) -> bool:
        return False


class DeliveryAdmin(RoomAdmin):
    list_display = (
        "id",
        "state",
        "kind",
        "destination",
        "event",
        "attempts",
        "error_code",
        "error",
        "created_at",
    )
    list_filter = ("state", "kind")
    list_select_related = ("destination__service", "event")
    inlines = (AttemptInline,)
    fields = readonly_fields = (
        "state", "kind", "destination", "event", "trigger", "because", "attempts", "next_at", "created_at", "sent_at",
        "error_code", "error", "error_hint", "rendered", "rendered_why", "remarks", "sent_payload", "external",
        "thread", "resend_of", "folded_into", "silence",
    )  # fmt: skip
    actions = ("resend", "mark_sent")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The list needs it for its actions; no field can be changed.
        return obj is None and self._may(request)

    @admin.display(description="payload")
    def sent_payload(self, row: Delivery) -> str:
        steps = [
            {"name": step["name"], "request": step["request"], "done": step["done"]} for step in row.steps
        ]
        return json.dumps(rendering.shown(steps), indent=2, ensure_ascii=False)

    @admin.action(description="Send again")
    def resend(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        who = by(request)
        self.each(
            request, rows, "resend", lambda row: f"{row.pk} is sent again as {services.resend(row.pk, who)}"
        )

    @admin.action(description="Mark as sent")
    def mark_sent(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        def one(row: Delivery) -> str:
            services.mark_sent(row.pk, by(request))
            return f"{row.pk} is marked as sent"

        self.each(request, rows, "mark sent", one)


class SilenceForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Silence
        fields = ("matcher", "starts_at", "ends_at", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if all(cleaned.get(name) for name in self.Meta.fields):
            try:
                silences.check(cleaned["matcher"], cleaned["starts_at"], cleaned["ends_at"])
            except NotificationError as error:
                self.add_error("matcher", f"{error} {error.hint}".strip())
        return cleaned


class SilenceAdmin(RoomAdmin):
    writable = True
    form = SilenceForm
    list_display = ("id", "matcher", "starts_at", "ends_at", "author", "reason", "closed_at")

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:
        obj.author = obj.author or by(request)[:100]
        super().save_model(request, obj, form, change)


class EventAdmin(RoomAdmin):
    list_display = ("occurred_at", "name", "severity", "project", "summary")
    list_filter = ("name", "severity")
    search_fields = ("summary",)
    fields = readonly_fields = (
        "key",
        "name",
        "severity",
        "summary",
        "project",
        "occurred_at",
        "problems",
        "mapping",
        "told",
    )

    @admin.display(description="mapping")
    def mapping(self, row: EventCopy) -> str:
        return json.dumps({**row.data, "buttons": None}, indent=2, ensure_ascii=False)

    @admin.display(description="who was told")
    def told(self, row: EventCopy) -> str:
        return "\n".join(services.explain(row.key))


PAGES: tuple[tuple[type[Any], type[RoomAdmin]], ...] = (
    (Service, ServiceAdmin),
    (Destination, DestinationAdmin),
    (Subscription, SubscriptionAdmin),
    (Trigger, TriggerAdmin),
    (Template, TemplateAdmin),
    (Delivery, DeliveryAdmin),
    (Silence, SilenceAdmin),
    (EventCopy, EventAdmin),
)


def register(site: admin.AdminSite, tell: Told = RoomAdmin.tell) -> None:
    """All pages of this room on that site; `tell` hears of every change, in its transaction."""
    for model, page in PAGES:
        site.register(model, page, tell=staticmethod(tell))
