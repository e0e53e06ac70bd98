"""The edge and once-per state machine of imported triggers (notifications.md 3.1).

The caller keeps one `ConditionState` per (app, trigger, condition identity) and gives them back each time; the
result says what to store and what to send. Nothing else decides whether something is told twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from notifications.core.expressions import evaluate
from notifications.core.gotimes import Clock, parse_rfc3339
from notifications.core.govalues import go_text
from notifications.core.triggers.conditions import Trigger, TriggerCondition
from notifications.errors import ExpressionError

REMEMBERED = timedelta(days=180)
MAX_TOLD = 1000
_FRESH = timedelta(days=1)
_MAX_ONCE_PER = 1000
_TOLD_KEY = re.compile(
    r"(?:(?P<before>.*):)?(?P<trigger>[^:]*):\[\d+\]\.(?P<identity>[A-Za-z0-9_-]{27}):.*", re.DOTALL
)


@dataclass(frozen=True)
class ConditionState:
    """`told` maps each once-per value to when it last held. `edges` counts the tellings without one.

    `once_per_text` is the text that `told` belongs to: when it is edited the condition begins anew.
    """

    truth: bool
    once_per_text: str = ""
    told: Mapping[str, datetime] = field(default_factory=dict)
    edges: int = 0


@dataclass(frozen=True)
class Send:
    """One Message is owed to every Destination of the trigger.

    `dedupe` is the same however often this is repeated; it is unique within one app, so the caller adds the app's uid.
    """

    trigger: str
    condition_key: str
    templates: tuple[str, ...]
    once_per: str | None
    dedupe: str


@dataclass(frozen=True)
class Problem:
    """A condition that could not be judged; shown on the trigger."""

    trigger: str
    condition_key: str
    error: ExpressionError


@dataclass(frozen=True)
class Result:
    """What a condition said, for `hub notifications trigger`: `truth` None when it could not be judged."""

    condition_key: str
    truth: bool | None
    once_per: str | None
    baseline: bool


@dataclass(frozen=True)
class Verdict:
    """`states` holds only what changed and must be stored, by condition identity."""

    states: Mapping[str, ConditionState]
    sends: tuple[Send, ...]
    problems: tuple[Problem, ...]
    results: tuple[Result, ...]


def evaluate_trigger(
    trigger: Trigger,
    states: Mapping[str, ConditionState],
    scope: Mapping[str, Any],
    clock: Clock,
    *,
    born: datetime | None = None,
    active_since: Mapping[str, datetime] | None = None,
) -> Verdict:
    """Each condition stands alone; an error leaves its state as it was.

    `born` is when the app was created, `active_since` when each condition (by identity) came into force: the first
    look at an app older than the condition only records, so that installing or editing announces nothing old.
    """
    kept: dict[str, ConditionState] = {}
    sends: list[Send] = []
    problems: list[Problem] = []
    results: list[Result] = []
    for condition in trigger.conditions:
        try:
            truth, value = _judged(condition, scope, clock)
        except ExpressionError as problem:
            problems.append(Problem(trigger.name, condition.key, problem))
            results.append(Result(condition.key, None, None, baseline=False))
            continue
        state = states.get(condition.identity)
        if state is not None and state.once_per_text != condition.once_per_text:
            state = None
        since = (active_since or {}).get(condition.identity)
        is_new = born is not None and since is not None and born > since
        baseline = state is None and not is_new
        results.append(Result(condition.key, truth, value, baseline))
        before = state or ConditionState(truth=False, once_per_text=condition.once_per_text)
        after, tells = _moved(before, condition.once_per_text, truth, value, clock.now)
        if after != state:
            kept[condition.identity] = after
        if tells and not baseline:
            sends.append(_send(trigger, condition, after, value))
    return Verdict(kept, tuple(sends), tuple(problems), tuple(results))


def _judged(condition: TriggerCondition, scope: Mapping[str, Any], clock: Clock) -> tuple[bool, str | None]:
    """Truth, and the text of `oncePer` when it is true and has one that is not empty."""
    if condition.problem is not None:
        raise condition.problem
    if condition.expression is None:
        return False, None
    # Only true triggers; anything that is not a boolean does not.
    truth = evaluate(condition.expression, scope, clock) is True
    if not truth or condition.once_per is None:
        return truth, None
    value = go_text(evaluate(condition.once_per, scope, clock))
    return True, value[:_MAX_ONCE_PER] or None


def _moved(
    before: ConditionState, once_per_text: str, truth: bool, value: str | None, now: datetime
) -> tuple[ConditionState, bool]:
    """The state after this look, and whether it tells."""
    told = {past: at for past, at in before.told.items() if now - at <= REMEMBERED}
    if not truth:
        return ConditionState(False, once_per_text, told, before.edges), False
    if value is None:
        rises = not before.truth
        return ConditionState(True, once_per_text, told, before.edges + rises), rises
    tells = value not in told
    # When it last held is kept to the day: a look that changes nothing else must not be a write.
    if tells or now - told[value] >= _FRESH:
        told[value] = now
    if len(told) > MAX_TOLD:
        told = dict(sorted(told.items(), key=lambda pair: pair[1])[-MAX_TOLD:])
    return ConditionState(True, once_per_text, told, before.edges), tells


def _send(trigger: Trigger, condition: TriggerCondition, after: ConditionState, value: str | None) -> Send:
    once = f"once/{value}" if value is not None else f"edge/{after.edges}"
    dedupe = f"{trigger.name}/{condition.identity}/{once}"
    return Send(trigger.name, condition.key, condition.send, value, dedupe)


def is_settled(application: Mapping[str, Any]) -> bool:
    """False while an ended operation is newer than both `reconciledAt` and `observedAt`: health is not known yet."""
    status = application.get("status")
    status = status if isinstance(status, dict) else {}
    operation = status.get("operationState")
    finished = _moment(operation.get("finishedAt") if isinstance(operation, dict) else None)
    if finished is None:
        return True
    seen = [_moment(status.get(key)) for key in ("reconciledAt", "observedAt")]
    return any(moment is not None and moment >= finished for moment in seen)


def _moment(text: object) -> int | None:
    try:
        return parse_rfc3339(text).ns if isinstance(text, str) else None
    except ValueError:
        return None


def taken_over(annotation: str, trigger: Trigger, namespace: str, now: datetime) -> dict[str, ConditionState]:
    """States of `trigger` from the annotation `notified.notifications.argoproj.io` of an imported Application.

    The annotation is JSON from key to Unix seconds; a key is an optional `<oncePer>:`, an optional `<namespace>:` for
    self-service, then `<trigger>:<condition key>:<service>:<recipient>`. What cannot be read is left out. Values
    count as told now, not when Argo CD told them, so that old ones are not forgotten at once.
    """
    try:
        told = json.loads(annotation)
    except ValueError:
        return {}
    states: dict[str, ConditionState] = {}
    by_identity = {condition.identity: condition for condition in trigger.conditions}
    for key in told if isinstance(told, dict) else ():
        found = _TOLD_KEY.fullmatch(key)
        if found is None or found["trigger"] != trigger.name or found["identity"] not in by_identity:
            continue
        condition = by_identity[found["identity"]]
        state = states.get(condition.identity) or ConditionState(True, condition.once_per_text)
        once = found["before"] or ""
        for value in {once, once.removesuffix(namespace).removesuffix(":")} - {""}:
            state = replace(state, told={**state.told, value: now.astimezone(UTC)})
        states[condition.identity] = state
    return states
