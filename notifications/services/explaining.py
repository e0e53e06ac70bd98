"""Answers for people: who gets an event and why, what a template would send, what a trigger says. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import notifications.services.clock as clock
import notifications.services.configured as configured
import notifications.services.rendering as rendering
from notifications.channels import channel_of
from notifications.channels.base import DeliveryError, Owed
from notifications.core import events, routing
from notifications.core.templates import ImportedTemplate, NativeTemplate, Occasion, message_for
from notifications.core.triggers import NativeTrigger, Trigger, evaluate_trigger, wants
from notifications.errors import NotificationError
from notifications.models import Delivery, EventCopy, Service
from notifications.services.keys import stored_key
from notifications.services.wishes import project_of, route


def explain(event_key: str, recipient: str = "") -> list[str]:
    """Who is told of this stored event and why, or why not. `recipient` is `service` or `service:name`."""
    copy = EventCopy.objects.filter(key=stored_key(event_key)).first()
    if copy is None:
        raise NotificationError("unknown_event", f"there is no event {event_key[:100]!r}")
    config = configured.load()
    found = route(copy.data, config, clock.now())
    name, _, to = recipient.partition(":")
    names = [name] if name else sorted({service.name for service in config.services})
    rows = Delivery.objects.filter(event=copy).select_related("destination__service").order_by("id")
    told = {(row.trigger, str(row.destination.service_id), row.destination.recipient) for row in rows}
    lines = [line for one in names for line in routing.explain(found, one, to, told)]
    lines += [f"{problem['where']}: {problem['sentence']}" for problem in copy.problems]
    if name:
        rows = rows.filter(destination__service__name=name)
        rows = rows.filter(destination__recipient=to) if to else rows
    for row in rows:
        why = f" ({row.error})" if row.error else ""
        silence = f" by silence {row.silence_id}" if row.silence_id else ""
        why += f" (see delivery {row.folded_into_id})" if row.folded_into_id else ""
        lines.append(f"delivery {row.pk} of {row.trigger} to {row.destination}: {row.state}{silence}{why}")
    return lines


@dataclass(frozen=True)
class Preview:
    """What would be sent: the requests of every step with secrets hidden, remarks, and why it is the fallback."""

    steps: list[dict[str, Any]]
    remarks: list[str]
    fallback: str


def preview(
    event: Mapping[str, Any],
    templates: list[ImportedTemplate | NativeTemplate],
    *,
    channel: str = "slack",
    recipient: str = "console:stdout",
    context: Mapping[str, str] | None = None,
    missing: list[str] | None = None,
) -> Preview:
    """Render without rows. Raises DeliveryError for a channel that is not supported."""
    service, _, to = recipient.partition(":")
    occasion = Occasion(event, channel, service, to, clock.seen(clock.now()), dict(context or {}))
    message = message_for(templates, occasion, missing or [])
    module = channel_of(channel)
    try:
        steps = module.prepare(message, to, {}, Owed(id=0, token="", service=service, event=event))
    except DeliveryError as error:
        return Preview([], [*message.remarks, str(error)], message.fallback)
    shown = [{"name": step.name, "request": rendering.shown(dict(step.request))} for step in steps]
    return Preview(shown, list(message.remarks), message.fallback)


def preview_stored(event_key: str, names: list[str], service_name: str, recipient: str) -> Preview:
    """The same for a stored event, stored templates and a configured service. NotificationError for what is not there."""
    copy = EventCopy.objects.filter(key=stored_key(event_key)).first()
    service = Service.objects.filter(name=service_name).order_by("project").first()
    if copy is None or service is None:
        raise NotificationError("unknown", "there is no such event or service")
    found, missing, problem = configured.templates_of(names, project_of(copy.data))
    if problem is not None:
        raise problem
    context = configured.load().context
    return preview(
        copy.data,
        found,
        channel=service.type,
        recipient=f"{service.name}:{recipient}",
        context=context,
        missing=missing,
    )


@dataclass(frozen=True)
class ConditionAnswer:
    condition: str
    result: str
    once_per: str
    error: str


def try_trigger(
    trigger: Trigger | NativeTrigger, event: Mapping[str, Any], context: Mapping[str, str] | None = None
) -> list[ConditionAnswer]:
    """What each condition says about this event, without any state or row."""
    now = clock.seen(clock.now())
    names = events.scope(event, dict(context or {}))
    if isinstance(trigger, NativeTrigger):
        try:
            said = str(wants(trigger, dict(event), names, now)).lower()
        except NotificationError as problem:
            return [ConditionAnswer(trigger.name, "error", "", str(problem))]
        return [ConditionAnswer(trigger.name, said, "", "")]
    verdict = evaluate_trigger(trigger, {}, names, now)
    errors = {problem.condition_key: str(problem.error) for problem in verdict.problems}
    return [
        ConditionAnswer(
            one.condition_key,
            "error" if one.truth is None else str(one.truth).lower(),
            one.once_per or "",
            errors.get(one.condition_key, ""),
        )
        for one in verdict.results
    ]
