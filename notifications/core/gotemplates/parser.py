"""Parts to nodes: blocks, pipelines and operands (notifications.md 4.2). Names of functions are checked here."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import notifications.core.gotemplates.nodes as nodes
from notifications.core.gotemplates.lexer import Part, Token, split
from notifications.core.gotemplates.nodes import Body, Place
from notifications.errors import TemplateError

MAX_DEPTH = 40
_CLOSERS = ("end", "else")
_NEVER = frozenset(["env", "expandenv", "getHostByName"])


@dataclass(frozen=True)
class Template:
    """A parsed template: its own body and the bodies that it defines by name."""

    body: Body
    defined: Mapping[str, Body]


def parse(source: str, functions: Collection[str]) -> Template:
    """`functions` are the known names. Raises TemplateError with line and column."""
    parser = _Parser(split(source), functions)
    body, closer = parser.body(in_loop=False)
    if closer is not None:
        raise error(closer.place, f"unexpected {closer.value}")
    return Template(body, parser.defined)


def error(place: Place, sentence: str, hint: str = "", code: str = "syntax") -> TemplateError:
    """A TemplateError at a place."""
    return TemplateError(code, sentence, hint, line=place.line, column=place.column)


class _Parser:
    def __init__(self, parts: list[Part], functions: Collection[str]) -> None:
        self.parts = parts
        self.at = 0
        self.functions = functions
        self.defined: dict[str, Body] = {}
        self.depth = 0
        self.variables = ["$"]

    def body(self, *, in_loop: bool) -> tuple[Body, Token | None]:
        """Nodes up to `end`, `else` (returned) or the end of the source (None); the closer's part stays current."""
        found: list[nodes.Node] = []
        while self.at < len(self.parts):
            part = self.parts[self.at]
            if part.tokens is None:
                self.at += 1
                found.append(nodes.Text(part.place, part.text))
                continue
            first = part.tokens[0]
            if first.kind == "word" and first.value in _CLOSERS:
                return tuple(found), first
            self.at += 1
            found.extend(self.action(part, _Tokens(part.tokens), in_loop=in_loop))
        return tuple(found), None

    def action(self, part: Part, tokens: _Tokens, *, in_loop: bool) -> list[nodes.Node]:
        first = tokens.peek()
        word = first.value if first.kind == "word" else ""
        if word in ("if", "with", "range"):
            tokens.take()
            return [self.branch(part.place, str(word), tokens, in_loop=in_loop or word == "range")]
        if word in ("break", "continue"):
            tokens.take()
            tokens.finished(f"after {word}")
            if not in_loop:
                raise error(first.place, f"{word} outside of range")
            return [nodes.Jump(part.place, str(word))]
        if word in ("define", "block", "template"):
            tokens.take()
            return self.named(part.place, str(word), tokens)
        if first.kind == "end":
            raise error(part.place, "an action is empty")
        pipe = self.pipe(tokens, "in an action")
        return [nodes.Action(part.place, pipe)]

    def branch(self, place: Place, word: str, tokens: _Tokens, *, in_loop: bool) -> nodes.Branch:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise error(place, f"nested more than {MAX_DEPTH} deep", code="too_large")
        known = len(self.variables)
        pipe = self.pipe(tokens, f"in {word}", most_variables=2 if word == "range" else 1)
        scoped = len(self.variables)
        body, closer = self.body(in_loop=in_loop)
        del self.variables[scoped:]
        otherwise: Body = ()
        if closer is None:
            raise error(place, f"{word} has no end", "close it with {{ end }}")
        rest = self.closing(closer)
        if closer.value == "else":
            if rest.peek().kind == "word" and rest.peek().value in ("if", "with") and word != "range":
                again = rest.take()
                if again.value != word:
                    raise error(again.place, f"else {again.value} belongs to {again.value}, not to {word}")
                otherwise = (self.branch(again.place, word, rest, in_loop=in_loop),)
            else:
                rest.finished("after else")
                otherwise, closer = self.body(in_loop=in_loop)
                if closer is None or closer.value != "end":
                    raise error(place, f"{word} has no end", "close it with {{ end }}")
                self.closing(closer).finished("after end")
        else:
            rest.finished("after end")
        del self.variables[known:]
        self.depth -= 1
        return nodes.Branch(place, word, pipe, body, otherwise)

    def closing(self, closer: Token) -> _Tokens:
        tokens = _Tokens(self.parts[self.at].tokens or (closer,))
        self.at += 1
        tokens.take()
        return tokens

    def named(self, place: Place, word: str, tokens: _Tokens) -> list[nodes.Node]:
        name = tokens.take()
        if name.kind != "constant" or not isinstance(name.value, str):
            raise error(name.place, f"{word} needs a name in quotes")
        pipe = None if word == "define" or tokens.peek().kind == "end" else self.pipe(tokens, f"in {word}")
        tokens.finished(f"after {word}")
        if word != "template":
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise error(place, f"nested more than {MAX_DEPTH} deep", code="too_large")
            outer, self.variables = self.variables, ["$"]
            body, closer = self.body(in_loop=False)
            self.variables = outer
            if closer is None or closer.value != "end":
                raise error(place, f"{word} has no end", "close it with {{ end }}")
            self.closing(closer).finished("after end")
            self.defined[name.value] = body
            self.depth -= 1
        return [] if word == "define" else [nodes.Include(place, name.value, pipe)]

    # -- pipelines

    def pipe(self, tokens: _Tokens, where: str, *, most_variables: int = 1, end: str = "") -> nodes.Pipe:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise error(tokens.peek().place, f"nested more than {MAX_DEPTH} deep", code="too_large")
        place = tokens.peek().place
        variables, declares = ((), False) if end else self.declaration(tokens, most_variables)
        commands = [self.command(tokens, where, end)]
        while tokens.takes("|"):
            commands.append(self.command(tokens, where, end))
        if not end:
            tokens.finished(where)
        for later in commands[1:]:
            if isinstance(later.operands[0], nodes.Constant):
                raise error(later.place, "after | only a function can stand")
        if declares:
            self.variables.extend(variables)
        self.depth -= 1
        return nodes.Pipe(place, variables, declares, tuple(commands))

    def declaration(self, tokens: _Tokens, most: int) -> tuple[tuple[str, ...], bool]:
        start = tokens.at
        names: list[str] = []
        while tokens.peek().kind == "variable":
            names.append(str(tokens.take().value))
            if not tokens.takes(","):
                break
        operator = tokens.takes(":=", "=") if names else None
        if operator is None:
            tokens.at = start
            return (), False
        if len(names) > most:
            raise error(operator.place, "too many variables here")
        declares = operator.value == ":="
        for name in names:
            if not declares and name not in self.variables:
                raise error(operator.place, f"undefined variable {name}")
        return tuple(names), declares

    def command(self, tokens: _Tokens, where: str, end: str) -> nodes.Command:
        place = tokens.peek().place
        operands: list[nodes.Operand] = []
        while True:
            token = tokens.peek()
            if token.kind == "end" or (token.kind == "op" and token.value in ("|", end or "|")):
                break
            if operands and not token.spaced and not (token.kind == "op" and token.value == "("):
                raise error(token.place, f"unexpected {token.value!r}", "put a space before it")
            operands.append(self.operand(tokens))
        if not operands:
            raise error(place, f"a value is missing {where}")
        first = operands[0]
        if isinstance(first, nodes.Constant) and first.value is None and len(operands) == 1 and not end:
            raise error(place, "nil is not a command")
        return nodes.Command(place, tuple(operands))

    def operand(self, tokens: _Tokens) -> nodes.Operand:
        token = tokens.take()
        if token.kind == "constant":
            return nodes.Constant(token.place, token.value)
        if token.kind == "dot":
            return nodes.Path(token.place, "", ())
        if token.kind == "field":
            return nodes.Path(token.place, "", (token.value, *self.fields(tokens)))
        if token.kind == "variable":
            if token.value not in self.variables:
                raise error(token.place, f"undefined variable {token.value}")
            return nodes.Path(token.place, token.value, self.fields(tokens))
        if token.kind == "word":
            return self.word(token)
        if token.kind == "op" and token.value == "(":
            pipe = self.pipe(tokens, "in the brackets", end=")")
            if not tokens.takes(")"):
                raise error(token.place, "this bracket has no end")
            return nodes.Path(token.place, pipe, self.fields(tokens))
        raise error(token.place, f"unexpected {token.value!r}" if token.value else "a value is missing")

    def word(self, token: Token) -> nodes.Operand:
        if token.value in ("true", "false"):
            return nodes.Constant(token.place, token.value == "true")
        if token.value == "nil":
            return nodes.Constant(token.place, None)
        if token.value in self.functions:
            return nodes.Function(token.place, token.value)
        if token.value in _NEVER:
            hint = "templates cannot read the environment or the network"
        else:
            near = difflib.get_close_matches(token.value, sorted(self.functions), 1)
            hint = f"did you mean {near[0]}?" if near else ""
        raise error(token.place, f"unknown function {token.value[:60]}", hint, "unknown_function")

    def fields(self, tokens: _Tokens) -> tuple[str, ...]:
        names: list[str] = []
        while tokens.peek().kind == "field" and not tokens.peek().spaced:
            names.append(str(tokens.take().value))
        return tuple(names)


class _Tokens:
    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def takes(self, *values: str) -> Token | None:
        return self.take() if self.peek().kind == "op" and self.peek().value in values else None

    def finished(self, where: str) -> None:
        if self.peek().kind != "end":
            raise error(self.peek().place, f"unexpected {self.peek().value!r} {where}")
