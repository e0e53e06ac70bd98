"""The values that expressions and templates handle, and how Go judges and prints them.

Values are None, bool, int, float, str, list, dict, `gotimes.Time`, `gotimes.Duration`, `Struct`, `Func` and `NOTHING`
(the result of asking a map for a key that it does not have; templates tell it from a null, expressions do not).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

INT_LOW, INT_HIGH = -(2**63), 2**63 - 1
_DEPTH = 40


class Nothing:
    """There is no such key. One instance: `NOTHING`."""

    KIND: ClassVar[str] = "nothing"

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = Nothing()


@dataclass(frozen=True)
class Func:
    """Something that can be called with `least` to `most` values (None: any number).

    `call` raises ValueError with a sentence that begins with a verb ("needs a time, not text").
    """

    name: str
    call: Callable[..., object]
    least: int = 0
    most: int | None = None
    KIND: ClassVar[str] = "a function"

    def fits(self, count: int) -> bool:
        return count >= self.least and (self.most is None or count <= self.most)

    def wants(self) -> str:
        """How many values it takes, for a sentence: `1 value`, `2 to 3 values`, `at least 1 value`."""
        if self.most is None:
            return f"at least {self.least} value{'s' * (self.least != 1)}"
        if self.least == self.most:
            return f"{self.least} value{'s' * (self.least != 1)}"
        return f"{self.least} to {self.most} values"


@dataclass(frozen=True)
class Struct:
    """A closed set of named fields and methods, such as `repo` or the metadata of a commit."""

    fields: Mapping[str, Any]
    methods: Mapping[str, Func] = field(default_factory=dict)
    KIND: ClassVar[str] = "an object"


def kind_of(value: object) -> str:
    """What a value is, in the words of the error texts."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "a truth value"
    for kind, say in (
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "a map"),
    ):
        if isinstance(value, kind):
            return say
    return str(getattr(type(value), "KIND", "an unknown value"))


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def truth(value: object) -> bool:
    """Go template truth: false are false, 0, "", nil, nothing, an empty list or map."""
    if isinstance(value, bool | int | float | str | list | dict):
        return bool(value)
    return value is not None and value is not NOTHING


def go_text(value: object) -> str:
    """`%v`: `true`, `[a b]`, `map[a:1 b:2]`, `<nil>`, times and durations as Go prints them."""
    return _text(value, 0)


def _text(value: object, depth: int) -> str:
    if depth > _DEPTH:
        raise ValueError("a value nested more than 40 deep")
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, list):
        return "[" + " ".join(_text(item, depth + 1) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{_text(key, depth + 1)}:{_text(value[key], depth + 1)}" for key in sorted(value, key=str))
        return "map[" + " ".join(pairs) + "]"
    if isinstance(value, Struct):
        return "{" + " ".join(_text(item, depth + 1) for item in value.fields.values()) + "}"
    return "<no value>" if value is NOTHING else str(value)


def float_text(value: float) -> str:
    """The shortest text that reads back as the same number, with an exponent from 1e+21 and below 1e-4.

    Go would write an exponent from 1e+06 already; people who print a count that came as JSON want `1000000`.
    """
    if math.isinf(value) or math.isnan(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    if value == int(value) and abs(value) < 1e21:
        return ("-" if math.copysign(1, value) < 0 and not value else "") + str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    digits, exponent = text.split("e")
    return f"{digits}e{exponent[0]}{exponent[1:].zfill(2)}"


def fits_int(number: int) -> int:
    """The number itself; ValueError outside 64 bits, where Go would wrap silently."""
    if not INT_LOW <= number <= INT_HIGH:
        raise ValueError("makes a number that does not fit 64 bits")
    return number
