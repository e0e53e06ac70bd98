"""Native triggers as they are written (notifications.md 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from notifications.core.events import ENDS
from notifications.core.expressions import Expression, compile_expression, evaluate
from notifications.core.gotimes import Clock, parse_duration
from notifications.core.govalues import go_text
from notifications.errors import ConfigError, ExpressionError

_KEYS = frozenset(
    ["name", "on", "when", "for", "clear_for", "recover", "repeat", "max_repeats", "once_per", "send"]
)
_LONGEST = timedelta(days=30)


@dataclass(frozen=True)
class NativeTrigger:
    """A rule on event names. `wait` and `clear_for` are `for` and `clear_for`; `send` empty means the built-in one.

    `repeat` zero: told once; else while it is open, `max_repeats` times.
    """

    name: str
    on: tuple[str, ...]
    when: Expression | None = None
    wait: timedelta = timedelta(0)
    clear_for: timedelta = timedelta(0)
    recover: bool = True
    repeat: timedelta = timedelta(0)
    max_repeats: int = 6
    once_per: Expression | None = None
    send: tuple[str, ...] = ()

    @property
    def endings(self) -> frozenset[str]:
        """Names of the events that end what this trigger tells."""
        return frozenset(ENDS[name] for name in self.on if name in ENDS)


def read_native(rule: Mapping[Any, Any]) -> NativeTrigger:
    """ConfigError for unknown keys, wrong shapes and what is not supported yet; expressions are compiled here."""
    # YAML 1.1 reads the bare key `on` as true.
    given = {"on" if key is True else str(key): value for key, value in rule.items()}
    for key in given:
        if key not in _KEYS:
            raise ConfigError(
                "shape", f"unknown key {key[:40]!r} in a trigger", f"known: {', '.join(sorted(_KEYS))}"
            )
    name = given.get("name")
    if not isinstance(name, str) or not name or len(name) > 253:
        raise ConfigError("shape", "a trigger needs a name")
    on = _names(given.get("on"), "on")
    if not on:
        raise ConfigError("shape", "a trigger needs event names in on", "for example on: [health-degraded]")
    recover = given.get("recover", True)
    if not isinstance(recover, bool):
        raise ConfigError("shape", "recover is true or false")
    return NativeTrigger(
        name=name,
        on=on,
        when=_expression(given.get("when"), "when"),
        wait=_span(given.get("for"), "for"),
        clear_for=_span(given.get("clear_for"), "clear_for"),
        recover=recover,
        repeat=_span(given.get("repeat"), "repeat"),
        max_repeats=_count(given.get("max_repeats", 6), "max_repeats"),
        once_per=_expression(given.get("once_per"), "once_per"),
        send=_names(given.get("send"), "send"),
    )


def _names(value: object, key: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ConfigError("shape", f"{key} is a list of names")
    return tuple(value)


def _span(value: object, key: str) -> timedelta:
    if value is None or value == 0:
        return timedelta(0)
    try:
        span = timedelta(microseconds=parse_duration(str(value)).ns // 1000)
    except ValueError:
        raise ConfigError("shape", f"{key} is a duration", "for example 5m or 1h30m") from None
    if not timedelta(0) <= span <= _LONGEST:
        raise ConfigError("shape", f"{key} is between 0 and 30 days")
    return span


def _count(value: object, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise ConfigError("shape", f"{key} is a number from 0 to 100")
    return value


def _expression(value: object, key: str) -> Expression | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigError("shape", f"{key} is an expression in text")
    try:
        return compile_expression(value)
    except ExpressionError as problem:
        sentence = f"{key}: {problem.sentence}"
        raise ConfigError(
            problem.code, sentence, problem.hint, line=problem.line, column=problem.column
        ) from None


def wants(rule: NativeTrigger, event: Mapping[str, Any], scope: Mapping[str, Any], clock: Clock) -> bool:
    """Is this event an opening for the rule? Raises ExpressionError when `when` cannot be judged."""
    if event.get("name") not in rule.on:
        return False
    return rule.when is None or evaluate(rule.when, scope, clock) is True


def once_per_value(
    rule: NativeTrigger, event: Mapping[str, Any], scope: Mapping[str, Any], clock: Clock
) -> str:
    """The text that one telling is counted by: `once_per`, by default the key of the event."""
    if rule.once_per is None:
        return str(event.get("key", ""))
    return go_text(evaluate(rule.once_per, scope, clock))[:1000]
