"""An event mapping in, Deliveries out: stored once, triggers evaluated, wishes resolved, all in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F

import notifications.services.alarms as alarms
import notifications.services.clock as clock
import notifications.services.configured as configured
import notifications.services.copies as copies
import notifications.services.counting as counting
import notifications.services.owing as owing
from notifications.core import events
from notifications.core.routing import EVENT_PREFIX, Route, Routing
from notifications.core.templates import ImportedTemplate
from notifications.core.triggers import (
    ConditionState,
    NativeTrigger,
    Trigger,
    evaluate_trigger,
    is_settled,
    wants,
)
from notifications.core.triggers.native import once_per_value
from notifications.errors import NotificationError
from notifications.models import Alarm, Delivery, EventCopy, Subscription, TriggerState
from notifications.models import Trigger as TriggerRow
from notifications.services.configured import Configured, Rule
from notifications.services.keys import digest
from notifications.services.owing import Owed
from notifications.services.wishes import followers, owed_to, project_of, route

FRESH = timedelta(minutes=10)
EVALUATED = "argocd_notifications_trigger_eval_total"
log = structlog.get_logger(__name__)


@dataclass
class _Judging:
    """One event on its way through triggers: what is owed, and what could not be judged."""

    event: dict[str, Any]
    now: datetime
    config: Configured
    routing: Routing
    is_tick: bool = False
    # Somebody subscribed or configured: what an older application was already is no news.
    is_anew: bool = False
    owed: list[Owed] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)

    def problem(self, where: str, error: NotificationError, row: int | None = None) -> None:
        self.problems.append({"where": where, "code": error.code, "sentence": str(error), "hint": error.hint})
        if row is not None:
            counting.count("hub_notifications_trigger_errors_total", trigger=where.split(" ")[1])
            TriggerRow.objects.filter(pk=row).update(
                errors=F("errors") + 1,
                last_error=str(error)[:500],
                last_error_event=str(self.event.get("key", ""))[:255],
            )


def dispatch(mapping: Mapping[str, Any]) -> list[int]:
    """Store the event once and owe its Messages; returns the ids of Deliveries that can be tried now.

    Repeating it changes nothing. Call it inside or outside a transaction. A mapping that no emitter may make is kept
    with its problem and told to nobody: it must not stand in the way of the events behind it.
    """
    try:
        event = events.accept(copies.without_nul(mapping))
    except NotificationError as problem:
        copies.refuse(copies.without_nul(mapping), problem)
        return []
    begun = time.monotonic()
    with transaction.atomic():
        now = clock.now()
        copy, created = copies.store(event, now)
        if created:
            _judge(copy, event, now)
    if created:
        counting.count("hub_notifications_events_total", name=copy.name)
        counting.took("hub_notifications_dispatch_seconds", time.monotonic() - begun)
    return list(
        Delivery.objects.filter(event=copy, state=Delivery.State.PENDING)
        .order_by("id")
        .values_list("id", flat=True)
    )


def observe(view: Mapping[str, Any], *, by_time: bool = False, anew: bool = False) -> list[int]:
    """A stored status change of an application that is no Event, for imported triggers only (a "tick", 3.1).

    `view` has the keys of an event that describe the application: app, project, cluster, application, project_view,
    commits, source_details. Skipped while an ended operation is newer than what is known of the health. `by_time`:
    nothing changed but the time, so only triggers that read the clock are asked. `anew`: somebody subscribed or
    configured, so triggers that never saw this application only remember what is so.
    """
    event = copies.without_nul(view)
    application = event.get("application")
    if not isinstance(application, dict) or not is_settled(application):
        return []
    with transaction.atomic():
        now = clock.now()
        judging = _routed(event, now, is_tick=True)
        judging.is_anew = anew
        for name, routes in _by_trigger(judging.routing).items():
            rule = judging.config.rule(name, project_of(event))
            if rule is None or not isinstance(rule.trigger, Trigger):
                continue
            if not by_time or rule.trigger.reads_clock:
                _alone(judging, rule, routes)
        return _owe_observed(judging) if judging.owed else []


def _owe_observed(judging: _Judging) -> list[int]:
    """What a tick owes needs an event to be rendered from; its key is that of the telling."""
    made: list[int] = []
    app = judging.event.get("app") or {}
    for dedupe in dict.fromkeys(one.dedupe for one in judging.owed):
        key = f"observed/{digest(dedupe)}"
        event = {
            "id": key,
            "key": key,
            "name": "observed",
            "occurred_at": judging.now.isoformat(),
            "severity": "info",
            "summary": f"{app.get('name', 'an application')} changed",
            **{name: value for name, value in judging.event.items() if name not in ("id", "key", "name")},
        }
        copy, created = copies.store(events.accept(event), judging.now)
        if created:
            owing.owe(copy, [one for one in judging.owed if one.dedupe == dedupe], judging.now)
        made += Delivery.objects.filter(event=copy, state="pending").values_list("id", flat=True)
    return made


def _routed(event: dict[str, Any], now: datetime, *, is_tick: bool = False) -> _Judging:
    config = configured.load()
    judging = _Judging(event, now, config, route(event, config, now), is_tick)
    for where, problem in config.problems:
        judging.problem(where, problem)
    for found in judging.routing.problems:
        judging.problem(found.where, found.error)
    return judging


def _by_trigger(routing: Routing) -> dict[str, list[Route]]:
    grouped: dict[str, list[Route]] = {}
    for one in routing.routes:
        grouped.setdefault(one.trigger, []).append(one)
    return grouped


def _judge(copy: EventCopy, event: dict[str, Any], now: datetime) -> None:
    judging = _routed(event, now)
    for name, routes in _by_trigger(judging.routing).items():
        if name.startswith(EVENT_PREFIX):
            judging.owed += owed_to(routes, name, f"{name}/{event['key']}")
            continue
        rule = judging.config.rule(name, project_of(event))
        if rule is None:
            continue
        _alone(judging, rule, routes)
    judging.owed += followers(event, judging.owed)
    owing.owe(copy, judging.owed, now)
    alarms.recover(copy, event, judging.config, project_of(event), now)
    if judging.problems:
        EventCopy.objects.filter(pk=copy.pk).update(problems=judging.problems[:50])


def _alone(judging: _Judging, rule: Rule, routes: list[Route]) -> None:
    """One trigger, whose failure of whatever kind is its own: the others are evaluated and told."""
    owed = list(judging.owed)
    try:
        with transaction.atomic():
            if rule.problem is not None:
                judging.problem(f"trigger {rule.key}", rule.problem, rule.row)
            elif isinstance(rule.trigger, Trigger):
                _imported(judging, rule, rule.trigger, routes)
            elif isinstance(rule.trigger, NativeTrigger):
                _native(judging, rule, rule.trigger, routes)
    except Exception as error:
        log.exception("a trigger could not be evaluated", trigger=rule.key)
        judging.owed = owed
        sentence = f"an error of the hub itself: {type(error).__name__}"
        judging.problem(f"trigger {rule.key}", NotificationError("internal", sentence), rule.row)


@dataclass(frozen=True)
class View:
    """Does anybody need the Argo CD shapes of this application? `every_minute`: also when nothing happens."""

    needed: bool
    every_minute: bool


def wants_view(mapping: Mapping[str, Any]) -> View:
    """For the emitter: whether to build the Argo CD shapes, and to `observe` by time; app, project, cluster suffice."""
    if not _annotated(mapping) and not Subscription.objects.filter(enabled=True).exists():
        return View(needed=False, every_minute=False)
    return _view(mapping, configured.load())


def wanting_view(mappings: Sequence[Mapping[str, Any]]) -> list[bool]:
    """`wants_view(...).needed` of many at once; where nobody subscribed, one query answers for all of them."""
    if not any(map(_annotated, mappings)) and not Subscription.objects.filter(enabled=True).exists():
        return [False] * len(mappings)
    return list(map(asking(), mappings))


def asking_by_time() -> Callable[[Mapping[str, Any]], bool] | None:
    """Says of one application after another whether its subscribed triggers read the clock; None when none does."""
    config = configured.load()
    return (lambda mapping: _view(mapping, config).every_minute) if config.reads_clock else None


def asking() -> Callable[[Mapping[str, Any]], bool]:
    """Says of one application after another whether an imported trigger or template is subscribed for it."""
    config = configured.load()
    anybody = bool(config.globals or config.natives)
    return lambda mapping: (anybody or _annotated(mapping)) and _view(mapping, config).needed


def _view(mapping: Mapping[str, Any], config: Configured) -> View:
    project = project_of(mapping)
    names = {one.trigger for one in route(mapping, config, clock.now()).routes}
    rules = [rule for name in names if (rule := config.rule(name, project)) is not None]
    imported = [rule.trigger for rule in rules if isinstance(rule.trigger, Trigger)]
    sent = [name for rule in rules if isinstance(rule.trigger, NativeTrigger) for name in rule.trigger.send]
    templates, _, _ = configured.templates_of(sent, project) if sent else ([], [], None)
    needed = bool(imported) or any(isinstance(one, ImportedTemplate) for one in templates)
    return View(needed, any(trigger.reads_clock for trigger in imported))


def unheard(mappings: Sequence[Mapping[str, Any]]) -> set[str]:
    """The keys of those of these events that nobody can be told of: no subscription, no alarm, no card asks for them.

    Asked for all of them at once: what is made later sees no earlier event anyway (section 5).
    """
    if Subscription.objects.filter(enabled=True).exists() or Alarm.objects.exclude(state="closed").exists():
        return set()
    quiet = [one for one in mappings if not _annotated(one) and not one.get("approval")]
    return {str(one["key"]) for one in quiet if one.get("key")}


def _annotated(mapping: Mapping[str, Any]) -> bool:
    return any(
        "notifications.argoproj.io" in name
        for owner in ("app", "project")
        for name in (mapping.get(owner) or {}).get("annotations") or ()
    )


def _native(judging: _Judging, rule: Rule, trigger: NativeTrigger, routes: list[Route]) -> None:
    names = events.scope(judging.event, judging.config.context)
    seen = clock.seen(judging.now)
    try:
        if not wants(trigger, judging.event, names, seen):
            return
        value = once_per_value(trigger, judging.event, names, seen)
    except NotificationError as problem:
        judging.problem(f"trigger {trigger.name}", problem, rule.row)
        return
    for tell in alarms.opened(rule.key, trigger, judging.event, judging.now):
        judging.owed += owed_to(
            routes, trigger.name, f"{rule.key}/{value or tell.event.get('key')}", trigger.send
        )


def _imported(judging: _Judging, rule: Rule, trigger: Trigger, routes: list[Route]) -> None:
    event = judging.event
    app = event.get("app") or {}
    uid = str(app.get("uid") or app.get("name") or "")[:64]
    if not uid or not isinstance(event.get("application"), dict):
        return
    rows = TriggerState.objects.filter(app=uid, trigger=rule.key)
    states = {row.identity: state_of(row) for row in rows}
    verdict = evaluate_trigger(
        trigger,
        states,
        events.scope(event, judging.config.context),
        clock.seen(judging.now),
        born=_born(event) if not judging.is_anew or _is_fresh(event, judging.now) else None,
        active_since=rule.since,
    )
    for identity, state in verdict.states.items():
        store_state(uid, rule.key, identity, state)
    for result in verdict.results:
        counting.count(EVALUATED, name=trigger.name, triggered=str(result.truth is True).lower())
    for found in verdict.problems:
        judging.problem(f"trigger {found.trigger} {found.condition_key}", found.error, rule.row)
    for send in verdict.sends:
        judging.owed += owed_to(routes, trigger.name, f"{uid}/{send.dedupe}", send.templates)


def _born(event: Mapping[str, Any]) -> datetime | None:
    """When the application was created; None when nobody says."""
    metadata = (event.get("application") or {}).get("metadata") or {}
    text = (event.get("app") or {}).get("created_at") or metadata.get("creationTimestamp")
    never = datetime(1, 1, 1, tzinfo=UTC)
    born = clock.moment(text, never)
    return None if born == never else born


def _is_fresh(event: Mapping[str, Any], now: datetime) -> bool:
    """So new that its creation may not have been told yet."""
    born = _born(event)
    return born is not None and now - born < FRESH


def state_of(row: TriggerState) -> ConditionState:
    told = {value: datetime.fromisoformat(at) for value, at in row.told.items()}
    return ConditionState(row.truth, row.once_per_text, told, row.edges)


def store_state(app: str, trigger: str, identity: str, state: ConditionState) -> None:
    """What a condition said last about one application."""
    TriggerState.objects.update_or_create(
        app=app,
        trigger=trigger,
        identity=identity,
        defaults={
            "truth": state.truth,
            "once_per_text": state.once_per_text,
            "told": {value: at.isoformat() for value, at in state.told.items()},
            "edges": state.edges,
        },
    )
