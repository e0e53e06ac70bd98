"""One pattern language for paths and names: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `\\x` (access-and-api.md 1.2).

By default `*` and `?` match any text, `/` included (directory sources, sources.md 4.3). With `segments=True` they
stay within one path segment and `**` crosses them (source URLs). Matching is linear in time: the pattern becomes
an automaton, never a backtracking search.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

_MAX_LENGTH, _MAX_WILDCARDS, _MAX_ALTERNATIVES = 512, 16, 64


class InvalidGlob(ValueError):
    """The pattern does not compile; `position` counts characters from 0."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern."""

    pattern: str
    _compiled: Any = field(repr=False, compare=False)
    # By far the commonest pattern needs no automaton.
    _is_any: bool = field(default=False, repr=False, compare=False)

    def matches(self, text: str) -> bool:
        return self._is_any or self._compiled.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def compile_glob(pattern: str, *, segments: bool = False) -> Glob:
    """Compile a pattern. Raises InvalidGlob with a reason and a position (rules PR1, PR2)."""
    if len(pattern) > _MAX_LENGTH:
        raise InvalidGlob(f"is longer than {_MAX_LENGTH} characters", _MAX_LENGTH)
    expression = _Translation(pattern, segments).whole()
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 4 << 20
    options.dot_nl = True
    try:
        return Glob(pattern, re2.compile(expression, options), pattern == "*" and not segments)
    except re2.error as error:
        raise InvalidGlob("is too complex", 0) from error


class _Translation:
    """One walk over the pattern, left to right."""

    def __init__(self, pattern: str, segments: bool) -> None:
        self.pattern = pattern
        self.any = "[^/]" if segments else "."
        self.segments = segments
        self.position = 0
        self.wildcards = self.alternatives = 0
        self.open_at: list[int] = []

    def whole(self) -> str:
        parts: list[str] = []
        while self.position < len(self.pattern):
            sign = self.pattern[self.position]
            self.position += 1
            parts.append(self._sign(sign))
        if self.open_at:
            raise InvalidGlob("is not closed", self.open_at[-1])
        return "".join(parts)

    def _sign(self, sign: str) -> str:
        match sign:
            case "*":
                return self._star()
            case "?":
                self._count_wildcard()
                return self.any
            case "[":
                return self._class()
            case "\\":
                return str(re2.escape(self._next("ends in a single \\")))
            case "{":
                self.open_at.append(self.position - 1)
                return "(?:"
            case "}" if self.open_at:
                self.open_at.pop()
                return ")"
            case "," if self.open_at:
                self.alternatives += 1
                if self.alternatives >= _MAX_ALTERNATIVES:
                    raise InvalidGlob(f"has more than {_MAX_ALTERNATIVES} alternatives", self.position - 1)
                return "|"
            case _:
                return str(re2.escape(sign))

    def _star(self) -> str:
        start = self.position
        while self.pattern[self.position : self.position + 1] == "*":
            self.position += 1
        self._count_wildcard()
        return ".*" if self.position > start else f"{self.any}*"

    def _class(self) -> str:
        start = self.position - 1
        negated = self.pattern[self.position : self.position + 1] == "!"
        self.position += negated
        items: list[str] = []
        while (sign := self._next("is not closed", start)) != "]" or not items:
            if sign == "\\":
                sign = self._next("is not closed", start)
            if self.pattern[self.position : self.position + 1] == "-" and self.pattern[
                self.position + 1 : self.position + 2
            ] not in ("]", ""):
                self.position += 1
                last = self._next("is not closed", start)
                if last < sign:
                    raise InvalidGlob(f"has the range {sign}-{last} the wrong way round", start)
                items.append(f"{re2.escape(sign)}-{re2.escape(last)}")
            else:
                items.append(re2.escape(sign))
        body = "".join(items)
        if negated:
            return f"[^{body}/]" if self.segments else f"[^{body}]"
        return f"[{body}]"

    def _next(self, reason: str, at: int | None = None) -> str:
        if self.position >= len(self.pattern):
            raise InvalidGlob(reason, self.position if at is None else at)
        self.position += 1
        return self.pattern[self.position - 1]

    def _count_wildcard(self) -> None:
        self.wildcards += 1
        if self.wildcards > _MAX_WILDCARDS:
            raise InvalidGlob(f"has more than {_MAX_WILDCARDS} wildcards", self.position - 1)
