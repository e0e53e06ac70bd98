"""Imported triggers as they are written: a YAML list of conditions, or one bare map.

Source: `notifications-engine pkg/triggers`, `argo-cd docs/operator-manual/notifications/triggers.md`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from notifications.core.expressions import Expression, compile_expression
from notifications.core.yamls import as_text, load_yaml
from notifications.errors import ConfigError, ExpressionError

MAX_CONDITIONS = 100


@dataclass(frozen=True)
class TriggerCondition:
    """One condition. `identity` is the hash part of its key; two equal `when` in one trigger get `…#1`, `…#2`.

    `expression` and `once_per` are None when the text is missing or, with `problem`, when it cannot be compiled.
    """

    key: str
    identity: str
    when: str
    once_per_text: str
    send: tuple[str, ...]
    description: str
    expression: Expression | None
    once_per: Expression | None
    problem: ExpressionError | None

    @property
    def reads_clock(self) -> bool:
        """Its value may change although nothing happened."""
        return any(part is not None and part.reads_clock for part in (self.expression, self.once_per))


@dataclass(frozen=True)
class Trigger:
    """A named list of conditions; `remarks` says what was read leniently."""

    name: str
    conditions: tuple[TriggerCondition, ...]
    remarks: tuple[str, ...] = ()

    @property
    def reads_clock(self) -> bool:
        """Must also be asked every 60 s."""
        return any(condition.reads_clock for condition in self.conditions)


def condition_key(index: int, when: str) -> str:
    """`[<index>].` and the unpadded URL-safe base64 of the SHA-1 of the text of `when`."""
    return f"[{index}].{_identity(when)}"


def _identity(when: str) -> str:
    digest = hashlib.sha1(when.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def read_trigger(name: str, text: str) -> Trigger:
    """ConfigError when the YAML is no list of maps; a bad condition is off and keeps its own problem."""
    loaded = load_yaml(text)
    remarks: tuple[str, ...] = ()
    if isinstance(loaded, dict):
        loaded, remarks = [loaded], ("one bare map is read as a list of one condition",)
    if not isinstance(loaded, list) or not all(isinstance(item, dict) for item in loaded):
        raise ConfigError("shape", "a trigger is a list of conditions", "begin each condition with - when: …")
    if len(loaded) > MAX_CONDITIONS:
        raise ConfigError("too_large", f"a trigger may have {MAX_CONDITIONS} conditions")
    seen: dict[str, int] = {}
    conditions = []
    for index, item in enumerate(loaded):
        condition = _condition(index, {str(key).lower(): value for key, value in item.items()}, seen)
        conditions.append(condition)
    return Trigger(name, tuple(conditions), remarks)


def _condition(index: int, item: Mapping[str, Any], seen: dict[str, int]) -> TriggerCondition:
    when, once_per = as_text(item.get("when")), as_text(item.get("onceper"))
    identity = _identity(when)
    seen[identity] = seen.get(identity, 0) + 1
    if seen[identity] > 1:
        identity = f"{identity}#{seen[identity] - 1}"
    compiled: list[Expression | None] = []
    problem: ExpressionError | None = None
    for text in (when, once_per):
        try:
            compiled.append(compile_expression(text) if text.strip() else None)
        except ExpressionError as found:
            compiled.append(None)
            problem = problem or found
    return TriggerCondition(
        key=condition_key(index, when),
        identity=identity,
        when=when,
        once_per_text=once_per,
        send=tuple(name for name in _names(item.get("send")) if name),
        description=as_text(item.get("description")),
        expression=compiled[0],
        once_per=compiled[1],
        problem=problem,
    )


def _names(value: object) -> list[str]:
    return [as_text(item) for item in value] if isinstance(value, list) else [as_text(value)]
