"""Retention: what may go, goes in small statements; what is pinned stays (sources.md 6, notifications.md 2)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Length
from django.utils import timezone

import hub.services.heartbeats as heartbeats
from hub.models import Application, Event, ManifestSet, SourceState, SyncOperation
from hub.models.operation import UNFINISHED

EVENTS = timedelta(days=90)
SETS = timedelta(days=7)
# What nobody names, together: above it the oldest go first. What was just rendered is about to be named.
SETS_BYTES = 2 * 1024**3
JUST_RENDERED = timedelta(hours=1)
KEPT_OPERATIONS = 100
BATCH = 500


def prune() -> dict[str, int]:
    """Delete old events, operations beyond the last 100 per application, and unused manifest sets. Counts by kind."""
    now = timezone.now()
    counts = {
        "events": _in_batches(
            Event.objects.filter(occurred_at__lt=now - EVENTS, dispatched_at__isnull=False)
        ),
        "operations": 0,
    }
    for app, last in _busy_applications():
        old = SyncOperation.objects.filter(application_id=app, number__lte=last - KEPT_OPERATIONS)
        counts["operations"] += old.exclude(phase__in=UNFINISHED).delete()[0]
    unused = _unnamed().filter(Q(used_at__isnull=True) | Q(used_at__lt=now - SETS), created_at__lt=now - SETS)
    counts["manifest_sets"] = _in_batches(unused) + _above(SETS_BYTES, now)
    counts["sessions"] = _in_batches(Session.objects.filter(expire_date__lt=now))
    heartbeats.forget_dead()
    return counts


def _in_batches(rows: QuerySet[Any]) -> int:
    """Small statements: a long one holds up every writer of an embedded hub."""
    removed = 0
    while keys := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        removed += rows.filter(pk__in=keys).delete()[0]
    return removed


def _unnamed() -> QuerySet[ManifestSet]:
    """The manifest sets that no source, application, pin or operation names."""
    return ManifestSet.objects.exclude(
        Exists(SourceState.objects.filter(manifest_digest=OuterRef("digest")))
        | Exists(Application.objects.filter(manifest_digest=OuterRef("digest")))
        | Exists(Application.objects.filter(synced_digest=OuterRef("digest")))
        | Exists(Application.objects.annotate(held=KT("pin__digest")).filter(held=OuterRef("digest")))
        | Exists(SyncOperation.objects.filter(manifest_digest=OuterRef("digest")))
    )


def _above(limit: int, now: datetime) -> int:
    rows = _unnamed().filter(Q(used_at__isnull=True) | Q(used_at__lt=now - JUST_RENDERED))
    sizes = rows.annotate(size=Length("data")).order_by("used_at", "created_at").values_list("digest", "size")
    listed = list(sizes)
    excess, surplus = sum(size for _, size in listed) - limit, list[str]()
    for digest, size in listed:
        if excess <= 0:
            break
        excess -= size
        surplus.append(digest)
    return sum(_in_batches(rows.filter(pk__in=surplus[n : n + BATCH])) for n in range(0, len(surplus), BATCH))


def _busy_applications() -> list[tuple[uuid.UUID, int]]:
    rows = (
        SyncOperation.objects.values("application")
        .annotate(last=Max("number"))
        .filter(last__gt=KEPT_OPERATIONS)
    )
    return list(rows.values_list("application", "last"))
