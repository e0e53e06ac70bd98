"""Asking for a poll: the Repository's row becomes due, at most one listing each in a while (sources.md 2.1)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from hub.models import Repository

SPACING = timedelta(seconds=1)
# Many Applications of one Repository are often stored one after the other.
SPACING_OF_CHANGES = timedelta(seconds=5)
FAR = datetime.max.replace(tzinfo=UTC)


def poll(repositories: Iterable[uuid.UUID], spacing: timedelta = SPACING) -> list[uuid.UUID]:
    """Make these due now, or at the end of `spacing` after their last listing. Returns the ids, to be nudged.

    The pause that a server asked for holds all the same (`wait_until`).
    """
    ids = list(repositories)
    rows = Repository.objects.filter(id__in=ids)
    fresh = list(rows.filter(checked_at__gt=Now() - spacing).values_list("id", flat=True))
    end = F("checked_at") + spacing
    later = Q(next_poll_at__isnull=True) | Q(next_poll_at__gt=end)
    Repository.objects.filter(later, id__in=fresh).update(next_poll_at=end)
    rows.exclude(id__in=fresh).update(next_poll_at=Now())
    return ids


def poll_of_change(repositories: Iterable[Repository]) -> None:
    """What `poll_for` says of the Repositories of an Application, from rows that were just read."""
    now = timezone.now()
    for repository in repositories:
        due = max(now, repository.checked_at + SPACING_OF_CHANGES) if repository.checked_at else now
        if repository.failures == 0 and (repository.next_poll_at or FAR) > due:
            Repository.objects.filter(id=repository.id, failures=0).update(next_poll_at=due)


def poll_for(application: uuid.UUID) -> None:
    """A specification was stored, or a manual operation ended: what Git says now counts (sync-semantics.md 7.1).

    A Repository that backs off is left alone: its server asked for the pause.
    """
    rows = Repository.objects.filter(source_states__application=application, failures=0)
    poll(rows.values_list("id", flat=True).distinct(), SPACING_OF_CHANGES)
