"""Asking for a look: the row says "look again", the message that follows is only a hint (house.md 4.1)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.db.models import F, Q, Value
from django.db.models.functions import Greatest, Now

from hub.models import Application


def ask(applications: Iterable[uuid.UUID], *, level: int) -> list[uuid.UUID]:
    """Make these applications due now, at least at this level of comparison (sync-semantics.md 7.1).

    Returns the ids, so that a door can nudge them after commit. Asking twice is asking once.
    """
    ids = list(dict.fromkeys(applications))
    for start in range(0, len(ids), 500):
        Application.objects.filter(id__in=ids[start : start + 500]).update(
            next_look_at=Now(),
            look_level=Greatest(F("look_level"), Value(level)),
            look_count=F("look_count") + 1,
        )
    return ids


def due(limit: int) -> list[uuid.UUID]:
    """Applications whose time has come and that nobody looks at, the longest waiting first."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    rows = Application.objects.filter(free, next_look_at__lte=Now()).order_by("next_look_at")
    return list(rows.values_list("id", flat=True)[:limit])


def postpone(applications: Iterable[tuple[uuid.UUID, int]], until: datetime) -> None:
    """Quiet looks end here: move the next look of rows that nobody asked for meanwhile, in few statements."""
    by_count: dict[int, list[uuid.UUID]] = {}
    for application, count in applications:
        by_count.setdefault(count, []).append(application)
    for count, ids in by_count.items():
        for start in range(0, len(ids), 500):
            Application.objects.filter(id__in=ids[start : start + 500], look_count=count).update(
                next_look_at=until
            )
