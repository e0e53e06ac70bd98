"""Tokens to nodes: one method per line of the grammar in notifications.md 3.3."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

import notifications.core.expressions.nodes as nodes
import notifications.core.regexes as regexes
from notifications.core.expressions.cursor import Cursor, error, shown
from notifications.core.expressions.functions import FUNCTIONS
from notifications.core.expressions.lexer import MISSING_WORDS, Token, tokenize
from notifications.core.expressions.nodes import Node, Place, Step
from notifications.core.namespaces import METHOD_NAMES, NAMESPACE_MEMBERS
from notifications.errors import ExpressionError

PREDICATES = frozenset(["all", "any", "none", "one", "filter", "map", "count", "find"])
_RELATIONS = frozenset(["==", "!=", "<", "<=", ">", ">="])
_WORD_RELATIONS = frozenset(["in", "contains", "matches", "startsWith", "endsWith"])
_CONSTANTS = {"nil": None, "true": True, "false": False}
_OPERATOR_WORDS = _WORD_RELATIONS | {"and", "or", "not"}


def parse(source: str) -> Node:
    """The whole text as one expression. Raises ExpressionError with line, column and, where possible, a hint."""
    return _Parser(tokenize(source)).whole()


class _Parser(Cursor):
    # -- the grammar, loosest first
    def whole(self) -> Node:
        if self.token.kind == "end":
            raise error(self.token.place, "the expression is empty")
        node = self.expression()
        if self.token.kind != "end":
            raise error(self.token.place, f"unexpected {shown(self.token)}", self.hint_after())
        return node

    def hint_after(self) -> str:
        return "write not in front of in, contains or matches" if self.sees("not") else ""

    def expression(self) -> Node:
        return self.nested(self._expression)

    def _expression(self) -> Node:
        node = self.choice()
        while self.sees("|"):
            _unmixed(node, self.take())
            name = self.take()
            if name.kind != "word" or not self.sees("("):
                raise error(name.place, "expected a function call after |", "write value | upper()")
            node = self.call(name, node)
        if short := self.takes("?:"):
            return self.counted(nodes.Choice(short.place, node, None, self.expression()))
        if question := self.takes("?"):
            yes = self.expression()
            self.needs(":", "in test ? one : other")
            return self.counted(nodes.Choice(question.place, node, yes, self.expression()))
        return node

    def choice(self) -> Node:
        return self.logic("or", ("or", "||"), self.both)

    def both(self) -> Node:
        return self.logic("and", ("and", "&&"), self.test)

    def logic(self, operator: str, spelled: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        operands = [operand()]
        place = self.token.place
        while self.sees(*spelled):
            _unmixed(operands[-1] if len(operands) == 1 else None, self.take())
            operands.append(operand())
        if len(operands) == 1:
            return operands[0]
        return self.counted(nodes.Logic(place, operator, tuple(operands)))

    def test(self) -> Node:
        first = self.sum()
        steps: list[Step] = []
        while True:
            place = self.token.place
            operator = self.relation()
            if not operator:
                break
            _unmixed(None if steps else first, Token("op", operator, place))
            operand = self.sum()
            if operator.endswith("matches"):
                _check_pattern(operand)
            steps.append(Step(place, operator, operand))
        return self.counted(nodes.Relations(steps[0].place, first, tuple(steps))) if steps else first

    def relation(self) -> str:
        if self.token.kind == "op" and self.token.value in _RELATIONS:
            return str(self.take().value)
        if self.token.kind != "word":
            return ""
        if self.token.value in _WORD_RELATIONS:
            return str(self.take().value)
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if self.token.value == "not" and following.kind == "word" and following.value in _WORD_RELATIONS:
            self.take()
            return f"not {self.take().value}"
        return ""

    def sum(self) -> Node:
        return self.sums(("+", "-"), self.product)

    def product(self) -> Node:
        return self.sums(("*", "/", "%"), self.unary)

    def sums(self, operators: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        first = operand()
        steps: list[Step] = []
        while self.token.kind == "op" and self.token.value in operators:
            operator = self.take()
            _unmixed(None if steps else first, operator)
            steps.append(Step(operator.place, operator.value, operand()))
        return self.counted(nodes.Sums(steps[0].place, first, tuple(steps))) if steps else first

    def unary(self) -> Node:
        if operator := self.takes("not", "!"):
            return self.counted(nodes.Unary(operator.place, "not", self.nested(self.product)))
        if operator := self.takes("+", "-"):
            inner = self.unary if self.sees("+", "-") else self.either
            return self.counted(nodes.Unary(operator.place, operator.value, self.nested(inner)))
        return self.either()

    def either(self) -> Node:
        return self.logic("??", ("??",), self.postfix)

    # -- atoms and what follows them

    def postfix(self) -> Node:
        base = self.atom()
        steps: list[nodes.Field | nodes.Method | nodes.Index | nodes.Slice] = []
        while self.token.kind == "op" and self.token.value in (".", "?.", "["):
            steps.append(self.chain_step(base, first=not steps))
            self.nodes += 1
        if self.sees("("):
            raise error(self.token.place, "only a name or a member can be called")
        return self.counted(nodes.Chain(steps[0].place, base, tuple(steps))) if steps else base

    def chain_step(
        self, base: Node, *, first: bool
    ) -> nodes.Field | nodes.Method | nodes.Index | nodes.Slice:
        operator = self.take()
        optional = operator.value == "?."
        if operator.value == "[" or (optional and self.takes("[")):
            return self.bracket(operator.place, optional=optional)
        word = self.take()
        if word.kind != "word":
            raise error(word.place, f"expected a name after {operator.value}, found {shown(word)}")
        namespace = base.name if first and isinstance(base, nodes.Name) else ""
        if self.sees("("):
            known = NAMESPACE_MEMBERS.get(namespace, METHOD_NAMES)
            if word.value not in known:
                raise _unknown_function(
                    word.place, f"{namespace}.{word.value}" if namespace else word.value, known
                )
            return nodes.Method(word.place, word.value, optional, self.arguments())
        if namespace in NAMESPACE_MEMBERS and word.value not in NAMESPACE_MEMBERS[namespace]:
            raise _unknown_function(word.place, f"{namespace}.{word.value}", NAMESPACE_MEMBERS[namespace])
        return nodes.Field(word.place, word.value, optional)

    def bracket(self, place: Place, *, optional: bool) -> nodes.Index | nodes.Slice:
        low = None if self.sees(":") else self.expression()
        if low is not None and self.takes("]"):
            return nodes.Index(place, low, optional)
        if optional:
            raise error(self.token.place, "expected ] after the key")
        self.needs(":", "or ] in the brackets")
        high = None if self.sees("]") else self.expression()
        self.needs("]", "at the end of the slice")
        return nodes.Slice(place, low, high)

    def atom(self) -> Node:
        token = self.take()
        if token.kind in ("number", "text"):
            return self.counted(nodes.Literal(token.place, token.value))
        if token.kind == "word":
            return self.word(token)
        if token.kind == "op":
            if token.value == "(":
                node = self.expression()
                self.needs(")", "to close the bracket")
                # A chain of no steps keeps what the brackets said: `(a ?? b) + c` is not a mix.
                return nodes.Chain(token.place, node, ())
            if token.value == "[":
                return self.counted(nodes.ListOf(token.place, self.items("]")))
            if token.value == "{":
                return self.counted(nodes.MapOf(token.place, self.pairs()))
            if token.value == "#":
                self.only_in_predicate(token)
                return self.counted(nodes.Item(token.place))
            if token.value == "." and self.token.kind == "word":
                self.only_in_predicate(token)
                self.at -= 1
                return self.counted(nodes.Item(token.place))
        raise error(token.place, f"expected a value, found {shown(token)}")

    def only_in_predicate(self, token: Token) -> None:
        if not self.in_predicate:
            raise error(
                token.place, f"{token.value} has a meaning only inside all, any, filter and their kind"
            )

    def word(self, token: Token) -> Node:
        if token.value in _CONSTANTS:
            return self.counted(nodes.Literal(token.place, _CONSTANTS[token.value]))
        if token.value in MISSING_WORDS and (self.sees("(") or token.value in ("let", "if")):
            what, hint = MISSING_WORDS[token.value]
            raise error(token.place, f"{what} not supported", hint, "unsupported")
        if token.value in _OPERATOR_WORDS:
            raise error(token.place, f"expected a value, found {token.value}")
        if self.sees("("):
            return self.call(token, None)
        return self.counted(nodes.Name(token.place, token.value))

    def call(self, name: Token, piped: Node | None) -> Node:
        if name.value in MISSING_WORDS:
            what, hint = MISSING_WORDS[name.value]
            raise error(name.place, f"{what} not supported", hint, "unsupported")
        if name.value in PREDICATES:
            return self.predicate(name, piped)
        function = FUNCTIONS.get(name.value)
        if function is None:
            raise _unknown_function(name.place, name.value, FUNCTIONS.keys() | PREDICATES)
        args = self.arguments()
        args = args if piped is None else (piped, *args)
        if not function.fits(len(args)):
            raise error(name.place, f"{name.value} takes {function.wants()}, not {len(args)}")
        return self.counted(nodes.Call(name.place, name.value, args))

    def predicate(self, name: Token, piped: Node | None) -> Node:
        self.needs("(", f"after {name.value}")
        items = piped
        if items is None:
            items = self.expression()
            self.needs(",", f"and a test in {name.value}")
        self.in_predicate += 1
        braces = self.takes("{")
        body = self.expression()
        if braces:
            self.needs("}", "at the end of the test")
        self.in_predicate -= 1
        self.takes(",")
        self.needs(")", f"at the end of {name.value}")
        return self.counted(nodes.Predicate(name.place, name.value, items, body))

    def arguments(self) -> tuple[Node, ...]:
        self.needs("(", "before the arguments")
        return self.items(")")

    def items(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.takes(end):
            found.append(self.expression())
            if not self.sees(end):
                self.needs(",", f"or {end}")
        return tuple(found)

    def pairs(self) -> tuple[tuple[Node, Node], ...]:
        found: list[tuple[Node, Node]] = []
        while not self.takes("}"):
            token = self.take()
            if token.kind == "op" and token.value == "(":
                key = self.expression()
                self.needs(")", "to close the key")
            elif token.kind in ("word", "text", "number"):
                key = nodes.Literal(token.place, str(token.value))
            else:
                raise error(token.place, f"expected a key, found {shown(token)}")
            self.needs(":", "after the key")
            found.append((key, self.expression()))
            if not self.sees("}"):
                self.needs(",", "or }")
        return tuple(found)


def _check_pattern(operand: Node) -> None:
    """A pattern that stands in the text is compiled now, so that its error is found before anything happens."""
    if isinstance(operand, nodes.Literal) and isinstance(operand.value, str):
        try:
            regexes.pattern(operand.value)
        except ValueError as problem:
            raise error(operand.place, f"matches {problem}", "RE2 syntax, without look-around") from None


def _unmixed(left: Node | None, operator: Token) -> None:
    """`a ?? b == c` reads two ways; expr-lang refuses it too."""
    if isinstance(left, nodes.Logic) and left.operator == "??" and operator.value != "??":
        raise error(operator.place, f"?? cannot be mixed with {operator.value}", "put a ?? b in brackets")


def _unknown_function(place: Place, name: str, known: Iterable[str]) -> ExpressionError:
    near = difflib.get_close_matches(name.rpartition(".")[2], sorted(known), 1)
    return error(
        place, f"unknown function {name[:60]}", f"did you mean {near[0]}?" if near else "", "unknown_function"
    )
