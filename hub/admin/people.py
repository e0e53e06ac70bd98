"""People: local accounts, for the platform team. Passwords go in; a random one is shown once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

import hub.admin.base as base
from hub.admin.site import site
from hub.models import User
from hub.services import accounts
from hub.services.actors import Actor


class UserForm(base.DocumentForm):
    username = forms.CharField()
    email = base.line()
    password = base.secret("empty: keep it; for a new user: a random one, shown once")
    is_admin = forms.BooleanField(required=False, help_text="platform administrator")
    is_staff = forms.BooleanField(required=False, help_text="may open this site")
    active = forms.BooleanField(required=False, initial=True)
    groups = base.json(list, '["team-shop"]')

    write_only = ("password",)

    class Meta:
        model = User
        fields: tuple[str, ...] = ()

    def read(self, row: User) -> dict[str, Any]:
        return accounts.document(row)


@admin.register(User, site=site)
class UserAdmin(base.DocumentAdmin):
    form = UserForm
    list_display = ("username", "email", "is_superuser", "is_staff", "is_active", "last_login")
    search_fields = ("^username",)
    ordering = ("username",)
    readonly_fields = ("last_login", "date_joined")

    def visible(self, user: User) -> QuerySet[User]:
        return User.objects.all() if user.is_superuser else User.objects.none()

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

    def create(self, who: Actor, document: dict[str, Any]) -> User:
        user, password = accounts.create(who, document)
        user.shown_once = "" if document.get("password") else password  # type: ignore[attr-defined]
        return user

    def update(self, who: Actor, row: User, document: dict[str, Any]) -> User:
        return accounts.update(who, row, document)

    def remove(self, who: Actor, row: User) -> None:
        accounts.delete(who, row)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if value := obj.__dict__.pop("shown_once", ""):
            self.message_user(
                request, f"The password of {obj.username}, shown once: {value}", messages.WARNING
            )
