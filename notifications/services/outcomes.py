"""What the end of a step means for its Delivery: the table of the core, written down in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

import notifications.services.claims as claims
import notifications.services.counting as counting
import notifications.services.destinations as destinations
import notifications.services.pace as pace
import notifications.services.rendering as rendering
import notifications.services.threads as threads
from notifications.channels.base import DeliveryError, Receipt
from notifications.core import schedule
from notifications.core.schedule import Next
from notifications.models import Attempt, Delivery, Destination
from notifications.services.rendering import Line

ATTEMPTS = "hub_notifications_attempts_total"
DELIVERIES = "argocd_notifications_deliveries_total"
_SLOWLY = timedelta(minutes=15)
_CORE_KINDS = {"passing", "wait", "message", "recipient", "service", "unknown"}


def done(
    row: Delivery, line: Line, index: int, tried: Attempt | None, receipt: Receipt, now: datetime
) -> None:
    """A step ended well: its receipt, the root of the thread, and, with the last step, `sent`."""
    steps = _with(row, index, done=now.isoformat(), receipt=dict(receipt.ids))
    step = steps[index]
    changes: dict[str, Any] = {
        "steps": steps,
        "external": {**row.external, **receipt.ids},
        "asks": 0,
        "unsure_since": None,
    }
    if all(one["done"] for one in steps):
        changes |= {
            "state": Delivery.State.SENT,
            "sent_at": now,
            "lease_until": None,
            "error_code": "",
            "error": "",
        }
        changes["error_hint"] = ""
    with transaction.atomic():
        if tried is not None:
            _close(tried, Attempt.Outcome.DONE, "", receipt.answer, now)
        if step["name"] == "post":
            threads.rooted(
                line.destination, row.thread, receipt.ids.get("ts", ""), receipt.ids.get("channel", ""), now
            )
        channel = receipt.ids.get("channel", "")
        if channel and channel != line.destination.external_id:
            Destination.objects.filter(pk=line.destination.pk).update(external_id=channel)
            line.destination.external_id = channel
        claims.write(row, **changes)
    _counted(row, step["name"], now)


def _counted(row: Delivery, step: str, now: datetime) -> None:
    """The figures of a step that ended well, and of the Delivery when it was the last."""
    service = row.destination.service.name
    counting.count(ATTEMPTS, service=service, outcome="done", code=step)
    if row.state == Delivery.State.SENT:
        counting.count(DELIVERIES, trigger=row.trigger, service=service, succeeded="true")
        since = row.event.occurred_at if row.event is not None else row.created_at
        counting.took("hub_notifications_delivery_seconds", (now - since).total_seconds(), service=service)


def failed(
    row: Delivery,
    line: Line | None,
    index: int | None,
    tried: Attempt | None,
    error: DeliveryError,
    now: datetime,
) -> bool:
    """A step did not end well. True: the steps were changed and the attempt goes on at once."""
    if line is not None and index is not None and _changed(row, line, index, tried, error, now):
        return True
    outcome = Attempt.Outcome.UNSURE if error.kind == "unsure" else Attempt.Outcome.CLEAN
    kind: Any = error.kind if error.kind in _CORE_KINDS else "unknown"
    pause = timedelta(seconds=error.retry_after) if error.retry_after is not None else None
    step = row.steps[index] if index is not None else None
    following = schedule.after_attempt(
        schedule.Attempt("unsure" if error.kind == "unsure" else "clean", kind, pause), case(row, step), now
    )
    if following.state == "pending" and following.next_at is not None:
        least = now + (_SLOWLY if error.slow else pause or timedelta(0))
        following = replace(following, next_at=max(_sooner(row, line, error, following.next_at, now), least))
    if row.kind == Delivery.Kind.TEST:
        following = Next("failed", reason=error.code)
    apply(row, line, index, tried, outcome, error, following, now)
    return False


def _sooner(
    row: Delivery, line: Line | None, error: DeliveryError, usual: datetime, now: datetime
) -> datetime:
    """The first waits of a service that asks for shorter ones, where nobody says how long to wait."""
    asked = getattr(line.channel, "first_wait", None) if line is not None else None
    if line is None or asked is None or error.kind != "passing" or error.retry_after is not None:
        return usual
    wait = asked(line.settings, row.attempts)
    return usual if wait is None else min(usual, now + wait)


def case(row: Delivery, step: dict[str, Any] | None) -> schedule.Case:
    """The Delivery as the core judges it."""
    return schedule.Case(
        delivery_id=str(row.pk),
        attempts=row.attempts,
        created_at=row.created_at,
        ability=step["unsure"] if step is not None else "harmless",
        idempotent=row.destination.idempotent,
        resend=row.destination.when_unsure == "resend",
        asked=row.asks,
        asking_since=row.unsure_since,
        give_up_after=timedelta(seconds=row.destination.give_up_after_s),
    )


def apply(
    row: Delivery,
    line: Line | None,
    index: int | None,
    tried: Attempt | None,
    outcome: str,
    error: DeliveryError,
    following: Next,
    now: datetime,
) -> None:
    """Store where the Delivery goes now, all of it or nothing."""
    changes: dict[str, Any] = {
        "error_code": error.code[:64],
        "error": error.sentence,
        "error_hint": error.hint[:300],
        "error_permanent": error.permanent,
    }
    begun = following.state == "sending"
    if index is not None and not begun:
        changes["steps"] = _with(row, index, started=None)
    if following.state == "held" and not any(one["done"] for one in row.steps):
        # Prepared anew from the frozen Message: by then the place may have another id.
        changes["steps"] = []
    with transaction.atomic():
        if tried is not None:
            _close(tried, outcome, error.code, error.answer or error.sentence, now)
        if following.freeze is not None and line is not None and index is not None:
            _freeze(line.destination, row.steps[index]["pace"], now, following.freeze)
        if following.state == "pending" and following.next_at is not None:
            claims.release(
                row, following.next_at, counts=following.counts, asks=0, unsure_since=None, **changes
            )
        elif begun:
            since = row.unsure_since or now
            claims.write(row, lease_until=following.ask_at, unsure_since=since, **changes)
        else:
            claims.write(row, state=following.state, lease_until=None, **changes)
        _told_figures(row, outcome, error.code, following)
        if following.disables and row.kind != Delivery.Kind.TEST:
            what = row.destination if following.disables == "destination" else row.destination.service
            destinations.disable(what, error, "delivery", now)


def _told_figures(row: Delivery, outcome: str, code: str, following: Next) -> None:
    service = row.destination.service.name
    counting.count(ATTEMPTS, service=service, outcome=outcome, code=code)
    if following.freeze is not None:
        counting.count("hub_notifications_throttled_total", service=service)
    if following.state in ("failed", "unconfirmed"):
        counting.count(DELIVERIES, trigger=row.trigger, service=service, succeeded="false")


def _freeze(destination: Destination, name: str, now: datetime, pause: timedelta) -> None:
    pace.freeze(pace.bucket_name(destination, name), name, now, pause)
    Destination.objects.filter(pk=destination.pk).update(throttled_until=now + pause)


def _changed(
    row: Delivery, line: Line, index: int, tried: Attempt | None, error: DeliveryError, now: datetime
) -> bool:
    """What can be mended at once and only once: a lost root, a root that cannot be changed, blocks not taken."""
    steps: list[dict[str, Any]] | None = None
    step, external = rendering.step_of(row.steps[index]), dict(row.external)
    if error.kind == "root" and not external.get("rerooted"):
        external["rerooted"] = "yes"
        message = rendering.from_json(row.payload or {})
        fresh = line.channel.prepare(
            message, line.destination.recipient, line.settings, rendering.owed(row, line)
        )
        steps = [rendering.stored(one) for one in fresh]
    elif error.kind == "reply" and not external.get("replied"):
        external["replied"] = "yes"
        if any(one["name"] == "reply" and one["done"] for one in row.steps):
            steps = _with(row, index, done=now.isoformat())
        else:
            instead = rendering.stored(line.channel.as_reply(step, rendering.owed(row, line)))
            steps = [*row.steps[:index], instead, *row.steps[index + 1 :]]
    elif error.plainer and not external.get("plain"):
        external["plain"] = "yes"
        plain = rendering.stored(line.channel.plainer(step))
        steps = [*row.steps[:index], plain, *row.steps[index + 1 :]]
    if steps is None:
        return False
    with transaction.atomic():
        if tried is not None:
            _close(tried, Attempt.Outcome.CLEAN, error.code, error.answer or error.sentence, now)
        if error.kind == "root":
            threads.forget(line.destination, row.thread)
            threads.place(line.destination, row.thread, row.pk, now)
        changes: dict[str, Any] = {"steps": steps, "external": external}
        if error.plainer:
            changes |= {"rendered": "fallback", "rendered_why": f"{error.code}: {error.sentence}"[:500]}
        if all(one["done"] for one in steps):
            changes |= {"state": Delivery.State.SENT, "sent_at": now, "lease_until": None}
        claims.write(row, **changes)
    return True


def _with(row: Delivery, index: int, **changes: Any) -> list[dict[str, Any]]:
    return [{**one, **changes} if at == index else one for at, one in enumerate(row.steps)]


def _close(tried: Attempt, outcome: str, code: str, answer: str, now: datetime) -> None:
    Attempt.objects.filter(pk=tried.pk).update(
        outcome=outcome, code=code[:64], answer=answer[:500], ended_at=now
    )
