"""What every page of this room shares: who may, actions on rows, what is told of changes, fields and widgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from notifications.errors import NotificationError

try:
    from unfold.admin import ModelAdmin as BaseAdmin
    from unfold.admin import TabularInline as BaseInline
    from unfold.widgets import UnfoldAdminSelectWidget as Choice
    from unfold.widgets import UnfoldAdminTextareaWidget as Area
except ImportError:
    BaseAdmin, BaseInline = admin.ModelAdmin, admin.TabularInline
    Choice, Area = forms.Select, forms.Textarea
__all__ = ["Area", "BaseInline", "Choice", "Lines", "RoomAdmin", "Told", "by"]
MOST = 200
# (request, what was done, the row): whoever owns the site writes the audit.
Told = Callable[[HttpRequest, str, Any], None]


def by(request: HttpRequest) -> str:
    return str(request.user.get_username())


class RoomAdmin(BaseAdmin):  # type: ignore[misc]
    """For superusers only; `writable` pages can be changed, the others are looked at."""

    writable = False
    list_per_page = 50
    show_full_result_count = False
    tell: Told = staticmethod(lambda *_: None)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.tell(request, "create", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.tell(request, "update", obj)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self.tell(request, "delete", obj)
        return super().log_deletions(request, queryset)

    def get_actions(self, request: HttpRequest) -> Any:
        """Rows go one by one, each after its confirmation; nothing is deleted in bulk."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def _may(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return self._may(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.writable and self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return self.writable and self._may(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return self.writable and self._may(request)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:  # noqa: ARG002
        return lookup.partition("__")[0] in self.list_filter and "__" not in lookup.removesuffix("__exact")

    def each(self, request: HttpRequest, rows: QuerySet[Any], verb: str, do: Callable[[Any], str]) -> None:
        """An action on every chosen row; each refusal is its own message."""

        def act(row: Any) -> str:
            said = do(row)
            self.tell(request, verb, row)
            return said

        # A test talks to the channel: no transaction stays open meanwhile.
        run = act if verb == "test" else transaction.atomic(act)
        for row in rows[:MOST]:
            try:
                self.message_user(request, run(row))
            except NotificationError as error:
                self.message_user(request, f"{row}: {error} {error.hint}".strip(), messages.ERROR)


class Lines(forms.CharField):
    """A JSON list of texts, one per line."""

    widget = Area

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=kwargs.pop("required", False), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(one) for one in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]
