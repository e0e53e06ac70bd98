"""Arithmetic in the Sprig manner: whatever reads as a number is one; 64 bits, and overflow is an error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from notifications.core.gotemplates.functions.registry import Row
from notifications.core.govalues import fits_int


def _folded(act: Callable[[int, int], int]) -> Callable[..., int]:
    def call(first: int, *others: int) -> int:
        for other in others:
            first = fits_int(act(first, other))
        return first

    return call


def _div(left: int, right: int) -> int:
    if not right:
        raise ValueError("by zero")
    whole = abs(left) // abs(right)
    return fits_int(-whole if (left < 0) != (right < 0) else whole)


def _mod(left: int, right: int) -> int:
    if not right:
        raise ValueError("by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _stepped(step: Callable[[float], Any]) -> Callable[[float], float]:
    def call(value: float) -> float:
        return float(step(value)) if math.isfinite(value) else value

    return call


def _round(value: float, places: int = 0) -> float:
    """Half away from zero, as people and Sprig round."""
    if not math.isfinite(value) or abs(places) > 15:
        return value
    scale = 10.0**places
    scaled = abs(value) * scale
    return math.copysign(math.floor(scaled + 0.5) / scale, value) if math.isfinite(scaled) else value


TABLE = (
    Row("add", "nn*", _folded(lambda left, right: left + right), "raw"),
    Row("add1", "n", lambda value: fits_int(value + 1), "raw"),
    Row("sub", "nn", lambda left, right: fits_int(left - right), "raw"),
    Row("mul", "nn*", _folded(lambda left, right: left * right), "raw"),
    Row("div", "nn", _div, "raw"),
    Row("mod", "nn", _mod, "raw"),
    Row("max", "nn*", lambda *values: max(values), "raw"),
    Row("min", "nn*", lambda *values: min(values), "raw"),
    Row("floor", "f", _stepped(math.floor), "raw"),
    Row("ceil", "f", _stepped(math.ceil), "raw"),
    Row("round", "fn?", _round, "raw"),
)
