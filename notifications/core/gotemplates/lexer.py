"""Source to texts and actions; an action to tokens. Source of the rules: the documentation of Go's text/template."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Any, NamedTuple

from notifications.core.gotemplates.nodes import Place
from notifications.core.govalues import INT_HIGH
from notifications.errors import TemplateError

MAX_SOURCE = 64 * 1024
_SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<text>"(?:\\.|[^"\\\n])*")|(?P<raw>`[^`]*`)|(?P<char>'(?:\\.|[^'\\\n])+')
    |(?P<field>\.[^\W\d]\w*)
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?))
    |(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>[^\W\d]\w*)|(?P<op>:=|[=|(),])""",
    re.VERBOSE,
)
_CLOSE = re.compile(r"[ \t\r\n]+-\}\}|\}\}")
_COMMENT = re.compile(r"/\*.*?\*/(?P<trim>[ \t\r\n]+-)?\}\}", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))", re.DOTALL
)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Token(NamedTuple):
    """`kind`: constant, field, dot, variable, word, op or end. `spaced`: white space stood before it."""

    kind: str
    value: Any
    place: Place
    spaced: bool


class Part(NamedTuple):
    """A piece of the source: plain text, or the tokens of one action."""

    place: Place
    text: str
    tokens: tuple[Token, ...] | None


class _Source:
    def __init__(self, source: str) -> None:
        self.source = source
        self.starts = [0, *(found.end() for found in re.finditer("\n", source))]

    def place(self, at: int) -> Place:
        line = bisect_right(self.starts, at)
        return Place(line, at - self.starts[line - 1] + 1)

    def fail(self, at: int, sentence: str, hint: str = "") -> TemplateError:
        place = self.place(at)
        return TemplateError("syntax", sentence, hint, line=place.line, column=place.column)


def split(text: str) -> list[Part]:
    """Texts (already trimmed by the markers) and actions, in order. Raises TemplateError."""
    if len(text.encode("utf-8", "replace")) > MAX_SOURCE:
        raise TemplateError("too_large", "a template may have 64 KiB", line=1, column=1)
    source = _Source(text)
    parts: list[Part] = []
    at, trim_next = 0, False
    while True:
        start = text.find("{{", at)
        plain = text[at:] if start < 0 else text[at:start]
        if trim_next:
            plain = plain.lstrip(_SPACE)
        trims = (
            start >= 0 and text.startswith("-", start + 2) and text[start + 3 : start + 4] in tuple(_SPACE)
        )
        if trims:
            plain = plain.rstrip(_SPACE)
        if plain:
            parts.append(Part(source.place(at), plain, None))
        if start < 0:
            return parts
        inside = start + 3 if trims else start + 2
        tokens, at, trim_next = _action(source, start, inside)
        if tokens is not None:
            parts.append(Part(source.place(start), "", tokens))


def _action(source: _Source, start: int, at: int) -> tuple[tuple[Token, ...] | None, int, bool]:
    """The tokens (None for a comment), where the text goes on, and whether white space there is trimmed."""
    text = source.source
    spaces = len(text[at:]) - len(text[at:].lstrip(_SPACE))
    if text.startswith("/*", at + spaces) and (not spaces or text[start + 2 : start + 3] == "-"):
        comment = _COMMENT.match(text, at + spaces)
        if comment is None:
            raise source.fail(start, "this comment has no end", "close it with */}}")
        return None, comment.end(), bool(comment["trim"])
    tokens: list[Token] = []
    spaced = False
    while True:
        close = _CLOSE.match(text, at)
        if close:
            tokens.append(Token("end", "", source.place(at), spaced))
            return tuple(tokens), close.end(), close[0] != "}}"
        found = _TOKEN.match(text, at)
        if found is None:
            if at >= len(text):
                raise source.fail(start, "this action has no end", "close it with }}")
            raise source.fail(at, f"{text[at]!r} means nothing here")
        if found.lastgroup == "space":
            spaced = True
        else:
            tokens.append(_token(source, found, spaced))
            spaced = False
        at = found.end()


def _token(source: _Source, found: re.Match[str], spaced: bool) -> Token:
    kind, text, place = str(found.lastgroup), found[0], source.place(found.start())
    try:
        if kind in ("text", "char"):
            value: Any = _unquoted(text[1:-1])
            if kind == "char":
                if len(value) != 1:
                    raise ValueError("a character constant has one character")
                value = ord(value)
            return Token("constant", value, place, spaced)
        if kind == "raw":
            return Token("constant", text[1:-1].replace("\r", ""), place, spaced)
        if kind == "number":
            if source.source[found.end() : found.end() + 1].isalnum():
                raise ValueError("this is not a number")
            return Token("constant", _number(text.replace("_", "")), place, spaced)
    except ValueError as problem:
        raise source.fail(found.start(), str(problem)) from None
    return Token(kind, text[1:] if kind == "field" else text, place, spaced)


def _number(text: str) -> int | float:
    try:
        bare = text.lstrip("+-")
        octal = len(bare) > 1 and bare.isdigit() and bare[0] == "0"
        value = int(text, 8) if octal else int(text, 0)
    except ValueError:
        made = float(text)
        if made in (float("inf"), float("-inf")):
            raise ValueError("this number is too large") from None
        return made
    if abs(value) > INT_HIGH:
        raise ValueError("this number does not fit 64 bits")
    return value


def _unquoted(text: str) -> str:
    def char(found: re.Match[str]) -> str:
        if found[1]:
            return _ESCAPED.get(found[1], found[1])
        if found[2]:
            return chr(int(found[2], 8) & 255)
        digits = found[3] or found[4] or found[5]
        if not digits:
            raise ValueError(f"unknown escape \\{found[6]} in a text")
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ValueError("an escape names no character")
        return chr(code)

    return _ESCAPE.sub(char, text)
