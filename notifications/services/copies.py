"""Events as they were received: stored once under their key, whoever is told of them (notifications.md 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db import connection

import notifications.services.clock as clock
from guard.redact import redact
from notifications.core import events
from notifications.errors import NotificationError
from notifications.models import EventCopy
from notifications.services.keys import digest, stored_key
from notifications.services.wishes import project_of

log = structlog.get_logger(__name__)


def refuse(mapping: Mapping[str, Any], problem: NotificationError) -> None:
    log.error(
        "an event was refused", key=str(mapping.get("key", ""))[:255], code=problem.code, why=str(problem)
    )
    now = clock.now()
    EventCopy.objects.get_or_create(
        key=str(mapping.get("key") or f"refused/{digest(repr(mapping))}")[:255],
        defaults={
            "name": str(mapping.get("name", ""))[:64],
            "summary": redact(str(problem), limit=500),
            "problems": [
                {"where": "event", "code": problem.code, "sentence": str(problem), "hint": problem.hint}
            ],
            "occurred_at": now,
            "received_at": now,
        },
    )


def store(event: dict[str, Any], now: datetime) -> tuple[EventCopy, bool]:
    return EventCopy.objects.get_or_create(key=stored_key(event["key"]), defaults=_columns(event, now))


def _columns(event: dict[str, Any], now: datetime) -> dict[str, Any]:
    app = event.get("app") or {}
    return {
        "name": event["name"][:64],
        "app": str(app.get("uid") or app.get("name") or "")[:64],
        "project": project_of(event)[:253],
        "severity": event["severity"],
        "summary": redact(event["summary"], limit=500),
        "data": event,
        "occurred_at": clock.moment(event["occurred_at"], now),
        "received_at": now,
    }


def keep(mappings: Sequence[Mapping[str, Any]]) -> None:
    """Store events that nobody is told of, as they were read from a database. Repeating it changes nothing."""
    now, rows = clock.now(), []
    for mapping in mappings:
        try:
            event = events.accept(mapping, stored=True)
        except NotificationError as problem:
            refuse(mapping, problem)
            continue
        rows.append(EventCopy(key=stored_key(event["key"]), **_columns(event, now)))
    if rows:
        _insert(rows)


def _insert(rows: Sequence[EventCopy]) -> None:
    """Not by `bulk_create`: for PostgreSQL that makes one array of all events, character by character."""
    meta = EventCopy._meta
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    names, places = ", ".join(f'"{field.column}"' for field in fields), ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        cursor.executemany(
            # Names are those of our own model, values are parameters.
            f'INSERT INTO "{meta.db_table}" ({names}) VALUES ({places}) ON CONFLICT ("key") DO NOTHING',  # noqa: S608
            [
                [field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields]
                for row in rows
            ],
        )


def without_nul(value: Any) -> Any:
    """PostgreSQL cannot store the character NUL, and nobody needs it."""
    if isinstance(value, str):
        return value.replace("\x00", "") if "\x00" in value else value
    if isinstance(value, Mapping):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nul(item) for item in value]
    return value
