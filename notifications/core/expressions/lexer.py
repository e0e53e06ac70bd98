"""Text to tokens. What the language does not have is named here, with a hint, instead of failing as a riddle."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from notifications.core.expressions.nodes import Place
from notifications.core.govalues import INT_HIGH
from notifications.errors import ExpressionError

MAX_SOURCE = 4096
_GAP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F_]+|(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"\?\.(?!\d)|\?\?|\?:|==|!=|<=|>=|&&|\|\||\.\.|\*\*|[|?:,.()\[\]{}#<>+\-*/%!^;=$~@&]")
_ESCAPE = re.compile(r"\\(?:([ntr\\'\"`])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_MISSING = {
    "..": ("ranges (..)", "write the list out, or compare with < and >"),
    "**": ("powers (**)", "multiply"),
    "^": ("powers (^)", "multiply"),
    ";": ("several expressions (;)", "join them with and"),
    "$": ("$env", "use app, event or context"),
    "=": ("assignment (=)", "compare with =="),
    "&": ("a single &", "write and"),
    "~": ("~", ""),
    "@": ("@", ""),
}
MISSING_WORDS = {
    "let": ("let", "write the expression in place of the variable"),
    "if": ("if { }", "write test ? one : other"),
    "reduce": ("reduce", "use count, any, all or filter"),
    "groupBy": ("groupBy", "use filter"),
    "sortBy": ("sortBy", "use filter or first"),
}


class Token(NamedTuple):
    """`kind` is number, text, word, op or end; `value` the number, the text, the word or the operator."""

    kind: str
    value: Any
    place: Place


class _Lexer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.line, self.line_start = 1, 0

    def place(self) -> Place:
        return Place(self.line, self.at - self.line_start + 1)

    def move(self, end: int) -> None:
        newlines = self.source.count("\n", self.at, end)
        if newlines:
            self.line += newlines
            self.line_start = self.source.rfind("\n", self.at, end) + 1
        self.at = end

    def fail(self, sentence: str, hint: str = "", code: str = "syntax") -> ExpressionError:
        place = self.place()
        return ExpressionError(code, sentence, hint, line=place.line, column=place.column)

    def tokens(self) -> list[Token]:
        found: list[Token] = []
        while True:
            gap = _GAP.match(self.source, self.at)
            if gap:
                self.move(gap.end())
            if self.at >= len(self.source):
                return [*found, Token("end", "", self.place())]
            found.append(self.token())
            if found[-1].value == "let" and found[-1].kind == "word" and not _is_member(found):
                what, hint = MISSING_WORDS["let"]
                place = found[-1].place
                raise ExpressionError(
                    "unsupported", f"{what} not supported", hint, line=place.line, column=place.column
                )

    def token(self) -> Token:
        place, char = self.place(), self.source[self.at]
        if char in "'\"`":
            return Token("text", self.text(char), place)
        if char in "bB" and self.source[self.at + 1 : self.at + 2] in ("'", '"'):
            raise self.fail("bytes are not supported", "leave out the b", "unsupported")
        number = _NUMBER.match(self.source, self.at)
        if number:
            value = self.number(number[0], number.end())
            self.move(number.end())
            return Token("number", value, place)
        word = _WORD.match(self.source, self.at)
        if word:
            self.move(word.end())
            return Token("word", word[0], place)
        if self.source.startswith("/*", self.at):
            raise self.fail("this comment has no end", "close it with */")
        operator = _OPERATOR.match(self.source, self.at)
        if operator is None:
            raise self.fail(f"{char!r} means nothing here")
        if operator[0] in _MISSING:
            what, hint = _MISSING[operator[0]]
            raise self.fail(f"{what} not supported", hint, "unsupported")
        self.move(operator.end())
        return Token("op", operator[0], place)

    def number(self, text: str, end: int) -> int | float:
        following = self.source[end : end + 1]
        if following.isalnum() or following == "_":
            raise self.fail("this is not a number", "numbers are written 10, 1_000, 0x1F, 1.5, .5 or 1e3")
        bare = text.replace("_", "")
        if bare[:2] in ("0x", "0X") or bare.isdigit():
            value: int | float = int(bare, 16) if bare[:2] in ("0x", "0X") else int(bare)
            if value > INT_HIGH:
                raise self.fail("this number does not fit 64 bits")
            return value
        value = float(bare)
        if value == float("inf"):
            raise self.fail("this number does not fit 64 bits")
        return value

    def text(self, quote: str) -> str:
        if quote == "`":
            end = self.source.find("`", self.at + 1)
            if end < 0:
                raise self.fail("this text has no end", "close it with `")
            raw = self.source[self.at + 1 : end]
            self.move(end + 1)
            return raw
        parts: list[str] = []
        at = self.at + 1
        while True:
            char = self.source[at : at + 1]
            if char in ("", "\n"):
                raise self.fail("this text has no end", f"close it with {quote}")
            if char == quote:
                self.move(at + 1)
                return "".join(parts)
            if char == "\\":
                escape = _ESCAPE.match(self.source, at)
                if escape is None:
                    self.move(at)
                    raise self.fail("unknown escape in a text", "write a backslash as \\\\")
                parts.append(_unescaped(escape))
                at = escape.end()
            else:
                parts.append(char)
                at += 1


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return _ESCAPED.get(escape[1], escape[1])
    code = int(escape[2] or escape[3], 16)
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)


def _is_member(tokens: list[Token]) -> bool:
    return len(tokens) > 1 and tokens[-2].value in (".", "?.")


def tokenize(source: str) -> list[Token]:
    """All tokens and one `end`. Raises ExpressionError with the place."""
    if len(source.encode("utf-8", "replace")) > MAX_SOURCE:
        raise ExpressionError(
            "too_large", "an expression may have 4 KiB", "split the condition", line=1, column=1
        )
    return _Lexer(source).tokens()
