"""From a Delivery to its frozen Message and its steps: rendered once, at the first attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings as django_settings
from django.db.models import F

import notifications.services.clock as clock
import notifications.services.configured as configured
import notifications.services.counting as counting
from guard.fields import DecryptionError
from notifications.channels import channel_of
from notifications.channels.base import DeliveryError, Network, Owed, Step
from notifications.core import marks
from notifications.core.events import episode_of
from notifications.core.templates import (
    Action,
    ImportedTemplate,
    Message,
    MessageField,
    Occasion,
    built_in,
    message_for,
)
from notifications.core.templates.message import MAX_TITLE, cut
from notifications.models import Delivery, Destination, Service
from notifications.models import Template as TemplateRow
from notifications.services.wishes import project_of

_STILL = " (still)"
_UPDATED = {"sync-started", "sync-succeeded", "deployed", "self-healed", "rollback"}


@dataclass(frozen=True)
class Line:
    """Everything about the far side that one attempt works with."""

    channel: Any
    service: Service
    destination: Destination
    settings: Mapping[str, Any]
    network: Network


def line(destination: Destination, deadline: float = 0.0) -> Line:
    """The channel of a Destination with its settings in the clear. Raises DeliveryError for an unsupported type."""
    service = destination.service
    channel = channel_of(service.type)
    try:
        settings = configured.settings_of(service.settings)
    except DecryptionError as error:
        hint = "put the key back into HUB_ENCRYPTION_KEYS or enter the settings again"
        raise DeliveryError("no_key", str(error), hint, kind="service") from None
    return Line(channel, service, destination, settings, network(deadline))


def network(deadline: float = 0.0) -> Network:
    return Network(
        allow_loopback=django_settings.HUB_ALLOW_LOOPBACK,
        private_networks=tuple(django_settings.HUB_PRIVATE_NETWORKS),
        insecure_allowed=bool(getattr(django_settings, "HUB_NOTIFICATIONS_ALLOW_INSECURE", False)),
        deadline=deadline,
    )


def as_json(message: Message) -> dict[str, Any]:
    """The Message as it is kept in the row; secrets are still only names."""
    return asdict(message)


def from_json(form: Mapping[str, Any]) -> Message:
    values = {**form}
    values["fields"] = tuple(MessageField(**one) for one in form.get("fields") or ())
    values["actions"] = tuple(Action(**one) for one in form.get("actions") or ())
    values["remarks"] = tuple(form.get("remarks") or ())
    return Message(**values)


def message_of(
    event: Mapping[str, Any], names: list[str], service: Service, recipient: str, now: datetime
) -> Message:
    """What the event says through these templates to this recipient; never fails."""
    told = {key: value for key, value in event.items() if key != "buttons"}
    context = configured.context()
    settings = configured.settings_of(service.settings)
    occasion = Occasion(
        told,
        service.type,
        service.name,
        recipient,
        clock.seen(now),
        context,
        html=bool(settings.get("html")),
        json_body=_sends_json(settings),
    )
    templates, missing, problem = configured.templates_of(names, project_of(event))
    message = (
        built_in(told, str(problem)) if problem is not None else message_for(templates, occasion, missing)
    )
    if message.line:
        return message
    if message.fallback or not templates:
        message = replace(message, policy=policy_of(event))
    elif not message.thread and not isinstance(templates[-1], ImportedTemplate):
        message = replace(message, thread=built_in(told).thread)
    return message


def again(message: Message) -> Message:
    """What is still so, said once more; the text of an imported template is its author's."""
    if message.parts or not message.title:
        return message
    return replace(message, title=cut(message.title, MAX_TITLE - len(_STILL)) + _STILL)


def calling(message: Message, mention: str) -> Message:
    """Whom the subscription wants called, unless the template says whom; the channel checks that it is urgent."""
    return message if message.mention or not mention else replace(message, mention=mention)


def policy_of(event: Mapping[str, Any]) -> str:
    """How messages without a template treat their thread (notifications.md 7)."""
    name = str(event.get("name", ""))
    if (event.get("approval") or {}).get("request"):
        # The root of this thread is the card of the Approval: what came of it is told below.
        return "Post"
    if name in _UPDATED:
        return "Update"
    return "PostAndUpdate" if name == "sync-failed" or episode_of(event) else "Post"


def _sends_json(settings: Mapping[str, Any]) -> bool:
    headers = settings.get("headers")
    return any(
        str(one.get("name", "")).lower() == "content-type" and "json" in str(one.get("value", "")).lower()
        for one in (headers if isinstance(headers, list) else [])
        if isinstance(one, Mapping)
    )


def count_failure(names: list[str], message: Message, event_key: str) -> None:
    """The template's page shows what failed last, with the event to reproduce it."""
    if message.fallback:
        for name in names:
            counting.count("hub_notifications_template_errors_total", template=name)
        TemplateRow.objects.filter(name__in=names).update(
            errors=F("errors") + 1, last_error=message.fallback[:500], last_error_event=event_key[:255]
        )


def owed(row: Delivery, line: Line, root: str = "", root_channel: str = "") -> Owed:
    """What the channel may know of this Delivery."""
    event = row.event.data if row.event is not None else {}
    begun = [step["started"] for step in row.steps if step["started"] and not step["done"]]
    return Owed(
        id=row.pk,
        token=row.token,
        root=root,
        root_channel=root_channel,
        channel_id=line.destination.external_id,
        idempotent=line.destination.idempotent,
        service=line.service.name,
        receipts=row.external,
        event=event,
        secrets=configured.settings_of(line.service.granted_secrets),
        since=datetime.fromisoformat(begun[0]).timestamp() if begun else 0.0,
    )


def stored(step: Step) -> dict[str, Any]:
    """A step as it stands in the row."""
    return {
        "name": step.name,
        "request": dict(step.request),
        "unsure": step.unsure,
        "pace": step.pace,
        "started": None,
        "done": None,
        "receipt": {},
    }


def step_of(form: Mapping[str, Any]) -> Step:
    return Step(form["name"], form["request"], form["unsure"], form["pace"])


def shown(value: Any) -> Any:
    """A payload for people: secrets and button tokens as ***."""
    return _without_tokens(marks.hide(value))


def _without_tokens(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_tokens(item) for item in value]
    if isinstance(value, dict):
        cleaned = {key: _without_tokens(item) for key, item in value.items()}
        if cleaned.get("type") == "button" and cleaned.get("value"):
            cleaned["value"] = marks.HIDDEN
        return cleaned
    return value


def test_message(destination: Destination, by: str) -> Message:
    """The fixed text of a test send."""
    body = f"This is a test of {destination}, asked for by {by[:100]}. Nothing happened."
    return Message(title="Test of a notification destination", body=body, severity="info")
