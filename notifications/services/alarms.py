"""The alarms of native triggers as rows: opened by events, ended by events, moved by time (notifications.md 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

import notifications.services.configured as configured
import notifications.services.owing as owing
from notifications.core import triggers
from notifications.core.triggers import NativeTrigger, Tell, Told
from notifications.models import Alarm, Delivery, EventCopy
from notifications.services.configured import Configured
from notifications.services.keys import stored_key
from notifications.services.owing import Owed
from notifications.services.wishes import owed_to, route

_OWED = (Delivery.Kind.EVENT, Delivery.Kind.STILL)
_NOT_OWED = (Delivery.State.SILENCED, Delivery.State.CANCELLED)


def subject_of(event: Mapping[str, Any]) -> str:
    """What the period is about: the application, else the cluster, else what the event says."""
    app, cluster = event.get("app") or {}, event.get("cluster") or {}
    if app.get("uid") or app.get("name"):
        return f"app/{app.get('uid') or app.get('name')}"[:300]
    return f"cluster/{cluster.get('name', '')}"[:300]


def opened(key: str, rule: NativeTrigger, event: Mapping[str, Any], now: datetime) -> tuple[Tell, ...]:
    """An event that the rule wants: what is told at once. The alarm row is stored."""
    row = _locked(key, event)
    told = triggers.observe(rule, _value(row), event, now)
    _store(key, subject_of(event), row, told)
    return told.tells


def recover(
    copy: EventCopy, event: Mapping[str, Any], config: Configured, project: str, now: datetime
) -> None:
    """An event that may end alarms of its subject: recoveries go where the openings went."""
    for row in Alarm.objects.select_for_update().filter(subject=subject_of(event)).exclude(state="closed"):
        rule = config.rule(row.trigger.rpartition("/")[2], row.trigger.rpartition("/")[0] or project)
        if (
            rule is None
            or not isinstance(rule.trigger, NativeTrigger)
            or event.get("name") in rule.trigger.on
        ):
            continue
        told = triggers.observe(rule.trigger, _value(row), event, now)
        _store(row.trigger, row.subject, row, told)
        for tell in told.tells:
            owing.owe(copy, _to_those_told(row.trigger, rule.trigger, tell), now)


def tick(now: datetime) -> None:
    """Alarms whose time has come: what waited long enough is announced, a recovery that lasted is told."""
    for pk in Alarm.objects.filter(due__lte=now).values_list("pk", flat=True)[:200]:
        with transaction.atomic():
            row = Alarm.objects.select_for_update().filter(pk=pk, due__lte=now).first()
            if row is not None:
                _due(row, now)


def _due(row: Alarm, now: datetime) -> None:
    config = configured.load()
    project = str((row.opening.get("project") or {}).get("name", ""))
    rule = config.rule(row.trigger.rpartition("/")[2], row.trigger.rpartition("/")[0] or project)
    if rule is None or not isinstance(rule.trigger, NativeTrigger):
        Alarm.objects.filter(pk=row.pk).update(state="closed", due=None)
        return
    told = triggers.tick(rule.trigger, _alarm(row), now)
    _store(row.trigger, row.subject, row, told)
    for tell in told.tells:
        copy = EventCopy.objects.filter(key=stored_key(tell.event.get("key", ""))).first()
        if copy is None:
            continue
        if tell.kind != "opening":
            owing.owe(copy, _to_those_told(row.trigger, rule.trigger, tell), now)
        else:
            owing.owe(copy, _announced(row.trigger, rule.trigger, tell, config, now), now)


def _announced(key: str, rule: NativeTrigger, tell: Tell, config: Configured, now: datetime) -> list[Owed]:
    """Who wants an opening is asked when it is told: a subscription made meanwhile does not see the older event."""
    routes = [one for one in route(tell.event, config, now).routes if one.trigger == rule.name]
    return owed_to(routes, rule.name, f"{key}/{tell.event.get('key')}", rule.send)


def _to_those_told(key: str, rule: NativeTrigger, tell: Tell) -> list[Owed]:
    """A recovery or a reminder, for every Destination that was owed the opening."""
    reminder = tell.kind == "reminder"
    dedupe = (
        f"{tell.event.get('key')}/repeat/{tell.number}" if reminder else f"recovery/{tell.event.get('key')}"
    )
    openings = (
        Delivery.objects.filter(trigger=rule.name, kind__in=_OWED, event__key__in=_openings(key, rule, tell))
        .exclude(state__in=_NOT_OWED)
        .select_related("destination")
        .order_by("id")
    )
    places = {(str(row.destination.service_id), row.destination.recipient): row for row in openings}
    return [
        Owed(
            service,
            recipient,
            rule.name,
            f"{key}/{dedupe}",
            rule.send if reminder else (),
            ("was told the beginning",),
            Delivery.Kind.REMINDER if reminder else Delivery.Kind.RECOVERY,
            row.episode,
            # Whoever will read of the beginning in a digest reads of the end there, too.
            gathered_until=row.next_at if _is_gathered(row) else None,
        )
        for (service, recipient), row in places.items()
    ]


def _is_gathered(row: Delivery) -> bool:
    return row.state == Delivery.State.DIGESTED and row.folded_into_id is None


def _openings(key: str, rule: NativeTrigger, tell: Tell) -> list[str]:
    """Keys of the opening events of this period; the alarm holds their ids."""
    row = Alarm.objects.filter(trigger=key, subject=subject_of(tell.event)).first()
    if row is None:
        return []
    app = tell.event.get("app") or {}
    uid = str(app.get("uid") or app.get("name") or "")[:64]
    copies = EventCopy.objects.filter(app=uid, name__in=rule.on, data__id__in=list(row.events))
    return list(copies.values_list("key", flat=True))


def _locked(key: str, event: Mapping[str, Any]) -> Alarm | None:
    return Alarm.objects.select_for_update().filter(trigger=key, subject=subject_of(event)).first()


def _value(row: Alarm | None) -> triggers.Alarm | None:
    return None if row is None else _alarm(row)


def _alarm(row: Alarm) -> triggers.Alarm:
    return triggers.Alarm(
        trigger=row.trigger,
        episode=row.episode,
        state=row.state,  # type: ignore[arg-type]
        opening=row.opening,
        events=tuple(row.events),
        due=row.due,
        ending=row.ending,
        repeats=row.repeats,
    )


def _store(key: str, subject: str, row: Alarm | None, told: Told) -> None:
    alarm = told.alarm
    if alarm is None or (row is not None and alarm == _alarm(row)):
        return
    Alarm.objects.update_or_create(
        trigger=key,
        subject=subject,
        defaults={
            "episode": alarm.episode[:255],
            "state": alarm.state,
            "opening": dict(alarm.opening),
            "ending": dict(alarm.ending) if alarm.ending is not None else None,
            "events": list(alarm.events),
            "due": alarm.due,
            "repeats": alarm.repeats,
        },
    )
