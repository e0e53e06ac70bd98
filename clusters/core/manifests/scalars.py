"""From the text of a YAML scalar to its value, as Kubernetes' parser resolves it (table in sources.md 5)."""

from __future__ import annotations

import base64
import binascii
import re
import struct

Scalar = str | int | float | bool | None

TAG_PREFIX = "tag:yaml.org,2002:"
_HINTS = frozenset("0123456789+-.yYnNtTfFoO~")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INFINITE = (".inf", ".Inf", ".INF")
_NOT_JSON = frozenset(
    (
        *_INFINITE,
        *("+" + word for word in _INFINITE),
        *("-" + word for word in _INFINITE),
        ".nan",
        ".NaN",
        ".NAN",
    )
)
_INTEGERS = (
    (re.compile(r"[-+]?0[bB][01]+\Z"), 2),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+\Z"), 16),
    (re.compile(r"[-+]?0[oO]?[0-7]+\Z"), 8),
    (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,20})\Z"), 10),
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INT64 = 2**63


def plain(text: str) -> Scalar:
    """The value of an untagged, unquoted scalar. Raises ValueError for what JSON cannot hold (`.inf`, `.nan`)."""
    if text and text[0] not in _HINTS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOT_JSON:
        raise ValueError(f"{text} is not a number that JSON can hold")
    first = text[0]
    if first in "0123456789+-":
        value = _number(text.replace("_", ""))
    elif first == "." and _FLOAT.match(text):
        value = _float(text)
    else:
        value = None
    return text if value is None else value


def tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit tag. Unknown tags are dropped; ValueError where text and tag disagree."""
    name = tag.removeprefix(TAG_PREFIX)
    if name == tag or name not in ("bool", "int", "float", "null", "binary"):
        return text
    if name == "binary":
        return _binary(text)
    value = plain(text)
    fits = {
        "bool": isinstance(value, bool),
        "null": value is None,
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
    }[name]
    if not fits:
        raise ValueError(f"the text is not a !!{name}")
    return value


def key_text(value: Scalar) -> str:
    """How a scalar is written when it is a key. Raises ValueError for null."""
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError("null cannot be a key")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _short_float(value)


def json_number(value: float) -> int | float:
    """Whole floats become integers where 64 bits hold them. Raises ValueError for infinities."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("the number is too large")
    return int(value) if value.is_integer() and abs(value) < _INT64 else value


def integer(digits: str) -> int | float:
    """A decimal integer; beyond 64 bits the nearest double, as the API server reads it. ValueError if that is infinite."""
    value = int(digits) if len(digits) < 25 else _INT64
    return value if -_INT64 <= value < _INT64 else json_number(float(digits))


def _number(text: str) -> int | float | None:
    for pattern, base in _INTEGERS:
        if pattern.match(text):
            value = int(text.replace("o", "").replace("O", ""), base)
            if -_INT64 <= value < 2 * _INT64:
                return value if value < _INT64 else float(value)
            break
    return _float(text) if _FLOAT.match(text) else None


def _float(text: str) -> int | float | None:
    try:
        return json_number(float(text))
    except ValueError:
        return None  # `1e400` stays text, as kubectl has it


def _binary(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("the !!binary text is not base64 of UTF-8") from error


def _short_float(value: float) -> str:
    """The shortest decimal that is the same 32-bit float: that is how Kubernetes' converter prints a float key."""
    try:
        single = struct.pack("f", value)
    except OverflowError:
        return f"{value:.9g}"
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next((text for text in texts if struct.pack("f", float(text)) == single), f"{value:.9g}")
