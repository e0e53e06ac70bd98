"""Silences: what they match, what they suppressed, and what is told at their end (notifications.md 6.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from django.db import transaction

import notifications.services.clock as clock
from notifications.core.events import ENDS
from notifications.errors import ConfigError
from notifications.models import Delivery, Destination, EventCopy, Silence
from notifications.services.keys import digest

MATCHED = ("app", "project", "cluster", "event", "destination")


def create(
    matcher: Mapping[str, str], starts_at: datetime, ends_at: datetime, author: str, reason: str
) -> Silence:
    """A new Silence. Raises ConfigError as `check` does."""
    return Silence.objects.create(
        matcher=check(matcher, starts_at, ends_at),
        starts_at=starts_at,
        ends_at=ends_at,
        author=author[:100],
        reason=reason[:500],
    )


def check(matcher: object, starts_at: datetime, ends_at: datetime) -> dict[str, str]:
    """The matcher as it is stored. ConfigError for an empty or unknown one, or an end before the start."""
    given = matcher if isinstance(matcher, Mapping) else {}
    cleaned = {str(key): str(value) for key, value in given.items() if value}
    unknown = [key for key in cleaned if key not in MATCHED]
    if unknown or not cleaned:
        raise ConfigError("shape", "a silence needs what it matches", f"known: {', '.join(MATCHED)}")
    if ends_at <= starts_at:
        raise ConfigError("shape", "a silence ends after it begins")
    return cleaned


def end(silence_id: int, now: datetime | None = None) -> None:
    """End a Silence now; what is still true is told by the next `close_ended`."""
    Silence.objects.filter(pk=silence_id, closed_at__isnull=True).update(ends_at=now or clock.now())


def active(now: datetime) -> list[Silence]:
    return list(Silence.objects.filter(starts_at__lte=now, ends_at__gt=now, closed_at__isnull=True))


def matching(silences: Sequence[Silence], copy: EventCopy, destination: Destination) -> Silence | None:
    """The first Silence that covers this; events of this room are covered only when a Silence names them."""
    facts = {
        "app": _name(copy.data.get("app")),
        "project": copy.project,
        "cluster": _name(copy.data.get("cluster")),
        "event": copy.name,
        "destination": str(destination),
    }
    own = copy.name.startswith("destination-")
    for silence in silences:
        if own and "event" not in silence.matcher:
            continue
        if all(fnmatchcase(facts.get(key, ""), str(glob)) for key, glob in silence.matcher.items()):
            return silence
    return None


def _name(part: object) -> str:
    return str(part.get("name", "")) if isinstance(part, Mapping) else ""


def close_ended(now: datetime) -> list[int]:
    """Each ended Silence once: an episode still open gives one "still" Delivery per Destination; ended ones none."""
    made: list[int] = []
    for silence in Silence.objects.filter(ends_at__lte=now, closed_at__isnull=True)[:20]:
        with transaction.atomic():
            if Silence.objects.filter(pk=silence.pk, closed_at__isnull=True).update(closed_at=now):
                made += _still(silence, now)
    return made


def _still(silence: Silence, now: datetime) -> list[int]:
    newest: dict[tuple[int, str], Delivery] = {}
    for row in silence.suppressed.select_related("event", "destination").order_by("id"):
        if row.event is not None and row.event.name in ENDS and row.episode:
            newest[(row.destination_id, row.episode)] = row
    still = [row for row in newest.values() if not _ended(row)]
    made = [_again(row, silence, now) for row in still]
    Delivery.objects.bulk_create(made, ignore_conflicts=True)
    wanted = [(row.dedupe, row.destination_id) for row in made]
    return [
        row.pk
        for row in Delivery.objects.filter(dedupe__in=[dedupe for dedupe, _ in wanted])
        if (row.dedupe, row.destination_id) in wanted
    ]


def _ended(row: Delivery) -> bool:
    """Did an ending event come after the newest opening that was suppressed?"""
    event: Any = row.event
    later = EventCopy.objects.filter(name=ENDS[event.name], app=event.app, id__gt=event.id)
    if not event.app:
        later = later.filter(data__resolves=event.data.get("id"))
    return later.exists()


def _again(row: Delivery, silence: Silence, now: datetime) -> Delivery:
    return Delivery(
        kind=Delivery.Kind.STILL,
        destination=row.destination,
        event=row.event,
        dedupe=digest("still", silence.pk, row.episode, row.trigger),
        lane=row.lane,
        trigger=row.trigger,
        templates=row.templates,
        because=[*row.because, f"silence {silence.pk} ended"],
        app=row.app,
        episode=row.episode,
        next_at=now,
        created_at=now,
    )
