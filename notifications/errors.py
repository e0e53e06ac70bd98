"""The error tree of the room *notifications*: a code, a sentence, a hint that can be typed, and whether repeating helps.

Sentences are cut here; secrets are taken out by whoever puts an answer of the far side into one.
"""

from __future__ import annotations

_LONGEST = 500


class NotificationError(Exception):
    """Base of all. `permanent`: the same input fails again until something else changes."""

    def __init__(self, code: str, sentence: str, hint: str = "", *, permanent: bool = True) -> None:
        self.code = code
        self.sentence = sentence if len(sentence) <= _LONGEST else sentence[: _LONGEST - 1] + "…"
        self.hint = hint
        self.permanent = permanent
        super().__init__(self.sentence)


class PlacedError(NotificationError):
    """An error that points into a text people wrote. `line` and `column` count from 1; 0 means no place is known."""

    def __init__(self, code: str, sentence: str, hint: str = "", *, line: int = 0, column: int = 0) -> None:
        super().__init__(code, sentence, hint)
        self.line = line
        self.column = column

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return place + self.sentence


class ExpressionError(PlacedError):
    """A `when`, `oncePer` or selector text that cannot be compiled (`syntax`, `unsupported`, `unknown_function`,
    `too_large`) or whose evaluation stopped (`value`, `steps`)."""


class TemplateError(PlacedError):
    """A template that cannot be parsed or whose run stopped; the Delivery then carries the fallback.

    Codes: `syntax`, `unknown_function`, `too_large`, `value`, `steps`, `document`."""


class ConfigError(PlacedError):
    """One key of an imported or native configuration that was refused (`syntax`, `shape`, `unsupported`)."""
