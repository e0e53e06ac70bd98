"""The cursor over the tokens: what stands here, what must come next, and how big the expression may grow."""

from __future__ import annotations

from collections.abc import Callable

from notifications.core.expressions.lexer import Token
from notifications.core.expressions.nodes import Node, Place
from notifications.errors import ExpressionError

MAX_NODES = 500
MAX_DEPTH = 40


def error(place: Place, sentence: str, hint: str = "", code: str = "syntax") -> ExpressionError:
    """An ExpressionError at a place."""
    return ExpressionError(code, sentence, hint, line=place.line, column=place.column)


def shown(token: Token) -> str:
    """A token in the words of an error text."""
    return "the end" if token.kind == "end" else repr(str(token.value)[:30])


class Cursor:
    """Where the parser is. `counted` and `nested` enforce the limits of notifications.md 3.5."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.nodes = 0
        self.depth = 0
        self.in_predicate = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.token
        self.at += token.kind != "end"
        return token

    def sees(self, *values: str) -> bool:
        return self.token.kind in ("op", "word") and self.token.value in values

    def takes(self, *values: str) -> Token | None:
        return self.take() if self.sees(*values) else None

    def needs(self, value: str, after: str) -> Token:
        token = self.takes(value)
        if token is None:
            raise error(self.token.place, f"expected {value} {after}, found {shown(self.token)}")
        return token

    def counted(self, node: Node) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise error(
                node.place, f"an expression may have {MAX_NODES} parts", "split the condition", "too_large"
            )
        return node

    def nested(self, inner: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise error(
                self.token.place, f"nested more than {MAX_DEPTH} deep", "split the condition", "too_large"
            )
        node = inner()
        self.depth -= 1
        return node
