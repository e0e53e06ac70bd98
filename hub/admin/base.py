"""What every admin page shares: rights, services behind every write, cheap pages, confirmation of actions.

Forms carry a *document*; it is judged by a dry run of the service, so that its errors stand beside the fields, and
stored by the same service the REST door calls. Model permissions of Django are not used (access-and-api.md AC8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog
from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property

from clusters.errors import ClusterError
from hub.errors import HubError
from hub.models import User
from hub.services.actors import Actor
from hub.services.guessing import address_of

if apps.is_installed("unfold"):
    from unfold import widgets
    from unfold.admin import ModelAdmin as BaseAdmin

    STYLED: dict[type[forms.Widget], type[forms.Widget]] = {
        forms.TextInput: widgets.UnfoldAdminTextInputWidget,
        forms.PasswordInput: widgets.UnfoldAdminPasswordWidget,
        forms.Textarea: widgets.UnfoldAdminTextareaWidget,
        forms.NumberInput: widgets.UnfoldAdminIntegerFieldWidget,
        forms.CheckboxInput: widgets.UnfoldBooleanSwitchWidget,
        forms.Select: widgets.UnfoldAdminSelectWidget,
    }
else:
    BaseAdmin = admin.ModelAdmin
    STYLED = {}

COUNTED, AT_ONCE = 10_000, 500
Refused = (HubError, ClusterError)


def actor(request: HttpRequest) -> Actor:
    """Who asks, for services and the audit."""
    user = person(request)
    return Actor(
        kind="user",
        id=str(user.pk),
        name=user.username,
        via="admin",
        address=address_of(request),
        request_id=str(structlog.contextvars.get_contextvars().get("request_id") or ""),
        is_admin=user.is_superuser,
    )


def person(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User)
    return user


class CheapPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than anybody turns pages (AD2)."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:COUNTED].count())


class HubAdmin(BaseAdmin):  # type: ignore[misc]
    """Read-only unless a subclass says otherwise; rows are those the person may see, others are 404 (AD3)."""

    paginator = CheapPaginator
    show_full_result_count = False
    # The theme renders a row in about 2 ms: half a page is half of the wait (AD2).
    list_per_page = 25
    list_max_show_all = 0
    list_filter_submit = False
    search_help_text = "the beginning of a name"
    actions_on_bottom = False

    def visible(self, user: User) -> QuerySet[Any]:
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.visible(person(request))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:  # noqa: ARG002
        """No parameter of an address becomes a field lookup; filters are named classes (F10)."""
        return lookup in {found.parameter_name for found in self.list_filter}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "is_staff", False))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return bool(getattr(request.user, "is_staff", False))

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Never the bulk delete of Django: it goes past the services."""
        return {
            name: action for name, action in super().get_actions(request).items() if name != "delete_selected"
        }

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:  # noqa: ARG002
        return super().get_object(request, object_id, None)


def refusal(error: Exception) -> str:
    """The sentence of a refusal, for a message on a page."""
    hint = getattr(error, "hint", "")
    message = str(getattr(error, "message", error))
    return f"{message} ({hint})" if hint else message


def carry_out(
    page: HubAdmin,
    request: HttpRequest,
    rows: QuerySet[Any],
    title: str,
    name: str,
    do: Callable[[Any], None],
    also: str = "",
) -> HttpResponse | None:
    """An action in two steps: a page with names and counts (c1), then the service for each row (<= 500).

    `also` is the same by REST and by the command line (AD4).
    """
    chosen = list(rows[: AT_ONCE + 1])
    if len(chosen) > AT_ONCE:
        page.message_user(request, f"at most {AT_ONCE} rows at once", messages.ERROR)
        return None
    if "confirmed" not in request.POST:
        context = page.admin_site.each_context(request) | {
            "title": title,
            "rows": chosen,
            "opts": page.opts,
            "action": name,
            "also": also,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/hub_confirm.html", context)
    done = 0
    for row in chosen:
        try:
            do(row)
            done += 1
        except Refused as error:
            page.message_user(request, f"{row}: {refusal(error)}", messages.ERROR)
    if done:
        page.message_user(request, f"{title}: {done}", messages.SUCCESS)
    return None


class DocumentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose fields make a document. `rehearse` is given by the page: it raises what the service raises."""

    rehearse: Callable[[Any, dict[str, Any]], None]
    # Inputs that are never filled: empty means keep.
    write_only: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = self.read(self.instance) if not self.instance._state.adding else {}
        for name, field in self.fields.items():
            if name not in self.write_only and name in known:
                self.initial.setdefault(name, known[name])
            style = STYLED.get(type(field.widget))
            if style is not None:
                field.widget = style(attrs=field.widget.attrs)
                if isinstance(field, forms.ChoiceField):
                    field.widget.choices = field.choices

    def read(self, row: Any) -> dict[str, Any]:
        """The document of a row, without anything secret."""
        raise NotImplementedError

    def document(self) -> dict[str, Any]:
        """What the fields say. Empty write-only inputs are left out."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if not (name in self.write_only and not value) and value is not None
        }

    def _post_clean(self) -> None:
        """The record is judged by its service, not by the fields of the model."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            self.rehearse(self.instance, self.document())
        except Refused as error:
            found: dict[str, list[str]] = getattr(error, "fields", None) or {"": [refusal(error)]}
            for path, sentences in found.items():
                field = path.split(".")[0].split("[")[0]
                for sentence in sentences:
                    text = sentence if path == field else f"{path} {sentence}"
                    self.add_error(field if field in self.fields else None, text)
        return cleaned


class _Rehearsed(Exception):
    """Ends the transaction of a rehearsal."""


class DocumentAdmin(HubAdmin):
    """A page whose writes are `create`, `update` and `remove` of a service."""

    def create(self, who: Actor, document: dict[str, Any]) -> Any:
        raise NotImplementedError

    def update(self, who: Actor, row: Any, document: dict[str, Any]) -> Any:
        raise NotImplementedError

    def remove(self, who: Actor, row: Any) -> None:
        raise NotImplementedError

    def stored(self, row: Any) -> None:
        """Called in the transaction that stored `row`: the place for nudges."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: ARG002
        page, who = self, actor(request)

        def rehearse(_form: Any, row: Any, document: dict[str, Any]) -> None:
            try:
                with transaction.atomic():
                    fresh = type(row).objects.filter(pk=row.pk).first()
                    page.create(who, document) if fresh is None else page.update(who, fresh, document)
                    raise _Rehearsed
            except _Rehearsed:
                return

        return type("Form", (self.form,), {"rehearse": rehearse})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        if not self._writable(request, obj):
            return list(self.get_readonly_fields(request, obj))
        # What is known stands above what can be changed; of a new row nothing is known yet.
        return [*(self.get_readonly_fields(request, obj) if obj else ()), *self.form.base_fields]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(None, {"fields": self.get_fields(request, obj)})]

    def _writable(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:  # noqa: ARG002
        return form.instance

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Everything was written by the service."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        who, document = actor(request), form.document()
        with transaction.atomic():
            row = (
                self.update(who, type(obj).objects.get(pk=obj.pk), document)
                if change
                else self.create(who, document)
            )
            self.stored(row)
        obj.__dict__.update(row.__dict__)

    def changeform_view(self, request: HttpRequest, object_id: Any = None, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except Refused as error:
            # Somebody was faster than this form: what was rehearsed is no longer true.
            self.message_user(request, refusal(error), messages.ERROR)
            return HttpResponseRedirect(request.path)

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:  # noqa: ARG002
        """Names and what follows: services say what stands in the way, and nothing is walked row by row."""
        return (
            [f"{row}: {what}" if (what := self.consequence(row)) else str(row) for row in objs],
            {},
            set(),
            [],
        )

    def consequence(self, row: Any) -> str:  # noqa: ARG002
        """What the removal of this row does beyond the row, as a sentence."""
        return ""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(actor(request), obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refused as error:
            self.message_user(request, refusal(error), messages.ERROR)
            where = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
            return HttpResponseRedirect(reverse(where, args=[object_id]))


def choices(title: str, parameter: str, values: Sequence[str], column: str) -> type[admin.SimpleListFilter]:
    """A list filter over a closed set of values: no DISTINCT, no lookup from the address."""

    class Chosen(admin.SimpleListFilter):
        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
            return [(value, value) for value in values]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
            return queryset.filter(**{column: self.value()}) if self.value() in values else queryset

    Chosen.title, Chosen.parameter_name = title, parameter
    return Chosen


def related(
    title: str, parameter: str, names: Callable[[User], QuerySet[Any]], column: str
) -> type[admin.SimpleListFilter]:
    """A list filter over the names of visible rows, at most 200 of them, in one query."""

    class Related(admin.SimpleListFilter):
        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
            found = names(person(request)).order_by("name").values_list("name", flat=True)[:200]
            return [(name, name) for name in found]

        def has_output(self) -> bool:
            return True

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
            # A name with a NUL is nobody's, and PostgreSQL does not even look for it.
            wanted = str(self.value() or "").replace("\0", "")
            return queryset.filter(**{column: wanted}) if wanted else queryset

    Related.title, Related.parameter_name = title, parameter
    return Related


def area(rows: int = 4, **options: Any) -> forms.CharField:
    """A text of several lines."""
    usual: dict[str, Any] = {"required": False, "widget": forms.Textarea(attrs={"rows": rows})}
    return forms.CharField(**usual | options)


def line(**options: Any) -> forms.CharField:
    usual: dict[str, Any] = {"required": False}
    return forms.CharField(**usual | options)


def secret(help_text: str = "empty means keep", *, lines: bool = False) -> forms.CharField:
    """A write-only input: it is never filled, and a browser is told not to keep it."""
    attributes = {"autocomplete": "new-password"}
    widget: forms.Widget = forms.PasswordInput(attrs=attributes, render_value=False)
    if lines:
        widget = forms.Textarea(attrs=attributes | {"rows": 3})
    return forms.CharField(required=False, strip=False, help_text=help_text, widget=widget)


def json(default: Callable[[], Any], help_text: str = "") -> forms.JSONField:
    return forms.JSONField(
        required=False, initial=default, help_text=help_text, widget=forms.Textarea(attrs={"rows": 6})
    )
