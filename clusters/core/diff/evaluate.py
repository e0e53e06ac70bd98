"""Which places of an object a path expression names, and the object without them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.core.diff.expressions import (
    Both,
    Call,
    Condition,
    Each,
    Field,
    Index,
    Literally,
    Look,
    Step,
)

MAX_VISITS = 10_000
Place = tuple[str | int, ...]


class Unevaluated(Exception):
    """An expression has no answer for this object; the message says why. What it names is then not ignored."""


class TooMuch(Unevaluated):
    """An expression visits more than MAX_VISITS nodes of this object."""

    def __init__(self) -> None:
        super().__init__("visits more than 10,000 nodes")


def places(steps: tuple[Step, ...], obj: Any) -> list[Place]:
    """The existing places that the expression names, as keys and indices. Raises TooMuch."""
    found: list[tuple[Place, Any]] = [((), obj)]
    visits = 0
    for step in steps:
        following: list[tuple[Place, Any]] = []
        for place, value in found:
            following += _one(step, place, value)
            visits += 1
            if visits + len(following) > MAX_VISITS:
                raise TooMuch
        found = following
    return [place for place, _ in found]


def pointed(parts: tuple[str, ...], obj: Any) -> list[Place]:
    """The place of a JSON pointer, when it exists."""
    place: list[str | int] = []
    for part in parts:
        if isinstance(obj, dict) and part in obj:
            place.append(part)
            obj = obj[part]
        elif isinstance(obj, list) and part.isdecimal() and len(part) < 10 and int(part) < len(obj):
            place.append(int(part))
            obj = obj[int(part)]
        else:
            return []
    return [tuple(place)]


def exists(place: Place, obj: Any) -> bool:
    """Whether there is anything at this place; jq names places that are not there, too."""
    held: Any = obj
    for part in place:
        keys: Any = held if isinstance(held, dict) else range(len(held)) if isinstance(held, list) else ()
        if part not in keys:
            return False
        held = held[part]
    return True


def without(obj: Any, gone: Iterable[Place]) -> Any:
    """`obj` without these places; parts that keep everything are shared with it."""
    below: dict[str | int, list[Place]] = {}
    for place in gone:
        if place:
            below.setdefault(place[0], []).append(place[1:])
    if not below:
        return obj
    removed = {head for head, rests in below.items() if () in rests}
    if isinstance(obj, dict):
        return {k: without(v, below[k]) if k in below else v for k, v in obj.items() if k not in removed}
    return [without(v, below[i]) if i in below else v for i, v in enumerate(obj) if i not in removed]


def holds(condition: Condition, value: Any) -> bool:
    """Whether a condition is true of a value: everything but false and null is."""
    result = _evaluate(condition, value)
    return result is not None and result is not False


def _one(step: Step, place: Place, value: Any) -> list[tuple[Place, Any]]:
    if isinstance(step, Field):
        return (
            [((*place, step.name), value[step.name])]
            if isinstance(value, dict) and step.name in value
            else []
        )
    if isinstance(step, Index):
        number = step.number + len(value) if step.number < 0 and isinstance(value, list) else step.number
        inside = isinstance(value, list) and 0 <= number < len(value)
        return [((*place, number), value[number])] if inside else []
    if isinstance(step, Each):
        if isinstance(value, list):
            return [((*place, index), item) for index, item in enumerate(value)]
        return [((*place, name), item) for name, item in value.items()] if isinstance(value, dict) else []
    return [(place, value)] if holds(step.condition, value) else []


def _evaluate(condition: Condition, value: Any) -> Any:
    if isinstance(condition, Literally):
        return condition.value
    if isinstance(condition, Look):
        return _look(condition, value)
    if isinstance(condition, Call):
        return _call(condition, value)
    return _both(condition, value)


def _look(condition: Look, value: Any) -> Any:
    for step in condition.steps:
        found = _one(step, (), value)
        if not found:
            return None
        value = found[0][1]
    return value


def _call(condition: Call, value: Any) -> bool:
    if condition.name == "not":
        return value is None or value is False
    if not isinstance(value, str):
        return False
    if condition.name == "startswith":
        return value.startswith(condition.argument)
    if condition.name == "endswith":
        return value.endswith(condition.argument)
    return condition.argument.search(value) is not None


def _both(condition: Both, value: Any) -> Any:
    if condition.operator == "|":
        return _evaluate(condition.right, _evaluate(condition.left, value))
    if condition.operator == "and":
        return holds(condition.left, value) and holds(condition.right, value)
    if condition.operator == "or":
        return holds(condition.left, value) or holds(condition.right, value)
    left, right = _evaluate(condition.left, value), _evaluate(condition.right, value)
    same = left == right and isinstance(left, bool) == isinstance(right, bool)
    return same if condition.operator == "==" else not same
