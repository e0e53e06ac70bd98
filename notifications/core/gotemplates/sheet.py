"""What a rendering has written so far, and what it may still spend."""

from __future__ import annotations

from typing import NamedTuple

from notifications.core.gotemplates.functions.registry import MAX_OUTPUT
from notifications.core.gotemplates.nodes import Place
from notifications.core.gotemplates.parser import error

MAX_STEPS = 50_000


class Piece(NamedTuple):
    """`printed`: the result of an action, else the template's own text. `escaped`: an escaping function made it."""

    text: str
    printed: bool
    escaped: bool


class Sheet:
    """Pieces, steps and the place where the rendering is."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.written = 0
        self.steps = 0
        self.place = Place(1, 1)

    def spend(self, place: Place, steps: int = 1) -> None:
        self.place = place
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise error(place, f"stopped after {MAX_STEPS} steps", "look at fewer items", "steps")

    def write(self, text: str, place: Place, *, printed: bool, escaped: bool = False) -> None:
        self.written += len(text)
        if self.written > MAX_OUTPUT:
            raise error(place, "the output has more than 256 KiB", code="too_large")
        if text:
            self.pieces.append(Piece(text, printed, escaped))
