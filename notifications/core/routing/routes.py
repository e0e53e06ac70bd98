"""All wishes merged: per trigger one Delivery per (Service, recipient), with every reason kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from notifications.core.digests import Digest
from notifications.core.events import SEVERITIES
from notifications.core.routing.subscriptions import (
    EVENT_PREFIX,
    Defaults,
    GlobalSubscription,
    NativeSubscription,
    Wish,
    from_annotations,
)
from notifications.errors import ConfigError


@dataclass(frozen=True)
class Service:
    """One configured channel as subscriptions name it. `key` is the caller's identity of it.

    `project` owns it, None is global. `recipients` and `projects` are globs that annotation subscriptions may use.
    """

    key: str
    name: str
    project: str | None = None
    recipients: tuple[str, ...] = ("*",)
    projects: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Sources:
    """Where wishes come from, for the application (or cluster) of one event."""

    app_annotations: Mapping[str, Any] = field(default_factory=dict)
    project_annotations: Mapping[str, Any] = field(default_factory=dict)
    globals: Sequence[GlobalSubscription] = ()
    natives: Sequence[NativeSubscription] = ()


@dataclass(frozen=True)
class Route:
    """One Destination that wants one trigger; `because` in order of appearance.

    `mention` is what its subscriptions ask for; only error and critical Messages may use it. `digest`: nobody who wants
    it there wants it at once.
    """

    trigger: str
    service: Service
    recipient: str
    because: tuple[str, ...]
    mention: str = ""
    digest: Digest | None = None


@dataclass(frozen=True)
class Problem:
    """Shown on the application's notification page."""

    where: str
    error: ConfigError


@dataclass(frozen=True)
class Refusal:
    """A wish that led to nothing, and why; the material of `explain`."""

    trigger: str
    service: str
    recipient: str
    because: str
    reason: str


@dataclass(frozen=True)
class Routing:
    routes: tuple[Route, ...]
    problems: tuple[Problem, ...]
    refusals: tuple[Refusal, ...]


def destinations_for(
    event: Mapping[str, Any],
    sources: Sources,
    services: Collection[Service],
    defaults: Defaults,
    now: datetime,
    *,
    triggers: Collection[str] | None = None,
) -> Routing:
    """Every route of one event. `triggers`: the known names; a wish for another is a problem (None: do not check)."""
    project = _project(event)
    visible = {service.name: service for service in services if service.project is None}
    # A project-owned Service shadows a global one of the same name: one Message, not two.
    visible.update({service.name: service for service in services if service.project == project and project})
    gathered = _Gathered(visible, project, triggers)
    gathered.annotations(sources.app_annotations, "annotation", defaults)
    gathered.annotations(sources.project_annotations, "project annotation", defaults)
    labels = _labels(event, "app")
    for entry in sources.globals:
        gathered.entry(entry, labels, defaults)
    for native in sources.natives:
        gathered.native(native, event, now, defaults)
    return Routing(tuple(gathered.routes.values()), tuple(gathered.problems), tuple(gathered.refusals))


class _Gathered:
    def __init__(
        self, services: Mapping[str, Service], project: str, triggers: Collection[str] | None
    ) -> None:
        self.services = services
        self.project = project
        self.triggers = triggers
        self.routes: dict[tuple[str, str, str], Route] = {}
        self.problems: list[Problem] = []
        self.refusals: list[Refusal] = []

    def annotations(self, annotations: Mapping[str, Any], where: str, defaults: Defaults) -> None:
        for key in sorted(annotations):
            try:
                wishes = list(from_annotations({key: annotations[key]}, where, self.services))
            except ConfigError as problem:
                self.problems.append(Problem(f"{where} {key}", problem))
                continue
            self.all(wishes, defaults)

    def entry(self, entry: GlobalSubscription, labels: Mapping[str, Any], defaults: Defaults) -> None:
        because = f"global #{entry.number}"
        triggers: tuple[str | None, ...] = entry.triggers or (None,)
        wishes = [
            Wish(trigger, service, recipient, because)
            for service, recipient in entry.recipients
            for trigger in triggers
        ]
        if entry.selector.matches(labels):
            self.all(wishes, defaults)
        else:
            self.refuse(wishes, f"the selector {entry.selector.text!r} does not select this application")

    def native(
        self, native: NativeSubscription, event: Mapping[str, Any], now: datetime, defaults: Defaults
    ) -> None:
        wanted: list[str | None] = [*native.triggers]
        name = str(event.get("name", ""))
        wanted += [EVENT_PREFIX + one for one in native.events if one == name]
        wishes = [
            Wish(
                trigger,
                service,
                recipient,
                f"subscription {native.name}",
                mention=native.mention,
                digest=native.digest,
            )
            for trigger in wanted
            for service, recipient in native.destinations
        ]
        reason = _unwanted(native, event, now)
        if reason:
            self.refuse(wishes, reason)
        else:
            self.all(wishes, defaults)

    def all(self, wishes: Sequence[Wish], defaults: Defaults) -> None:
        for wish in wishes:
            for trigger in _triggers(wish, defaults):
                self.one(wish, trigger)

    def one(self, wish: Wish, trigger: str) -> None:
        service = self.services.get(wish.service)
        reason = self.reason(wish, trigger, service)
        if reason or service is None:
            hint = "see the list of services and triggers" if reason.startswith("unknown") else ""
            self.problems.append(Problem(wish.because, ConfigError("routing", reason, hint)))
            self.refuse([replace(wish, trigger=trigger)], reason)
            return
        key = (trigger, service.key, wish.recipient)
        known = self.routes.get(key)
        if known is None:
            self.routes[key] = Route(
                trigger, service, wish.recipient, (wish.because,), wish.mention, wish.digest
            )
        elif wish.because not in known.because:
            because, mention = (*known.because, wish.because), known.mention or wish.mention
            digest = known.digest if wish.digest is not None else None
            self.routes[key] = replace(known, because=because, mention=mention, digest=digest)

    def reason(self, wish: Wish, trigger: str, service: Service | None) -> str:
        if service is None:
            return f"unknown service {wish.service[:60]!r}"
        if (
            self.triggers is not None
            and not trigger.startswith(EVENT_PREFIX)
            and trigger not in self.triggers
        ):
            return f"unknown trigger {trigger[:60]!r}"
        if wish.checked and not _globbed(wish.recipient, service.recipients):
            return f"the service {service.name!r} does not allow the recipient {wish.recipient[:60]!r}"
        if wish.checked and not _globbed(self.project, service.projects):
            return f"the service {service.name!r} is not open to the project {self.project[:60]!r}"
        return ""

    def refuse(self, wishes: Sequence[Wish], reason: str) -> None:
        self.refusals.extend(
            Refusal(wish.trigger or "(default triggers)", wish.service, wish.recipient, wish.because, reason)
            for wish in wishes
        )


def _triggers(wish: Wish, defaults: Defaults) -> tuple[str, ...]:
    return (wish.trigger,) if wish.trigger is not None else defaults.of(wish.service)


def _unwanted(native: NativeSubscription, event: Mapping[str, Any], now: datetime) -> str:
    """Why this subscription does not want the event; "" when it does."""
    occurred = _moment(event, now)
    if native.made_at is not None and occurred < native.made_at:
        return "the subscription is newer than the event"
    if native.until is not None and now > native.until:
        return "the subscription has ended"
    if not _globbed(_project(event), native.projects or ("*",)):
        return "it is for other projects"
    app = _part(event, "app")
    # An application of the hub lies in no namespace; it is about the one where it deploys to.
    namespace = str(app.get("namespace") or app.get("destination_namespace") or "")
    if not _globbed(namespace, native.namespaces or ("*",)):
        return "it is for other namespaces"
    if native.app_selector is not None and not native.app_selector.matches(_labels(event, "app")):
        return f"the selector {native.app_selector.text!r} does not select this application"
    if native.cluster_selector is not None and not native.cluster_selector.matches(_labels(event, "cluster")):
        return f"the selector {native.cluster_selector.text!r} does not select this cluster"
    if _rank(event.get("severity")) < _rank(native.minimum_severity):
        return f"the event is below {native.minimum_severity}"
    return ""


def _rank(severity: object) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


def _globbed(text: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name)
    return part if isinstance(part, Mapping) else {}


def _labels(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    labels = _part(event, name).get("labels")
    return labels if isinstance(labels, Mapping) else {}


def _project(event: Mapping[str, Any]) -> str:
    return str(_part(event, "project").get("name") or _part(event, "app").get("project") or "")


def _moment(event: Mapping[str, Any], now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(str(event.get("occurred_at")))
    except ValueError:
        return now
    return moment if moment.tzinfo else now


def explain(
    routing: Routing, service: str, recipient: str = "", told: Collection[tuple[str, str, str]] | None = None
) -> list[str]:
    """Who gets it and why, or why not, for one Destination (all recipients of the service when none is given).

    `told`: (trigger, key of the service, recipient) of what was owed, when known: a trigger may have had nothing to say.
    """

    def asked(name: str, to: str) -> bool:
        return name == service and recipient in ("", to)

    return list(_sentences(routing, asked, told)) or [f"nobody asked for {service}:{recipient}"]


def _sentences(routing: Routing, asked: Any, told: Collection[tuple[str, str, str]] | None) -> Iterator[str]:
    for route in routing.routes:
        if asked(route.service.name, route.recipient):
            place = f"{route.service.name}:{route.recipient}"
            is_told = told is None or (route.trigger, route.service.key, route.recipient) in told
            said = "is told of {}" if is_told else "asked for {}, which has nothing new to tell,"
            yield f"{place} {said.format(route.trigger)} because: {', '.join(route.because)}"
    for refusal in routing.refusals:
        if asked(refusal.service, refusal.recipient):
            place = f"{refusal.service}:{refusal.recipient}"
            yield f"{place} is not told of {refusal.trigger} ({refusal.because}): {refusal.reason}"
