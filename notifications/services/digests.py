"""Digests: what a subscription gathered goes out as one Message at the end of its window (notifications.md 6.5)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Count, Max

import notifications.services.configured as configured
import notifications.services.rendering as rendering
from notifications.core.templates.folded import gathered
from notifications.models import Delivery
from notifications.services.keys import digest

CODE = "digest"
_SHOWN = 500


def flush(now: datetime) -> None:
    """One new Delivery per Destination and window that has ended; a window without anything makes none."""
    waiting = Delivery.objects.filter(
        state=Delivery.State.DIGESTED, folded_into__isnull=True, next_at__lte=now
    )
    windows = waiting.values_list("destination", "next_at").annotate(total=Count("id"), last=Max("id"))
    for place, at, _, _ in windows.order_by("next_at")[:50]:
        with transaction.atomic():
            _flush(place, at, now)


def _flush(place: int, at: datetime, now: datetime) -> None:
    rows = Delivery.objects.filter(
        destination=place, state=Delivery.State.DIGESTED, folded_into__isnull=True, next_at=at
    )
    ids = list(rows.order_by("id").values_list("id", flat=True))
    if not ids:
        return
    last = Delivery.objects.filter(pk__in=ids[-_SHOWN:]).select_related("event").order_by("id")
    events = [row.event.data for row in last if row.event is not None]
    message = gathered(events, len(ids), configured.context().get("argocdUrl", ""))
    key = digest("digest", place, at.isoformat(), ids[0])
    # Two workers make the same row: the second finds it there.
    made, _ = Delivery.objects.get_or_create(
        dedupe=key,
        destination_id=place,
        defaults={
            "kind": Delivery.Kind.DIGEST,
            "lane": digest(place, "digest"),
            "because": [f"digest of {len(ids)}"],
            "payload": rendering.as_json(message),
            "rendered": "template",
            "next_at": now,
            "created_at": now,
        },
    )
    Delivery.objects.filter(pk__in=ids, folded_into__isnull=True).update(folded_into=made, error_code=CODE)
