"""JSON and YAML fields of templates: a printed value is a value and never structure (notifications.md 4.3).

    json_text(rendered) -> str          JSON as text, every printed value in its place; marks and secrets still inside
    parse(rendered) -> value            JSON or YAML as plain values, marks and secrets still inside
    for_slack(value) -> value           marks to entities, links checked          plain(value) -> value  without marks

All raise TemplateError("document") when the result is not one valid document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

import notifications.core.marks as marks
from notifications.core.gotemplates import Piece, Rendered
from notifications.core.links import safe_link
from notifications.core.yamls import load_yaml
from notifications.errors import ConfigError, TemplateError

_HINT = "print values inside quotes, or as a whole with toJson"
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile("\ufde2(\\d+)\ufde3")
_LINKS = frozenset(
    ["title_link", "author_link", "author_icon", "footer_icon", "image_url", "thumb_url", "url", "from_url", "original_url"]
)  # fmt: skip
# Identifiers that Slack compares: an entity in them would be a change.
_IDENTIFIERS = frozenset(["type", "style", "color", "action_id", "block_id", "callback_id"])
# Data may spell a special character as a JSON escape; once decoded it must still be known as data.
_SPELLED = re.compile(r"\\\\|\\u00(?:3[cC]|3[eE]|26)")


def _fail(sentence: str, hint: str = "") -> TemplateError:
    return TemplateError("document", sentence, hint)


def parse(rendered: Rendered) -> Any:
    """JSON when the text begins with a bracket, else YAML; None for a blank text."""
    text = rendered.text.strip()
    if not text:
        return None
    if text[0] in "{[" or (rendered.pieces and rendered.pieces[0].printed):
        return _loads(_assembled(rendered, _remarked))
    return _Yaml(rendered.pieces).value()


# -- JSON


def json_text(rendered: Rendered) -> str:
    """The template's own text as it is; printed values escaped in strings, and complete values outside of them."""
    text = _assembled(rendered, str)
    _loads(text)
    return text


def _assembled(rendered: Rendered, printed: Callable[[str], str]) -> str:
    made: list[str] = []
    in_string = pending = False
    for piece in rendered.pieces:
        if not piece.printed:
            in_string, pending = _scanned(piece.text, in_string, pending)
            made.append(piece.text)
        elif pending:
            raise _fail("a value is printed right after a backslash", "leave the backslash out")
        else:
            made.append(printed(_string_body(piece) if in_string else _whole_value(piece.text)))
    return "".join(made)


def _remarked(escaped: str) -> str:
    """`\\u003c` and its like in a printed value become marks, so that decoding does not make a mention of them."""
    return _SPELLED.sub(
        lambda found: (
            found[0] if found[0] == "\\\\" else str(marks.mark(chr(int(found[0][2:], 16)), marks.SLACK))
        ),
        escaped,
    )


def _scanned(text: str, in_string: bool, pending: bool) -> tuple[bool, bool]:
    """Inside a string? after a backslash? once `text` has been read."""
    for char in text:
        if pending:
            pending = False
        elif in_string and char == "\\":
            pending = True
        elif char == '"':
            in_string = not in_string
    return in_string, pending


def _string_body(piece: Piece) -> str:
    if piece.escaped:
        body = piece.text.replace("\\'", "'")  # Go's js escapes the apostrophe, which JSON does not know
        if decoded(body) is not None:
            return body
    return json.dumps(piece.text, ensure_ascii=False)[1:-1]


def decoded(body: str) -> str | None:
    """What a JSON string with this body means; None when it is not a valid body."""
    try:
        found = json.loads(f'"{body}"', strict=False)
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _whole_value(text: str) -> str:
    if not text.strip():
        return text
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise _fail("a value printed outside of quotes is not one JSON value", _HINT) from None
    return text


def _loads(text: str) -> Any:
    try:
        return json.loads(text, strict=False, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        said = problem.msg if isinstance(problem, json.JSONDecodeError) else str(problem)
        line, column = (
            (problem.lineno, problem.colno) if isinstance(problem, json.JSONDecodeError) else (0, 0)
        )
        raise TemplateError(
            "document", f"not valid JSON: {said[:120]}", _HINT, line=line, column=column
        ) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A printed key must not take the place of another one."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {key[:40]!r} stands twice")
        made[key] = value
    return made


# -- YAML


class _Yaml:
    """Printed values enter the text as numbered tokens and are put back after parsing, scalar by scalar."""

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self.pieces = pieces
        self.text = "".join(
            f"\ufde2{number}\ufde3" if piece.printed else piece.text for number, piece in enumerate(pieces)
        )

    def value(self) -> Any:
        outer = self

        class Loader(yaml.SafeLoader):
            def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
                if isinstance(node, yaml.ScalarNode) and _TOKEN.search(node.value):
                    return outer.scalar(node, self)
                return super().construct_object(node, deep)

        try:
            return load_yaml(self.text, Loader)
        except ConfigError as problem:
            raise TemplateError(
                "document", _TOKEN.sub("…", problem.sentence), _HINT, line=problem.line, column=problem.column
            ) from None

    def scalar(self, node: yaml.ScalarNode, loader: yaml.SafeLoader) -> Any:
        whole = _TOKEN.fullmatch(node.value)
        if whole and node.style is None:
            piece = self.pieces[int(whole[1])]
            return self.typed(piece, loader)
        return _TOKEN.sub(lambda found: self.inside(self.pieces[int(found[1])], node.style), node.value)

    def typed(self, piece: Piece, loader: yaml.SafeLoader) -> Any:
        """A value that stands alone: a scalar of its own kind, or the JSON that `toJson` made."""
        if piece.escaped:
            try:
                return json.loads(_remarked(piece.text))
            except (ValueError, RecursionError):
                return piece.text
        tag = loader.resolve(yaml.ScalarNode, piece.text, (True, False))  # type: ignore[no-untyped-call]
        simple = tag.rpartition(":")[2] in ("int", "float", "bool", "null")
        if not simple or len(piece.text) > 40:
            return piece.text
        return loader.construct_object(yaml.ScalarNode(tag, piece.text))

    def inside(self, piece: Piece, style: str | None) -> str:
        if piece.escaped and style == '"':
            meant = decoded(_remarked(piece.text.replace("\\'", "'")))
            if meant is not None:
                return meant
        return piece.text


# -- what leaves


def for_slack(value: Any, key: str = "") -> Any:
    """Texts with entities for what was data; link keys only if they are links; identifiers as they were."""
    if isinstance(value, str):
        return whole(marks.hide(marks.raw(value) if key in _IDENTIFIERS else marks.finish(value)))
    if isinstance(value, list):
        return [for_slack(item, key) for item in value]
    if isinstance(value, dict):
        made: dict[str, Any] = {}
        for name, item in value.items():
            name = whole(str(marks.raw(name)))
            if name in _LINKS and isinstance(item, str):
                link = safe_link(marks.hide(marks.raw(item)), mail=True)
                if link is not None:
                    made[name] = link
            else:
                made[name] = for_slack(item, name)
        return made
    return value


def plain(value: Any) -> Any:
    """The values without marks and secrets."""
    return whole(marks.hide(marks.raw(value)))


def whole(value: Any) -> Any:
    """Without halves of surrogate pairs: `"\\ud800"` is valid JSON and no character; no channel could send it."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {whole(key): whole(item) for key, item in value.items()}
    return value
