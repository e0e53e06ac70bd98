"""The bounded path language: the part of jq that names paths and cannot run away (sync-semantics.md 6.2).

`.a`, `."a.b"`, `["a"]`, `[0]`, `[]`, `?`, pipes, `select(<condition>)`; conditions: `==`, `!=`, `and`, `or`, `not`,
`startswith`, `endswith`, `test("<RE2>")`. At most 32 steps. Anything else is `Unsupported`: it would need a child.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

import re2

MAX_STEPS = 32
MAX_LENGTH = 1_000
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<number>-?[0-9]{1,15}(?:\.[0-9]{1,15})?)"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>==|!=|[.\[\]()|?]))""",
    re.ASCII,
)


class Unsupported(Exception):
    """The expression is outside the language; the message says at what."""


@dataclass(frozen=True, slots=True)
class Field:
    """`.name`"""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`[n]`"""

    number: int


@dataclass(frozen=True, slots=True)
class Each:
    """`[]`"""


@dataclass(frozen=True, slots=True)
class Select:
    """`select(condition)`"""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Look:
    """The value at a path; `.` is the value itself."""

    steps: tuple[Field | Index, ...]


@dataclass(frozen=True, slots=True)
class Literally:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Both:
    """Two conditions joined by `==`, `!=`, `and`, `or` or `|`."""

    operator: Literal["==", "!=", "and", "or", "|"]
    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Call:
    """`not`, or a text function with its constant argument (for `test` a compiled RE2 pattern)."""

    name: Literal["not", "startswith", "endswith", "test"]
    argument: Any = None


Condition = Look | Literally | Both | Call
Step = Field | Index | Each | Select


def parse_expression(text: str) -> tuple[Step, ...]:
    """The steps of a path expression. Raises Unsupported."""
    parser = _Parser(text)
    steps = parser.pipeline()
    parser.end()
    return steps


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """The parts of a JSON pointer (RFC 6901). Raises Unsupported when it does not begin with `/`."""
    if not pointer.startswith("/"):
        raise Unsupported(f"JSON pointer {pointer[:80]!r} does not begin with /")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


class _Parser:
    """Recursive descent; every token of a path and every bracket counts as a step, which bounds the depth too."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise Unsupported(f"longer than {MAX_LENGTH} characters")
        self.tokens = _tokens(text)
        self.position = 0
        self.steps = 0

    def pipeline(self) -> tuple[Step, ...]:
        steps = [*self._term()]
        while self._take("|"):
            steps += self._term()
        return tuple(steps)

    def end(self) -> None:
        if self.position < len(self.tokens):
            raise Unsupported(f"at {self.tokens[self.position][1][:40]!r}")

    def _term(self) -> list[Step]:
        if self._take("select"):
            self._count()
            self._need("(")
            condition = self._condition()
            self._need(")")
            return [Select(condition), *self._suffixes()]
        if self._take("("):
            self._count()
            inner = list(self.pipeline())
            self._need(")")
            return [*inner, *self._suffixes()]
        if self._peek() != ("sign", "."):
            raise Unsupported(f"at {self._peek()[1][:40]!r}: a path begins with a dot")
        return self._path()

    def _path(self) -> list[Step]:
        """`.` followed by names and brackets; `.` alone is the value itself."""
        self._need(".")
        kind, text = self._peek()
        first: list[Step] = []
        if kind in ("word", "text") and text not in ("and", "or", "not"):
            first = [self._name()]
        return [*first, *self._suffixes()]

    def _suffixes(self) -> list[Step]:
        steps: list[Step] = []
        while True:
            if self._take("?"):
                continue  # a missing path is no error here
            if self._take("."):
                steps += self._brackets() if self._peek() == ("sign", "[") else [self._name()]
            elif self._peek() == ("sign", "["):
                steps += self._brackets()
            else:
                return steps

    def _brackets(self) -> list[Step]:
        self._need("[")
        self._count()
        kind, text = self._peek()
        if kind == "sign" and text == "]":
            self.position += 1
            return [Each()]
        self.position += 1
        if kind == "text":
            step: Step = Field(_text(text))
        elif kind == "number" and text.lstrip("-").isdigit():
            step = Index(int(text))
        else:
            raise Unsupported(f"at [{text[:40]}")
        self._need("]")
        return [step]

    def _name(self) -> Field:
        self._count()
        kind, text = self._peek()
        if kind not in ("word", "text"):
            raise Unsupported(f"at {text[:40]!r}: a name is expected")
        self.position += 1
        return Field(_text(text) if kind == "text" else text)

    def _condition(self) -> Condition:
        self._count()
        left = self._joined("or")
        while self._take("|"):
            left = Both("|", left, self._joined("or"))
        return left

    def _joined(self, operator: Literal["or", "and"]) -> Condition:
        left = self._joined("and") if operator == "or" else self._compared()
        while self._take(operator):
            self._count()
            left = Both(operator, left, self._joined("and") if operator == "or" else self._compared())
        return left

    def _compared(self) -> Condition:
        left = self._operand()
        if self._take("=="):
            return Both("==", left, self._operand())
        if self._take("!="):
            return Both("!=", left, self._operand())
        return left

    def _operand(self) -> Condition:
        kind, text = self._peek()
        if self._take("("):
            inner = self._condition()
            self._need(")")
            return inner
        if kind == "sign" and text == ".":
            steps = self._path()
            if not all(isinstance(step, Field | Index) for step in steps):
                raise Unsupported("[] inside a condition")
            return Look(tuple(step for step in steps if isinstance(step, Field | Index)))
        self.position += 1
        if kind == "text":
            return Literally(_text(text))
        if kind == "number":
            return Literally(float(text) if "." in text else int(text))
        if kind == "word" and text in ("true", "false", "null"):
            return Literally({"true": True, "false": False, "null": None}[text])
        return self._call(text)

    def _call(self, name: str) -> Condition:
        if name == "not":
            return Call("not")
        if name not in ("startswith", "endswith", "test"):
            raise Unsupported(f"at {name[:40]!r}")
        self._need("(")
        kind, text = self._peek()
        if kind != "text":
            raise Unsupported(f"{name} needs a constant text")
        self.position += 1
        self._need(")")
        argument = _text(text)
        if name == "test":
            return Call("test", _pattern(argument))
        return Call("startswith" if name == "startswith" else "endswith", argument)

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "the end")

    def _take(self, text: str) -> bool:
        kind, found = self._peek()
        if found == text and kind in ("sign", "word"):
            self.position += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise Unsupported(f"{text!r} is expected at {self._peek()[1][:40]!r}")

    def _count(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise Unsupported(f"more than {MAX_STEPS} steps")


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match or match.lastgroup is None:
            raise Unsupported(f"at {text[position : position + 20]!r}")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


def _text(token: str) -> str:
    try:
        value = json.loads(token)
    except ValueError:
        raise Unsupported(f"at {token[:40]}") from None
    return str(value)


def _pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error:
        raise Unsupported(f"{text[:80]!r} is no RE2 pattern") from None
