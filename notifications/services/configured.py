"""Rows of configuration as the values that the core works with. What cannot be read is a problem of that row alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings

from guard.fields import EncryptedText
from notifications.core import catalogue, routing
from notifications.core.digests import read_digest
from notifications.core.routing import (
    Defaults,
    GlobalSubscription,
    NativeSubscription,
    Selector,
    parse_selector,
)
from notifications.core.routing.subscriptions import split_recipient
from notifications.core.templates import ImportedTemplate, NativeTemplate, read_template
from notifications.core.templates import read_native as read_native_template
from notifications.core.triggers import NativeTrigger, Trigger, read_native, read_trigger
from notifications.core.yamls import load_yaml
from notifications.errors import ConfigError, NotificationError
from notifications.models import Configuration, Service, Subscription
from notifications.models import Template as TemplateRow
from notifications.models import Trigger as TriggerRow
from notifications.services.keys import digest


@lru_cache(maxsize=2048)
def parsed_trigger(kind: str, name: str, text: str) -> Trigger | NativeTrigger:
    """ConfigError for a text that is no trigger."""
    if kind == TriggerRow.Kind.IMPORTED:
        return read_trigger(name, text)
    form = load_yaml(text)
    if not isinstance(form, dict):
        raise ConfigError("shape", "a native trigger is a map")
    return read_native({"name": name, **form})


@lru_cache(maxsize=2048)
def parsed_template(kind: str, name: str, text: str) -> ImportedTemplate | NativeTemplate:
    """ConfigError or TemplateError for a text that is no template."""
    if kind == TriggerRow.Kind.IMPORTED:
        return read_template(name, text)
    form = load_yaml(text)
    if not isinstance(form, dict):
        raise ConfigError("shape", "a native template is a map")
    return read_native_template(name, form)


def settings_of(value: EncryptedText) -> dict[str, Any]:
    """An encrypted JSON column as a mapping. Raises guard's DecryptionError."""
    text = value.reveal()
    loaded = json.loads(text) if text else {}
    return loaded if isinstance(loaded, dict) else {}


@dataclass(frozen=True)
class Rule:
    """One trigger in force. `key` is its identity in states and alarms; `since` when each condition began."""

    key: str
    trigger: Trigger | NativeTrigger | None
    since: Mapping[str, datetime] = field(default_factory=dict)
    problem: NotificationError | None = None
    row: int | None = None


@dataclass(frozen=True)
class Configured:
    """Everything that one dispatch needs, read once."""

    services: tuple[routing.Service, ...]
    globals: tuple[GlobalSubscription, ...]
    natives: tuple[NativeSubscription, ...]
    defaults: Defaults
    context: Mapping[str, str]
    rows: Mapping[tuple[str, str], TriggerRow]
    begun: datetime
    problems: tuple[tuple[str, NotificationError], ...]

    def rule(self, name: str, project: str) -> Rule | None:
        """The project's own trigger, the global one, or the catalogue's."""
        row = self.rows.get((name, project)) or self.rows.get((name, ""))
        if row is not None:
            return _rule(row) if row.enabled else None
        trigger: Trigger | NativeTrigger | None = catalogue.default_triggers().get(name)
        trigger = trigger or catalogue.default_native().get(name)
        if trigger is None:
            return None
        since = (
            {one.identity: self.begun for one in trigger.conditions} if isinstance(trigger, Trigger) else {}
        )
        return Rule(name, trigger, since)

    @property
    def reads_clock(self) -> bool:
        """Whether any trigger may begin to hold by the mere passing of time; those of the catalogue do not."""
        rules = (_rule(row) for row in self.rows.values() if row.enabled)
        return any(isinstance(rule.trigger, Trigger) and rule.trigger.reads_clock for rule in rules)

    def names(self, project: str) -> set[str]:
        """Known triggers, as routing needs them."""
        own = {name for (name, of), row in self.rows.items() if of in ("", project) and row.enabled}
        return own | set(catalogue.default_triggers()) | set(catalogue.default_native())


def _rule(row: TriggerRow) -> Rule:
    key = f"{row.project}/{row.name}" if row.project else row.name
    since = {
        identity: datetime.fromisoformat(text)
        for identity, text in row.active_since.items()
        if isinstance(text, str)
    }
    try:
        return Rule(key, parsed_trigger(row.kind, row.name, row.text), since, row=row.pk)
    except NotificationError as problem:
        return Rule(key, None, since, problem, row.pk)


def load() -> Configured:
    """The whole configuration in four queries."""
    wide, _ = Configuration.objects.get_or_create(project="")
    problems: list[tuple[str, NotificationError]] = []
    globals_: list[GlobalSubscription] = []
    natives: list[NativeSubscription] = []
    for row in Subscription.objects.filter(enabled=True).order_by("imported", "id"):
        try:
            if row.imported is not None:
                globals_.append(_global(row))
            else:
                natives.append(_native(row))
        except ConfigError as problem:
            problems.append((f"subscription {row.name}", problem))
    return Configured(
        services=tuple(_service(row) for row in Service.objects.all()),
        globals=tuple(globals_),
        natives=tuple(natives),
        defaults=Defaults(
            tuple(wide.default_triggers),
            {name: tuple(triggers) for name, triggers in wide.service_triggers.items()},
        ),
        context=_context(wide),
        rows={(row.name, row.project): row for row in TriggerRow.objects.all()},
        begun=wide.created_at,
        problems=tuple(problems),
    )


def version() -> str:
    """Another text whenever what is subscribed or triggered was configured anew."""
    triggers = TriggerRow.objects.order_by("id").values_list("id", "name", "project", "text", "enabled")
    wishes = Subscription.objects.order_by("id").values_list(
        "id", "enabled", "triggers", "destinations", "app_selector", "projects", "until"
    )
    wide = Configuration.objects.order_by("id").values_list("default_triggers", "service_triggers")
    services = Service.objects.order_by("id").values_list("id", "name", "project")
    return digest(*map(list, (triggers, wishes, wide, services)))


def context() -> dict[str, str]:
    """The variables of templates, without the rest of the configuration."""
    wide = Configuration.objects.filter(project="").first()
    return _context(wide) if wide is not None else _context(Configuration())


def _context(wide: Configuration) -> dict[str, str]:
    own = {str(key): str(value) for key, value in wide.context.items()}
    return {"argocdUrl": django_settings.HUB_URL.rstrip("/"), **own}


def _service(row: Service) -> routing.Service:
    return routing.Service(
        str(row.pk),
        row.name,
        row.project or None,
        tuple(row.recipients or ["*"]),
        tuple(row.projects or ["*"]),
    )


def _selector(text: str) -> Selector | None:
    return parse_selector(text) if text.strip() else None


def check_selector(text: str) -> None:
    """ConfigError for a text that is no label selector."""
    _selector(text)


def _global(row: Subscription) -> GlobalSubscription:
    recipients = tuple(split_recipient(str(one)) for one in row.destinations)
    return GlobalSubscription(
        row.imported or 0, recipients, tuple(row.triggers), parse_selector(row.app_selector)
    )


def _native(row: Subscription) -> NativeSubscription:
    return NativeSubscription(
        name=row.name,
        destinations=tuple(split_recipient(str(one)) for one in row.destinations),
        triggers=tuple(row.triggers),
        events=tuple(row.events),
        projects=tuple(row.projects),
        namespaces=tuple(row.namespaces),
        app_selector=_selector(row.app_selector),
        cluster_selector=_selector(row.cluster_selector),
        minimum_severity=row.minimum_severity,
        made_at=row.created_at,
        until=row.until,
        mention=row.mention,
        digest=read_digest(row.digest),
    )


def templates_of(
    names: list[str], project: str
) -> tuple[list[ImportedTemplate | NativeTemplate], list[str], NotificationError | None]:
    """Templates by name, the names that none has, and the error of one that cannot be parsed any more."""
    rows = {
        (row.name, row.project): row
        for row in TemplateRow.objects.filter(name__in=names, project__in=["", project])
    }
    found: list[ImportedTemplate | NativeTemplate] = []
    missing: list[str] = []
    for name in names:
        row = rows.get((name, project)) or rows.get((name, ""))
        try:
            if row is not None:
                found.append(parsed_template(row.kind, row.name, row.text))
            elif name in catalogue.default_templates():
                found.append(catalogue.default_templates()[name])
            else:
                missing.append(name)
        except NotificationError as problem:
            return found, missing, problem
    return found, missing, None
