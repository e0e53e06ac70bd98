"""Marks inside texts, so that what is data stays known as data until the text is finished (notifications.md 4.3).

Data that enters a template for Slack has its `&`, `<` and `>` exchanged for one noncharacter each. The characters
travel through every function one for one; comparisons and encoders look at the text without marks; at the end the
marks become entities and everything else, which the author of the template wrote, is left as it is. Secrets travel
as a name between two noncharacters and are put in at the moment of sending. Nothing that comes from outside may
contain these characters: `enter` exchanges them for U+FFFD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

SLACK = "&<>"
HTML = "&<>\"'"
_MARKS = {"&": "\ufdd0", "<": "\ufdd1", ">": "\ufdd2", '"': "\ufdd3", "'": "\ufdd4"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"}
_RAW = str.maketrans({mark: char for char, mark in _MARKS.items()})
_FINISHED = str.maketrans({mark: _ENTITIES[char] for char, mark in _MARKS.items()})
# Half a surrogate pair is no character; it would only fail later, where the text is written out.
_RESERVED = re.compile("[\ufdd0-\ufdef\ud800-\udfff]")
_SECRET = re.compile("\ufde0([A-Za-z0-9_.-]{1,253})\ufde1")
HIDDEN = "***"


class Secrets:
    """`.secrets` in a template: any name gives what stands for that secret until the moment of sending."""

    KIND = "the secrets"


def scrub(text: str) -> str:
    """The text without any character that has a meaning here."""
    return _RESERVED.sub("\ufffd", text)


def enter(value: Any, marking: str) -> Any:
    """A copy of JSON-like data for a template: scrubbed, and the characters of `marking` marked, keys included."""
    if isinstance(value, str):
        return mark(scrub(value), marking)
    if isinstance(value, list):
        return [enter(item, marking) for item in value]
    if isinstance(value, dict):
        return {enter(str(key), marking): enter(item, marking) for key, item in value.items()}
    return value


def mark(value: Any, marking: str) -> Any:
    """The texts in `value` with the characters of `marking` marked."""
    if not marking:
        return value
    if isinstance(value, str):
        return value.translate({ord(char): _MARKS[char] for char in marking})
    if isinstance(value, list):
        return [mark(item, marking) for item in value]
    if isinstance(value, dict):
        return {mark(key, marking): mark(item, marking) for key, item in value.items()}
    return value


def raw(value: Any) -> Any:
    """The texts in `value` as the data had them."""
    if isinstance(value, str):
        return value.translate(_RAW)
    if isinstance(value, list):
        return [raw(item) for item in value]
    if isinstance(value, dict):
        return {raw(key): raw(item) for key, item in value.items()}
    return value


def finish(text: str) -> str:
    """Marks become entities: the text as Slack or a mail program must get it."""
    return text.translate(_FINISHED)


def secret(name: str) -> str:
    """What stands for a secret until the moment of sending; ValueError for something that cannot be a name."""
    placeholder = f"\ufde0{name}\ufde1"
    if not _SECRET.fullmatch(placeholder):
        raise ValueError("needs the name of a secret")
    return placeholder


def hide(value: Any) -> Any:
    """Secrets as `***`, in every text of `value`: for everything that is stored, shown or sent without them."""
    if isinstance(value, str):
        return _SECRET.sub(HIDDEN, value) if "\ufde0" in value else value
    if isinstance(value, list):
        return [hide(item) for item in value]
    if isinstance(value, dict):
        return {hide(key): hide(item) for key, item in value.items()}
    return value


def fill(text: str, secrets: Mapping[str, str], *, in_json: bool = False) -> str:
    """The text for the wire; a name that is not in `secrets` stays `***`. `in_json` escapes for a JSON string."""

    def value_of(found: re.Match[str]) -> str:
        value = secrets.get(found[1], HIDDEN)
        return json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value

    return _SECRET.sub(value_of, text)


def names(text: str) -> set[str]:
    """The names of the secrets that the text waits for."""
    return set(_SECRET.findall(text))


def lookup(mapping: Mapping[Any, Any], key: str, missing: Any) -> Any:
    """`mapping[key]` whether or not either of them is marked."""
    for spelled in (key, raw(key), mark(raw(key), SLACK), mark(raw(key), HTML)):
        if spelled in mapping:
            return mapping[spelled]
    return missing
