"""Functions on texts, with the argument order of Sprig."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from notifications.core.gotemplates.functions.printing import text_of, to_text
from notifications.core.gotemplates.functions.registry import MAX_ITEMS, Row, bounded, width
from notifications.core.govalues import NOTHING
from notifications.core.marks import raw

_WORD_START = re.compile(r"(^|[\s(\[{\"'/-])(\w)")


def spans(text: str, part: str) -> list[tuple[int, int]]:
    """Where `part` stands in `text`, looked for without marks; marks are one for one, so places carry over."""
    whole, wanted = raw(text), raw(part)
    if not wanted:
        return [(place, place) for place in range(len(whole) + 1)]
    return [found.span() for found in re.finditer(re.escape(wanted), whole)]


def pieces(text: str, part: str) -> list[str]:
    """`text` cut at every `part`; an empty part cuts between all characters."""
    if not part:
        found = list(text)
    else:
        at, found = 0, []
        for start, end in spans(text, part):
            found.append(text[at:start])
            at = end
        found.append(text[at:])
    if len(found) > MAX_ITEMS:
        raise ValueError(f"makes a list of more than {MAX_ITEMS} items")
    return found


def replaced(old: str, new: str, text: str) -> str:
    """All `old` in `text` become `new`."""
    places = spans(text, old)
    bounded(len(text) + len(places) * len(new))
    made, at = [], 0
    for start, end in places:
        made += [text[at:start], new]
        at = end
    return "".join(made) + text[at:]


def _stripped(chars: str | None, text: str, *, left: bool = True, right: bool = True) -> str:
    plain = raw(text)
    wanted = None if chars is None else raw(chars)
    start = len(plain) - len(plain.lstrip(wanted)) if left else 0
    end = len(plain.rstrip(wanted)) if right else len(plain)
    return text[start:end] if start < end else ""


def _trunc(count: int, text: str) -> str:
    return text[count:] if count < 0 else text[:count]


def _abbrev(most: int, text: str) -> str:
    if most < 4:
        return text
    return text if len(text) <= most else text[: most - 3] + "..."


def _substr(start: int, end: int, text: str) -> str:
    if start < 0:
        return text[: max(end, 0)]
    return text[start:] if end < 0 or end > len(text) else text[start:end]


def _indent(count: int, text: str) -> str:
    pad = " " * max(width(count), 0)
    bounded(len(text) + (text.count("\n") + 1) * len(pad))
    return pad + text.replace("\n", "\n" + pad)


def _repeat(count: int, text: str) -> str:
    bounded(max(width(count), 0) * len(text))
    return text * max(count, 0)


def _wrap(most: int, text: str) -> str:
    lines = text.split("\n")
    return "\n".join(
        textwrap.fill(line, max(width(most), 1), break_long_words=False, break_on_hyphens=False)
        for line in lines
    )


def _title(text: str) -> str:
    return _WORD_START.sub(lambda found: found[1] + found[2].upper(), text)


def _untitle(text: str) -> str:
    return re.sub(r"(^|\s)(\w)", lambda found: found[1] + found[2].lower(), text)


def _words(text: str) -> list[str]:
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return [word for word in re.split(r"[\s_\-.]+", parted) if word]


def _cat(*values: Any) -> str:
    return " ".join(text_of(value) for value in values if value is not None and value is not NOTHING)


def _fail(sentence: str) -> str:
    raise ValueError(f"says: {sentence}")


def _js(text: str) -> str:
    """Go's JSEscape, except that marks stay: they become entities later, which need no escape here."""
    table = {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "<": "\\u003C",
        ">": "\\u003E",
        "&": "\\u0026",
        "=": "\\u003D",
    }
    made = [table.get(char) or (f"\\u{ord(char):04X}" if ord(char) < 32 else char) for char in text]
    return "".join(made)


def _html(text: str) -> str:
    table = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"}
    return "".join(table.get(char, char) for char in text)


TABLE = (
    Row("upper", "s", str.upper),
    Row("lower", "s", str.lower),
    Row("title", "s", _title),
    Row("untitle", "s", _untitle),
    Row("trim", "s", lambda text: _stripped(None, text)),
    Row("trimAll", "ss", _stripped),
    Row(
        "trimPrefix", "ss", lambda part, text: text[len(part) :] if raw(text).startswith(raw(part)) else text
    ),
    Row(
        "trimSuffix",
        "ss",
        lambda part, text: text[: len(text) - len(part)] if raw(text).endswith(raw(part)) else text,
    ),
    Row("trunc", "is", _trunc),
    Row("abbrev", "is", _abbrev),
    Row("substr", "iis", _substr),
    Row("replace", "sss", replaced),
    Row("contains", "ss", lambda part, text: part in text, "raw"),
    Row("hasPrefix", "ss", lambda part, text: text.startswith(part), "raw"),
    Row("hasSuffix", "ss", lambda part, text: text.endswith(part), "raw"),
    Row("repeat", "is", _repeat),
    Row("nospace", "s", lambda text: re.sub(r"\s+", "", text)),
    Row("indent", "is", _indent),
    Row("nindent", "is", lambda count, text: "\n" + _indent(count, text)),
    Row("wrap", "is", _wrap),
    Row("plural", "ssi", lambda one, many, count: one if count == 1 else many),
    Row("cat", "v*", _cat),
    Row("camelcase", "s", lambda text: "".join(word[:1].upper() + word[1:].lower() for word in _words(text))),
    Row("snakecase", "s", lambda text: "_".join(_words(text)).lower()),
    Row("kebabcase", "s", lambda text: "-".join(_words(text)).lower()),
    Row("split", "ss", lambda part, text: {f"_{n}": piece for n, piece in enumerate(pieces(text, part))}),
    Row("splitList", "ss", lambda part, text: pieces(text, part)),
    Row("join", "sv", lambda part, value: _join(part, value)),
    Row("toStrings", "l", lambda items: [to_text(item) for item in items]),
    Row("fail", "s", _fail),
    Row("js", "v*", lambda *values: _js("".join(text_of(value) for value in values))),
    Row("html", "v*", lambda *values: _html("".join(text_of(value) for value in values)), "raw"),
)


def _join(part: str, value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    texts = [to_text(item) for item in items if item is not None and item is not NOTHING]
    bounded(sum(len(text) + len(part) for text in texts))
    return part.join(texts)
