"""A configuration of argocd-notifications becomes rows; the report says what became of each key (notifications.md 4.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

import notifications.services.clock as clock
import notifications.services.configured as configured
import notifications.services.dispatching as dispatching
from notifications.core import imports
from notifications.core.imports import Imported, ReportLine
from notifications.core.triggers import Trigger
from notifications.models import Configuration, Service, Subscription, TriggerState
from notifications.models import Template as TemplateRow
from notifications.models import Trigger as TriggerRow


def import_config(
    configmap: Mapping[str, Any],
    secret: Mapping[str, Any] | None = None,
    labelled: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    project: str = "",
    dry_run: bool = False,
) -> tuple[ReportLine, ...]:
    """Take over everything that can be read, in one transaction. `project` owns what a self-service ConfigMap says."""
    imported = imports.import_config(configmap, secret, labelled)
    if dry_run:
        return imported.report
    data = {str(key): str(value) for key, value in (configmap.get("data") or {}).items()}
    with transaction.atomic():
        now = clock.now()
        for trigger in imported.triggers:
            save_trigger(
                trigger.name, data[f"trigger.{trigger.name}"], TriggerRow.Kind.IMPORTED, project, now
            )
        for template in imported.templates:
            TemplateRow.objects.update_or_create(
                name=template.name,
                project=project,
                defaults={"kind": TriggerRow.Kind.IMPORTED, "text": data[f"template.{template.name}"]},
            )
        _services(imported, project)
        if not project:
            _subscriptions(imported)
        _variables(imported, project)
    return imported.report


def save_trigger(
    name: str, text: str, kind: str, project: str = "", now: datetime | None = None
) -> TriggerRow:
    """Store a trigger; conditions that stay keep the time since when they are in force. ConfigError for a bad text."""
    now = now or clock.now()
    parsed = configured.parsed_trigger(kind, name, text)
    old = TriggerRow.objects.filter(name=name, project=project).first()
    known = old.active_since if old is not None else {}
    since = {}
    if isinstance(parsed, Trigger):
        since = {one.identity: known.get(one.identity) or now.isoformat() for one in parsed.conditions}
    row, _ = TriggerRow.objects.update_or_create(
        name=name, project=project, defaults={"kind": kind, "text": text, "active_since": since}
    )
    return row


def _services(imported: Imported, project: str) -> None:
    for one in imported.services:
        row = Service.objects.filter(name=one.name, project=project).first() or Service(
            name=one.name, project=project
        )
        row.type = one.type
        row.settings = json.dumps(one.settings)
        granted = {name: imported.secrets[name] for name in one.granted if name in imported.secrets}
        row.granted_secrets = json.dumps(granted) if granted else ""
        row.save()


def _subscriptions(imported: Imported) -> None:
    """Global entries are replaced as a whole: their number is their only name."""
    Subscription.objects.filter(imported__isnull=False).delete()
    Subscription.objects.bulk_create(
        Subscription(
            name=f"imported #{one.number}",
            imported=one.number,
            destinations=[
                f"{service}:{recipient}" if recipient else service for service, recipient in one.recipients
            ],
            triggers=list(one.triggers),
            app_selector=one.selector.text,
        )
        for one in imported.subscriptions
    )


def _variables(imported: Imported, project: str) -> None:
    Configuration.objects.update_or_create(
        project=project,
        defaults={
            "context": dict(imported.context),
            "default_triggers": list(imported.defaults.triggers),
            "service_triggers": {name: list(names) for name, names in imported.defaults.by_service.items()},
        },
    )


def import_told(application: Mapping[str, Any], app: str, project: str = "") -> int:
    """What Argo CD already told about this Application (its annotation) counts as told; the number of states stored.

    `app` is the uid under which events of this application arrive.
    """
    config = configured.load()
    rules = [rule for name in config.names(project) if (rule := config.rule(name, project)) is not None]
    triggers = {rule.trigger.name: rule for rule in rules if isinstance(rule.trigger, Trigger)}
    parsed = tuple(rule.trigger for rule in triggers.values() if isinstance(rule.trigger, Trigger))
    stored = 0
    with transaction.atomic():
        for name, states in imports.import_told(application, parsed, clock.now()).items():
            for identity, state in states.items():
                key = triggers[name].key
                if not TriggerState.objects.filter(app=app[:64], trigger=key, identity=identity).exists():
                    dispatching.store_state(app[:64], key, identity, state)
                    stored += 1
    return stored
