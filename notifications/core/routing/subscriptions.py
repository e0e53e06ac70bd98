"""Every way in which a subscription is written, read into wishes (notifications.md 5).

Source of the annotation forms: `notifications-engine pkg/subscriptions`, `argo-cd docs` (subscriptions.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from notifications.core.digests import Digest
from notifications.core.routing.selectors import Selector, parse_selector
from notifications.core.yamls import as_text, load_yaml
from notifications.errors import ConfigError

PREFIX = "notifications.argoproj.io/"
LEGACY = "recipients.argocd-notifications.argoproj.io"
EVENT_PREFIX = "event:"
_MOST = 500


@dataclass(frozen=True)
class Defaults:
    """`defaultTriggers` and `defaultTriggers.<service>`."""

    triggers: tuple[str, ...] = ()
    by_service: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, service: str) -> tuple[str, ...]:
        return self.by_service.get(service, self.triggers)


@dataclass(frozen=True)
class Wish:
    """Somebody wants `trigger` at (service, recipient). `trigger` None: the default triggers of the service.

    `checked`: the Service may restrict who names it (annotations), as opposed to what operators wrote.
    """

    trigger: str | None
    service: str
    recipient: str
    because: str
    checked: bool = False
    mention: str = ""
    digest: Digest | None = None


@dataclass(frozen=True)
class GlobalSubscription:
    """One entry of the key `subscriptions`; `number` counts from 1."""

    number: int
    recipients: tuple[tuple[str, str], ...]
    triggers: tuple[str, ...]
    selector: Selector


@dataclass(frozen=True)
class NativeSubscription:
    """A row. Globs and selectors that are empty select everything; times bound which events it sees."""

    name: str
    destinations: tuple[tuple[str, str], ...]
    triggers: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    app_selector: Selector | None = None
    cluster_selector: Selector | None = None
    minimum_severity: str = "info"
    made_at: datetime | None = None
    until: datetime | None = None
    mention: str = ""
    digest: Digest | None = None


def from_annotations(annotations: Mapping[str, Any], where: str, services: Collection[str]) -> Iterator[Wish]:
    """Wishes of one object's annotations; `where` is "annotation" or "project annotation".

    ConfigError for a list of subscriptions that cannot be read.
    """
    for key in sorted(annotations):
        value = as_text(annotations[key])
        if key.startswith(PREFIX + "subscribe."):
            trigger, service = _split_key(key[len(PREFIX + "subscribe.") :], services)
            for recipient in recipients_of(value):
                yield Wish(trigger, service, recipient, f"{where} {key}", checked=True)
        elif key.startswith(PREFIX + "subscriptions"):
            yield from _listed(value, f"{where} {key}")
        elif key == LEGACY or key.endswith("." + LEGACY):
            trigger = key.removesuffix(LEGACY).removesuffix(".") or None
            for entry in (part.strip() for part in value.split(",")):
                if entry:
                    service, recipient = split_recipient(entry)
                    yield Wish(trigger, service, recipient, f"{where} {key}", checked=True)


def recipients_of(value: str) -> list[str]:
    """Split at `;`, trimmed, empties dropped; the empty value is one empty recipient."""
    if not value:
        return [""]
    return [part.strip() for part in value.split(";") if part.strip()][:_MOST]


def split_recipient(text: str) -> tuple[str, str]:
    """`service:recipient`, at the first colon only."""
    service, _, recipient = text.partition(":")
    return service.strip(), recipient.strip()


def _split_key(rest: str, services: Collection[str]) -> tuple[str | None, str]:
    """`<trigger>.<service>`, `<service>` or `.<service>`; the longest known service name at the end wins."""
    if rest in services:
        return None, rest
    for at, char in enumerate(rest):
        if char == "." and rest[at + 1 :] in services:
            return rest[:at] or None, rest[at + 1 :]
    trigger, _, service = rest.rpartition(".")
    return trigger or None, service


def _listed(text: str, because: str) -> Iterator[Wish]:
    try:
        entries = load_yaml(text)
    except ConfigError as problem:
        raise ConfigError(
            problem.code, f"{because}: {problem.sentence}", problem.hint, line=problem.line
        ) from None
    if entries is None:
        return
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError("shape", f"{because}: a list of trigger and destinations is needed")
    for entry in entries[:_MOST]:
        triggers: list[str | None] = [*_texts(entry.get("trigger"))] or [None]
        for destination in entry.get("destinations") or ():
            if not isinstance(destination, dict) or not as_text(destination.get("service")):
                raise ConfigError("shape", f"{because}: a destination needs a service")
            for trigger in triggers:
                for recipient in _texts(destination.get("recipients")) or [""]:
                    yield Wish(trigger, as_text(destination.get("service")), recipient, because, checked=True)


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [as_text(item) for item in value][:_MOST] if isinstance(value, list) else [as_text(value)]


def read_globals(text: str) -> tuple[GlobalSubscription, ...]:
    """The key `subscriptions` of the configuration. ConfigError for a wrong shape or selector."""
    entries = load_yaml(text)
    if entries is None:
        return ()
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError("shape", "subscriptions is a list of recipients, triggers and selector")
    made = []
    for number, entry in enumerate(entries, 1):
        recipients = tuple(split_recipient(text) for text in _texts(entry.get("recipients")))
        if not recipients:
            raise ConfigError("shape", f"subscription {number} has no recipients")
        selector = parse_selector(as_text(entry.get("selector")))
        made.append(GlobalSubscription(number, recipients, tuple(_texts(entry.get("triggers"))), selector))
    return tuple(made)
