"""Asking for a look: the row says "look again", the message that follows is only a hint (house.md 4.1)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from clusters.services import watched
from hub.core import schedule
from hub.models import Application, Shard, SourceState
from hub.models.operation import UNFINISHED
from hub.services.leases import process_name

# Levels of comparison (sync-semantics.md 7.1): what is known, and what a person asks for.
LEVEL_KNOWN = 2
LEVEL_USER = 3


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
    """Applications whose time has come and that nobody looks at, the longest waiting first.

    Regular looks of a cluster that another living process watches are left to it: it sees in memory what would cost
    this one a LIST.
    """
    elsewhere = Shard.objects.filter(number=OuterRef("cluster__shard"), lease_until__gt=Now())
    watched_elsewhere = Exists(elsewhere.exclude(owner__in=["", process_name()]))
    rows = _due().exclude(Q(look_level=0) & watched_elsewhere)
    return list(rows.values_list("id", flat=True)[:limit])


def due_here(limit: int) -> list[uuid.UUID]:
    """Those in the clusters of the shards that this process has."""
    mine = Shard.objects.filter(number=OuterRef("cluster__shard"), owner=process_name())
    return list(_due().filter(Exists(mine)).values_list("id", flat=True)[:limit])


def _due() -> QuerySet[Application]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    return Application.objects.filter(free, next_look_at__lte=Now()).order_by("next_look_at")


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


def settle_quiet(applications: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Sort out which of these due applications need a pass; the others get their next look in bulk (P10).

    A quiet one has a healthy watch, nothing asked, nothing unfinished, and renders what its source wants.
    """
    ids = list(applications)
    if not ids:
        return []
    now = timezone.now()
    busy, quiet = [], []
    rows = list(_facts(ids))
    seen = {cluster: watched(str(cluster)) for cluster in {row["cluster_id"] for row in rows}}
    for row in rows:
        facts = schedule.QuietFacts(
            level=row["look_level"],
            watched=seen[row["cluster_id"]],
            settled_generation=row["observed_generation"] == row["generation"],
            operation=row["operation_phase"] in UNFINISHED,
            wanted_equals_rendered=not row["stale_sources"],
            errors=bool(row["conditions"]),
            timed=bool(row["memory"].get("timer")) or row["deletion_requested_at"] is not None,
        )
        if schedule.needs_pass(facts):
            busy.append(row["id"])
        else:
            quiet.append((row["id"], row["look_count"]))
    if quiet:
        spread = schedule.jitter(str(quiet[0][0]), 0.2)
        postpone(quiet, now + schedule.HOUR * spread)
    return busy


def _facts(ids: list[uuid.UUID]) -> Iterable[Mapping[str, Any]]:
    """Bulk reads of 500 rows with exactly the columns that the decision needs."""
    stale = SourceState.objects.filter(application=OuterRef("id")).exclude(wanted=F("revision"))
    for start in range(0, len(ids), 500):
        yield from (
            Application.objects.filter(id__in=ids[start : start + 500])
            .annotate(stale_sources=Exists(stale))
            .order_by()
            .values(
                "id",
                "cluster_id",
                "look_level",
                "look_count",
                "generation",
                "observed_generation",
                "operation_phase",
                "conditions",
                "memory",
                "deletion_requested_at",
                "stale_sources",
            )
        )
