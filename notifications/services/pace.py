"""Tokens in rows: one bucket per (Service, recipient), shared by all workers. Nobody sleeps here."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from notifications.core import schedule
from notifications.models import Bucket, Destination


def bucket_name(destination: Destination, pace: str) -> str:
    """One per Destination, so that who asks to wait keeps nobody else waiting; Slack's updates one per workspace."""
    place = "" if pace == "slack-update" else f"/{destination.pk}"
    return f"{destination.service_id}/{pace}{place}"


def _rate(pace: str) -> schedule.Rate:
    return schedule.RATES.get(pace, schedule.RATES["other"])


def take(name: str, pace: str, now: datetime) -> datetime | None:
    """None: go on. A time: there is no token before it."""
    with transaction.atomic():
        row = Bucket.objects.select_for_update().filter(name=name).first()
        taken = schedule.take(_value(row), _rate(pace), now)
        _store(name, row, taken.bucket)
    return None if taken.allowed else taken.next_at


def freeze(name: str, pace: str, now: datetime, pause: timedelta) -> None:
    """The far side asked to wait."""
    with transaction.atomic():
        row = Bucket.objects.select_for_update().filter(name=name).first()
        _store(name, row, schedule.freeze(_value(row), _rate(pace), now, pause))


def _value(row: Bucket | None) -> schedule.Bucket | None:
    return None if row is None else schedule.Bucket(row.tokens, row.at, row.frozen_until)


def _store(name: str, row: Bucket | None, value: schedule.Bucket) -> None:
    fields = {"tokens": value.tokens, "at": value.at, "frozen_until": value.frozen_until}
    if row is None:
        Bucket.objects.get_or_create(name=name, defaults=fields)
    else:
        Bucket.objects.filter(pk=row.pk).update(**fields)
