"""A storm becomes few messages: pending Deliveries of one trigger and Destination are said by one of them (6.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

import notifications.services.claims as claims
import notifications.services.configured as configured
import notifications.services.counting as counting
from notifications.core.routing import EVENT_PREFIX
from notifications.core.templates import Message, folded
from notifications.models import Delivery, Thread
from notifications.services.rendering import policy_of

LEAST, MOST = 5, 50
STORM, NEWER = "storm", "newer_update"
_KINDS = (Delivery.Kind.EVENT, Delivery.Kind.RECOVERY)
_BUSY = (Delivery.State.PENDING, Delivery.State.SENDING)
# Approvals and what carries commands say each something that a person must see for itself.
_ALONE = ("approval", "buttons", "card")


def gather(row: Delivery, channel: Any) -> None:
    """Give the claimed Delivery what else waits like it, if that is enough. Call before it is rendered."""
    event = row.event
    if not channel.FOLDS or row.kind not in _KINDS or not row.trigger or event is None:
        return
    if event.severity == "critical" or any(event.data.get(name) for name in _ALONE):
        return
    if row.thread and _root(row.thread, row).exists():
        return
    ids = list(_alike(row).order_by("created_at", "id").values_list("id", flat=True)[: MOST - 1])
    if len(ids) + 1 < LEAST:
        return
    with transaction.atomic():
        claims.write(row, remarks=[*row.remarks, f"folded with {len(ids)} others"])
        merged = _merge(ids, row.pk, STORM, "said together with others of its kind")
    counting.count("hub_notifications_folded_total", merged)


def _alike(row: Delivery) -> QuerySet[Delivery]:
    """Not begun, and with nothing of another kind before them in their lane: order is kept."""
    same = {"destination": row.destination, "trigger": row.trigger, "kind": row.kind}
    mine = Q(state=Delivery.State.PENDING, payload__isnull=True, **same) | Q(pk=row.pk)
    before = Delivery.objects.filter(lane=OuterRef("lane"), id__lt=OuterRef("id"), state__in=_BUSY)
    rows = Delivery.objects.filter(
        state=Delivery.State.PENDING, payload__isnull=True, event__isnull=False, **same
    )
    rows = rows.exclude(event__severity="critical").exclude(event__data__has_any_keys=list(_ALONE))
    return rows.filter(~Exists(before.exclude(mine)), ~Exists(_root(OuterRef("thread"), row)))


def _root(thread: Any, row: Delivery) -> QuerySet[Thread]:
    """The message that it would bring up to date: left behind in a storm, that one would say what is no longer so."""
    place = row.destination
    return Thread.objects.filter(service_id=place.service_id, channel=place.recipient, key=thread).exclude(
        root=""
    )


def _merge(ids: list[int], into: int, code: str, why: str) -> int:
    return Delivery.objects.filter(pk__in=ids, state=Delivery.State.PENDING).update(
        state=Delivery.State.MERGED, folded_into=into, error_code=code, error=why
    )


def is_carrier(row: Delivery) -> bool:
    """Whether other Deliveries rest on this one."""
    return row.folded.filter(error_code=STORM).exists()


def message(row: Delivery) -> Message | None:
    """What all of them say together; None when this one speaks for itself."""
    others = [one.event.data for one in _folded(row) if one.event is not None]
    if not others or row.event is None:
        return None
    # Dispatch keeps the order of what happened in the ids.
    events: list[Mapping[str, Any]] = [row.event.data, *others]
    events.sort(key=lambda event: str(event.get("occurred_at", "")))
    what = row.trigger.removeprefix(EVENT_PREFIX)
    return folded(events, what, configured.context().get("argocdUrl", ""))


def _folded(row: Delivery) -> QuerySet[Delivery]:
    return row.folded.filter(error_code=STORM).select_related("event").order_by("id")


def newer_update(row: Delivery, thread: str) -> bool:
    """A later update of the same root waits behind it: only the newest is sent. Call when there is a root."""
    if row.templates or row.event is None or policy_of(row.event.data) != "Update":
        return False
    behind = Delivery.objects.filter(
        lane=row.lane, id__gt=row.pk, state=Delivery.State.PENDING, thread=thread, templates=[]
    )
    newest = behind.select_related("event").order_by("-id").first()
    if newest is None or newest.event is None or policy_of(newest.event.data) == "Post":
        return False
    claims.write(
        row,
        state=Delivery.State.MERGED,
        lease_until=None,
        folded_into=newest,
        error_code=NEWER,
        error="a newer update of the same message is sent instead",
    )
    return True
