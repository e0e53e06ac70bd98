"""The alarm of one native trigger and one subject (an app, a cluster): waiting, announced, clearing, closed.

| state | an opening event | an ending event | its time comes |
|---|---|---|---|
| none, closed | waiting until `occurred_at + for`, or told at once | nothing | |
| waiting | the newer one is kept, the time stays | closed, nobody is told of either | told, announced |
| announced | told again (another diff of the same episode) | clearing, or told and closed | reminded, if `repeat` says so |
| clearing | announced again, nothing is told | the time stays | recovery is told, closed |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from notifications.core.events import ENDS
from notifications.core.triggers.native import NativeTrigger

State = Literal["waiting", "announced", "clearing", "closed"]


@dataclass(frozen=True)
class Alarm:
    """`events` are the ids of the opening events seen in this period, `opening` the newest, `ending` what ended it.

    `due` is when `tick` must look again, None when only an event can change anything. `repeats` counts reminders.
    """

    trigger: str
    episode: str
    state: State
    opening: Mapping[str, Any]
    events: tuple[str, ...]
    due: datetime | None = None
    ending: Mapping[str, Any] | None = None
    repeats: int = 0


@dataclass(frozen=True)
class Tell:
    """Owe a Message for `event`. Recovery and reminders go to the Destinations that were owed the opening, in its
    thread; `number` is that of the reminder."""

    kind: Literal["opening", "recovery", "reminder"]
    event: Mapping[str, Any]
    episode: str
    number: int = 0


@dataclass(frozen=True)
class Told:
    alarm: Alarm | None
    tells: tuple[Tell, ...] = ()


def observe(rule: NativeTrigger, alarm: Alarm | None, event: Mapping[str, Any], now: datetime) -> Told:
    """An event that the rule wants (see `wants`) or that may end its alarm. Other events change nothing.

    Events whose kind has no ending make no alarm: they are told at once.
    """
    if event.get("name") in rule.on:
        return _opened(rule, alarm, event, now)
    if alarm is not None and alarm.state != "closed" and _is_end(rule, alarm, event):
        return _ended(rule, alarm, event, now)
    return Told(alarm)


def tick(rule: NativeTrigger, alarm: Alarm, now: datetime) -> Told:
    """Time has passed: announce what waited long enough, tell the recovery that lasted, remind of what is open."""
    if alarm.due is None or now < alarm.due:
        return Told(alarm)
    if alarm.state == "waiting":
        announced = _announced(rule, alarm, now)
        return Told(announced, (Tell("opening", alarm.opening, alarm.episode),))
    if alarm.state == "announced":
        return _reminded(rule, alarm, now)
    if alarm.state == "clearing" and alarm.ending is not None:
        return _recovered(rule, alarm, alarm.ending)
    return Told(alarm)


def _opened(rule: NativeTrigger, alarm: Alarm | None, event: Mapping[str, Any], now: datetime) -> Told:
    told = Tell("opening", event, _episode(event))
    if event.get("name") not in ENDS and not event.get("episode"):
        return Told(alarm, (told,))
    identity = str(event.get("id", ""))
    if alarm is None or alarm.state == "closed":
        fresh = Alarm(rule.name, _episode(event), "announced", event, (identity,))
        if not rule.wait:
            return Told(_announced(rule, fresh, now), (told,))
        waiting = replace(fresh, state="waiting", due=_moment(event, now) + rule.wait)
        return tick(rule, waiting, now)
    if identity in alarm.events:
        return Told(alarm)
    seen = replace(alarm, opening=event, events=(*alarm.events, identity)[-50:], episode=_episode(event))
    if alarm.state == "waiting":
        return tick(rule, seen, now)
    if alarm.state == "clearing":
        return Told(_announced(rule, replace(seen, ending=None), now))
    return Told(_announced(rule, seen, now), (told,))


def _announced(rule: NativeTrigger, alarm: Alarm, now: datetime) -> Alarm:
    """Told now; the next reminder is counted from here."""
    more = rule.repeat and alarm.repeats < rule.max_repeats
    return replace(alarm, state="announced", due=now + rule.repeat if more else None)


def _reminded(rule: NativeTrigger, alarm: Alarm, now: datetime) -> Told:
    if not rule.repeat or alarm.repeats >= rule.max_repeats:
        return Told(replace(alarm, due=None))
    number = alarm.repeats + 1
    told = Tell("reminder", alarm.opening, alarm.episode, number)
    return Told(_announced(rule, replace(alarm, repeats=number), now), (told,))


def _ended(rule: NativeTrigger, alarm: Alarm, event: Mapping[str, Any], now: datetime) -> Told:
    if alarm.state == "waiting":
        return Told(replace(alarm, state="closed", due=None, ending=event))
    if alarm.state == "clearing":
        return Told(alarm)
    if rule.clear_for:
        clearing = replace(alarm, state="clearing", due=_moment(event, now) + rule.clear_for, ending=event)
        return tick(rule, clearing, now)
    return _recovered(rule, alarm, event)


def _recovered(rule: NativeTrigger, alarm: Alarm, event: Mapping[str, Any]) -> Told:
    closed = replace(alarm, state="closed", due=None, ending=event)
    return Told(closed, (Tell("recovery", event, alarm.episode),) if rule.recover else ())


def _is_end(rule: NativeTrigger, alarm: Alarm, event: Mapping[str, Any]) -> bool:
    if event.get("resolves"):
        return str(event["resolves"]) in alarm.events
    return event.get("name") == ENDS.get(str(alarm.opening.get("name"))) and event.get("name") in rule.endings


def _episode(event: Mapping[str, Any]) -> str:
    return str(event.get("episode") or event.get("id", ""))


def _moment(event: Mapping[str, Any], now: datetime) -> datetime:
    """When it happened, by the event; `now` for an event without a readable time."""
    try:
        moment = datetime.fromisoformat(str(event.get("occurred_at")))
    except ValueError:
        return now
    return moment if moment.tzinfo else now
