"""The form of a template function, and how its arguments are read.

`kinds` has one letter per parameter: `s` text, `i` whole number, `n` anything that reads as a whole number, `f` as a
number, `l` list, `m` map, `b` truth value, `v` anything; `?` after a letter makes it optional, `*` repeats it.
`marks` says what the function does with marked data (see core/marks): `keep` passes marks through, `raw` looks at the
text without marks and its result is not data (a count, an encoding), `data` the same but its result is data again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from notifications.core.gotimes import Clock
from notifications.core.govalues import NOTHING, fits_int, is_number, kind_of, truth

MAX_WIDTH = 10_000
MAX_OUTPUT = 256 * 1024
MAX_ITEMS = 10_000


class Surroundings(Protocol):
    """What a function may use besides its arguments."""

    clock: Clock

    def remark(self, text: str) -> None: ...


@dataclass(frozen=True)
class Row:
    """One function. `call` raises ValueError with a sentence; `surrounded` ones get the Surroundings first."""

    name: str
    kinds: str
    call: Callable[..., Any]
    marks: str = "keep"
    surrounded: bool = False


def parameters(kinds: str) -> tuple[list[str], int, bool]:
    """The letters, how many of them are needed, and whether the last one repeats."""
    letters = [letter for letter in kinds if letter not in "?*"]
    optional = kinds.count("?") + kinds.count("*")
    return letters, len(letters) - optional, kinds.endswith("*")


def read(kind: str, value: Any, name: str, world: Surroundings) -> Any:
    """One argument as its letter says; ValueError when it cannot be. Nothing is "", 0, [] or {} with a remark."""
    if kind == "v":
        return value
    if value is NOTHING or value is None:
        world.remark(f"{name} was given nothing")
        return {"s": "", "i": 0, "n": 0, "f": 0.0, "l": [], "m": {}, "b": False}[kind]
    if kind == "s" and isinstance(value, str):
        return value
    if kind == "i" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "l" and isinstance(value, list):
        return value
    if kind == "m" and isinstance(value, dict):
        return value
    if kind == "b":
        return truth(value)
    if kind == "n":
        return whole(value)
    if kind == "f":
        return number(value)
    wanted = {"s": "text", "i": "a whole number", "l": "a list", "m": "a map"}[kind]
    raise ValueError(f"needs {wanted}, not {kind_of(value)}")


def whole(value: Any) -> int:
    """As Sprig casts: numbers are cut, texts are read, what cannot be read is 0."""
    if isinstance(value, bool | int):
        return int(value)
    try:
        if isinstance(value, float):
            return fits_int(int(value))
        if isinstance(value, str) and len(value) <= 40:
            return fits_int(int(value.strip() or "0"))
    except (ValueError, OverflowError):
        return 0
    return 0


def number(value: Any) -> float:
    """The same for numbers with decimals."""
    if is_number(value) or isinstance(value, bool):
        return float(value)
    try:
        return float(value) if isinstance(value, str) and len(value) <= 400 else 0.0
    except ValueError:
        return 0.0


def bounded(size: int) -> None:
    """ValueError when a text of `size` characters is about to be built and that is too much."""
    if size > MAX_OUTPUT:
        raise ValueError("makes a text of more than 256 KiB")


def width(value: int) -> int:
    """A width or count that a template asks for; ValueError above 10,000."""
    if abs(value) > MAX_WIDTH:
        raise ValueError(f"has a width or count above {MAX_WIDTH}")
    return value
