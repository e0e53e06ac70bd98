"""What an expression is once it is parsed. Every node knows its place; chains are flat, so nesting is real nesting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Literal:
    place: Place
    value: Any


@dataclass(frozen=True)
class Name:
    place: Place
    name: str


@dataclass(frozen=True)
class Item:
    """`#`: the item that the predicate looks at."""

    place: Place


@dataclass(frozen=True)
class ListOf:
    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True)
class MapOf:
    place: Place
    pairs: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True)
class Call:
    """A built-in function on values."""

    place: Place
    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Predicate:
    """`all`, `any`, `filter` … : `body` is evaluated for each item of `items`."""

    place: Place
    name: str
    items: Node
    body: Node


@dataclass(frozen=True)
class Field:
    """Chain step `.name` or `?.name`."""

    place: Place
    name: str
    optional: bool


@dataclass(frozen=True)
class Method:
    """Chain step `.name(args)`."""

    place: Place
    name: str
    optional: bool
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Index:
    """Chain step `[key]` or `?.[key]`."""

    place: Place
    key: Node
    optional: bool


@dataclass(frozen=True)
class Slice:
    """Chain step `[low:high]`."""

    place: Place
    low: Node | None
    high: Node | None


@dataclass(frozen=True)
class Chain:
    """A value and the steps after it; an optional step on nil makes the whole chain nil."""

    place: Place
    base: Node
    steps: tuple[Field | Method | Index | Slice, ...]


@dataclass(frozen=True)
class Unary:
    """`not`, `+` or `-`."""

    place: Place
    operator: str
    operand: Node


@dataclass(frozen=True)
class Logic:
    """`and`, `or` or `??` over two or more operands, from the left, stopping early."""

    place: Place
    operator: str
    operands: tuple[Node, ...]


class Step(NamedTuple):
    """One operator and what stands to its right."""

    place: Place
    operator: str
    operand: Node


@dataclass(frozen=True)
class Sums:
    """Arithmetic of one precedence, from the left."""

    place: Place
    first: Node
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Relations:
    """Relations from the left; `1 < x < 5` compares each neighbour pair."""

    place: Place
    first: Node
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Choice:
    """`test ? yes : no`; with `yes` None it is `test ?: no`."""

    place: Place
    test: Node
    yes: Node | None
    no: Node


Node = (
    Literal
    | Name
    | Item
    | ListOf
    | MapOf
    | Call
    | Predicate
    | Chain
    | Unary
    | Logic
    | Sums
    | Relations
    | Choice
)
