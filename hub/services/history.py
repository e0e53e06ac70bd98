"""Retention: what may go, goes in small statements; what is pinned stays (sources.md 6, notifications.md 2)."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.fields.json import KT
from django.utils import timezone

import hub.services.heartbeats as heartbeats
from hub.models import Application, Event, ManifestSet, SourceState, SyncOperation
from hub.models.operation import UNFINISHED

EVENTS = timedelta(days=90)
SETS = timedelta(days=7)
KEPT_OPERATIONS = 100


def prune() -> dict[str, int]:
    """Delete old events, operations beyond the last 100 per application, and unused manifest sets. Counts by kind."""
    now = timezone.now()
    counts = {
        "events": Event.objects.filter(occurred_at__lt=now - EVENTS, dispatched_at__isnull=False).delete()[0]
    }
    counts["operations"] = 0
    for app, last in _busy_applications():
        old = SyncOperation.objects.filter(application_id=app, number__lte=last - KEPT_OPERATIONS)
        counts["operations"] += old.exclude(phase__in=UNFINISHED).delete()[0]
    pinned = (
        Exists(SourceState.objects.filter(manifest_digest=OuterRef("digest")))
        | Exists(Application.objects.filter(manifest_digest=OuterRef("digest")))
        | Exists(Application.objects.filter(synced_digest=OuterRef("digest")))
        | Exists(Application.objects.annotate(held=KT("pin__digest")).filter(held=OuterRef("digest")))
        | Exists(SyncOperation.objects.filter(manifest_digest=OuterRef("digest")))
    )
    unused = ManifestSet.objects.filter(Q(used_at__isnull=True) | Q(used_at__lt=now - SETS))
    counts["manifest_sets"] = unused.filter(created_at__lt=now - SETS).exclude(pinned).delete()[0]
    heartbeats.forget_dead()
    return counts


def _busy_applications() -> list[tuple[uuid.UUID, int]]:
    rows = (
        SyncOperation.objects.values("application")
        .annotate(last=Max("number"))
        .filter(last__gt=KEPT_OPERATIONS)
    )
    return list(rows.values_list("application", "last"))
