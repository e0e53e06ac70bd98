"""Telling what people set, and reminding of it while it lasts; the Events themselves are the memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef

import hub.services.events as events
from hub.core import switches
from hub.core.events import Event as Happened
from hub.models import Application, Event
from hub.services.actors import Actor

_NAMES = ("auto-sync-disabled", "auto-sync-reminder", "auto-sync-enabled")


def created(actor: Actor, app: Application) -> None:
    """In the transaction that makes it, before its row is stored: the row carries the number of its first event."""
    events.store(app, [switches.created(str(app.id), app.name, actor.name)], {"initiator": actor.initiator()})


def changed(actor: Actor, app: Application, was_automated: bool, now: datetime) -> None:
    """In the transaction that changed the sync policy: tells when auto-sync was switched off, or on again."""
    is_automated = switches.is_automated(app.sync_policy)
    if was_automated and not is_automated:
        _tell(app, switches.switched_off(str(app.id), app.name, actor.name, app.generation, now), actor)
    elif is_automated and not was_automated:
        off = _newest().filter(application=app.id).first()
        if off is not None and off.name != "auto-sync-enabled":
            _tell(app, switches.switched_on(str(app.id), app.name, actor.name, off.data["detail"]), actor)


def remind(now: datetime, most: int = 200) -> int:
    """Reminders that are due, of Applications whose auto-sync is still off; returns how many were told."""
    told = 0
    waiting = _newest().exclude(name="auto-sync-enabled").filter(occurred_at__lte=now - switches.DAY)
    for row in waiting.order_by("occurred_at")[:most]:
        with transaction.atomic():
            app = (
                Application.objects.select_for_update(of=("self",))
                .select_related("project", "cluster")
                .filter(id=row.application)
                .first()
            )
            due = app and switches.reminder(str(app.id), app.name, row.data["detail"], now)
            if app is not None and due and not switches.is_automated(app.sync_policy):
                _tell(app, due, None)
                told += 1
    return told


def _newest() -> Any:
    """Of every Application the last of these events, while the Application is there."""
    rows = Event.objects.filter(name__in=_NAMES)
    later = rows.filter(application=OuterRef("application"), id__gt=OuterRef("id"))
    there = Application.objects.filter(id=OuterRef("application"))
    return rows.filter(~Exists(later), Exists(there))


def _tell(app: Application, event: Happened, actor: Actor | None) -> None:
    Application.objects.filter(id=app.id).update(event_seq=F("event_seq") + 1)
    events.store(app, [event], {"initiator": actor.initiator()} if actor is not None else {})
