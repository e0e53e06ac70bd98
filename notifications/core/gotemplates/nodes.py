"""What a Go template is once it is parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Constant:
    place: Place
    value: Any


@dataclass(frozen=True)
class Path:
    """`.a.b`, `$x.a.b` or `( … ).a.b`; `base` is "" for the dot, a variable name, or a Pipe."""

    place: Place
    base: str | Pipe
    names: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    place: Place
    name: str


Operand = Constant | Path | Function


@dataclass(frozen=True)
class Command:
    place: Place
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Pipe:
    """`$a, $b := c | d`; `declares` False with `variables` means `=`."""

    place: Place
    variables: tuple[str, ...]
    declares: bool
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class Text:
    place: Place
    text: str


@dataclass(frozen=True)
class Action:
    place: Place
    pipe: Pipe


@dataclass(frozen=True)
class Branch:
    """`if`, `with` or `range`: `word` says which."""

    place: Place
    word: str
    pipe: Pipe
    body: Body
    otherwise: Body


@dataclass(frozen=True)
class Jump:
    """`break` or `continue`."""

    place: Place
    word: str


@dataclass(frozen=True)
class Include:
    """`{{ template "name" pipe }}`."""

    place: Place
    name: str
    pipe: Pipe | None


Node = Text | Action | Branch | Jump | Include
Body = tuple[Node, ...]
