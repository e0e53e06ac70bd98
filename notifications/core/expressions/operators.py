"""What the operators do with two values (the table of notifications.md 3.3). Strict: no truthiness, no guessing.

All raise ValueError with a sentence; the evaluator adds the place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from notifications.core.gotimes import Duration, Time
from notifications.core.govalues import INT_HIGH, fits_int, is_number, kind_of
from notifications.core.regexes import matches

Spend = Callable[[int], None]
MAX_TEXT = 64 * 1024


def equal(left: object, right: object, spend: Spend) -> bool:
    """By value; integer and float compare as numbers, other kinds are unequal. Each compared item is a step."""
    spend(1)
    if is_number(left) and is_number(right):
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(equal(a, b, spend) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key], spend) for key in left)
    return type(left) is type(right) and left == right


def contained(left: object, right: object, spend: Spend) -> bool:
    """`in`: an item of a list or a key of a map; nil has nothing in it."""
    if right is None:
        return False
    if isinstance(right, dict):
        return isinstance(left, str) and left in right
    if isinstance(right, list):
        return any(equal(left, item, spend) for item in right)
    raise ValueError(f"in needs a list or a map on its right, not {kind_of(right)}")


def ordered(operator: str, left: Any, right: Any) -> bool:
    """`<` and friends: number, text, time, duration, each with its own kind."""
    same = (is_number(left) and is_number(right)) or any(
        isinstance(left, kind) and isinstance(right, kind) for kind in (str, Time, Duration)
    )
    if not same:
        raise ValueError(f"{operator} cannot compare {kind_of(left)} with {kind_of(right)}")
    if operator == "<":
        return bool(left < right)
    if operator == "<=":
        return bool(left <= right)
    return bool(left > right) if operator == ">" else bool(left >= right)


def text_relation(operator: str, left: object, right: object) -> bool:
    """`contains startsWith endsWith matches`: nil on either side is false, otherwise both must be text."""
    if left is None or right is None:
        return False
    if not isinstance(left, str) or not isinstance(right, str):
        raise ValueError(f"{operator} needs text on both sides, not {kind_of(left)} and {kind_of(right)}")
    if operator == "contains":
        return right in left
    if operator == "startsWith":
        return left.startswith(right)
    return left.endswith(right) if operator == "endsWith" else matches(right, left)


def arithmetic(operator: str, left: Any, right: Any) -> object:
    """64-bit numbers, texts with +, and times with durations."""
    if is_number(left) and is_number(right):
        return _numbers(operator, left, right)
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_TEXT:
            raise ValueError("+ makes a text of more than 64 KiB")
        return left + right
    timed = _timed(operator, left, right)
    if timed is None:
        raise ValueError(f"{operator} cannot join {kind_of(left)} and {kind_of(right)}")
    return timed


def _numbers(operator: str, left: int | float, right: int | float) -> int | float:
    if operator == "%":
        if isinstance(left, float) or isinstance(right, float):
            raise ValueError("% needs whole numbers")
        if not right:
            raise ValueError("% by zero")
        return _remainder(left, right)
    if operator == "/":
        if not right:
            raise ValueError("/ by zero")
        return left / right
    made = left + right if operator == "+" else left - right if operator == "-" else left * right
    if isinstance(made, float):
        if math.isinf(made):
            raise ValueError(f"{operator} makes a number that is too large")
        return made
    try:
        return fits_int(made)
    except ValueError as problem:
        raise ValueError(f"{operator} {problem}") from None


def _remainder(left: int, right: int) -> int:
    # As Go: the sign of the left side.
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _timed(operator: str, left: Any, right: Any) -> object | None:
    if isinstance(left, Time) and isinstance(right, Duration) and operator in "+-":
        return Time(left.ns + (right.ns if operator == "+" else -right.ns), left.zone)
    if isinstance(left, Duration) and isinstance(right, Time) and operator == "+":
        return Time(right.ns + left.ns, right.zone)
    if isinstance(left, Time) and isinstance(right, Time) and operator == "-":
        return Duration(left.ns - right.ns)
    if isinstance(left, Duration) and isinstance(right, Duration) and operator in "+-":
        return Duration(left.ns + (right.ns if operator == "+" else -right.ns))
    if operator == "*" and isinstance(left, Duration) and is_number(right):
        return _scaled(left, right)
    if operator == "*" and isinstance(right, Duration) and is_number(left):
        return _scaled(right, left)
    return None


def _scaled(span: Duration, factor: int | float) -> Duration:
    made = span.ns * factor
    if abs(made) > INT_HIGH:
        raise ValueError("* makes a duration longer than 292 years")
    return Duration(int(made))


def picked(value: Any, key: Any) -> Any:
    """`value[key]`: a missing key of a map is nil, a place outside a list or text is an error."""
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise ValueError(f"a map is asked by text, not by {kind_of(key)}")
        return value.get(key)
    if not isinstance(value, list | str):
        raise ValueError(f"{kind_of(value)} cannot be asked with [ ]")
    if not _whole(key):
        raise ValueError(f"the place in {kind_of(value)} must be a whole number, not {kind_of(key)}")
    if not -len(value) <= key < len(value):
        raise ValueError(f"{key} is out of range: there are {len(value)}")
    return value[key]


def cut(value: Any, low: Any, high: Any) -> Any:
    """`value[low:high]`; bounds outside the value are moved to its ends."""
    if not isinstance(value, list | str):
        raise ValueError(f"{kind_of(value)} cannot be cut with [ : ]")
    for bound in (low, high):
        if bound is not None and not _whole(bound):
            raise ValueError(f"the bound of a slice must be a whole number, not {kind_of(bound)}")
    return value[low:high]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
