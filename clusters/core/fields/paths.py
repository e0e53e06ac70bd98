"""Paths as server-side apply prints them, and the three repairs of sync-semantics.md 4.1.

A path is `.spec.template.spec.containers[name="c"].env`. Names are printed without quotes, dots and slashes
included (`.metadata.labels.app.kubernetes.io/name`), so a path is only understood beside the object it speaks of.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from clusters.core.manifests import Manifest

_UNDECLARED = re.compile(r"(?:^|\s)(\.\S.*?): field not declared in schema", re.MULTILINE)
_DUPLICATE = re.compile(r"(?:^|\s)(\.\S.*?): duplicate entries for key (\[.*?\])\s*$", re.MULTILINE)
_INDEX = re.compile(r"\[(\d+)\]")
_PAIR = re.compile(r'([^=,\[\]]*)=("(?:[^"\\]|\\.)*"|[^,\]]*)')
_PARTS = re.compile(r"[^.\[\]]+|\[\d+\]")
_FORBIDDEN_DEFAULT = ("may not be specified when", "only allowed for updateStrategy")


class Place(NamedTuple):
    """Where something is: `holder[key]`."""

    holder: Any
    key: Any


LEFT_OUT = " is not in the cluster's schema and was left out"
"""What a warning says after the path of a field that the server does not know."""


def undeclared(message: str) -> list[str]:
    """The paths that `message` calls "not declared in schema"; a random part of all there are (facts C3)."""
    return list(dict.fromkeys(_UNDECLARED.findall(message)))


def duplicate_lists(message: str) -> list[tuple[str, str]]:
    """(path of the list, key) for each "duplicate entries for key": `(".spec.x.env", '[name="A"]')`."""
    return list(dict.fromkeys(_DUPLICATE.findall(message)))


def drop(body: Manifest, path: str) -> bool:
    """Remove what `path` names from `body`, in place; False when it is not there."""
    places = _places(body, path)
    for place in places:
        del place.holder[place.key]
    return bool(places)


def keep_last(body: Manifest, path: str, key: str) -> bool:
    """Of the entries of the list at `path` with `key` keep the last, at its place; False when there was one only."""
    wanted = _selector(key)
    changed = False
    for place in _places(body, path):
        items = place.holder[place.key]
        if not isinstance(items, list):
            continue
        same = [index for index, item in enumerate(items) if _matches(item, wanted)]
        for index in reversed(same[:-1]):
            del items[index]
            changed = True
    return changed


def forbidden_default(causes: Sequence[tuple[str, str, str]]) -> str:
    """The field of a 422 that says a *defaulted* live field is in the way of the new value, or "".

    `causes` are (field, reason, message); `strategy: Recreate` over a live `rollingUpdate` answers
    `spec.strategy.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'".
    """
    for field, _, message in causes:
        if any(mark in message for mark in _FORBIDDEN_DEFAULT):
            return field
    return ""


def value_at(obj: Any, field: str) -> Any:
    """The value at a dotted field path (`spec.strategy`, `spec.ports[0].name`), None when absent."""
    for part in _PARTS.findall(field):
        try:
            obj = obj[int(part[1:-1])] if part.startswith("[") else obj[part]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


def with_value(body: Manifest, field: str, value: Any) -> Manifest:
    """A copy of `body` with `value` at a dotted path of maps; unchanged when the path leads through anything else."""
    parts = field.split(".")
    if any("[" in part for part in parts):
        return body
    changed = copy.deepcopy(body)
    holder = changed
    for part in parts[:-1]:
        holder = holder.setdefault(part, {})
        if not isinstance(holder, dict):
            return body
    holder[parts[-1]] = value
    return changed


def _places(body: Any, path: str) -> list[Place]:
    """Every place that `path` may mean, last one first so that deleting one leaves the others where they are."""
    return list(_walk(body, path, None))[::-1]


def _walk(value: Any, rest: str, at: Place | None) -> Iterator[Place]:
    if not rest:
        if at is not None:
            yield at
        return
    if rest[0] == "." and isinstance(value, dict):
        yield from _into_map(value, rest[1:])
    elif rest[0] == "[" and isinstance(value, list):
        yield from _into_list(value, rest)


def _into_map(value: dict[str, Any], rest: str) -> Iterator[Place]:
    """The longest name that fits, because names may hold dots themselves."""
    for name in sorted(value, key=len, reverse=True):
        after = rest[len(name) :]
        if rest.startswith(name) and (not after or after[0] in ".["):
            found = list(_walk(value[name], after, Place(value, name)))
            if found:
                yield from found
                return


def _into_list(value: list[Any], rest: str) -> Iterator[Place]:
    index = _INDEX.match(rest)
    if index:
        position = int(index.group(1))
        if position < len(value):
            yield from _walk(value[position], rest[index.end() :], Place(value, position))
        return
    end = _end_of_selector(rest)
    wanted = _selector(rest[:end])
    for position, item in enumerate(value):
        if _matches(item, wanted):
            yield from _walk(item, rest[end:], Place(value, position))


def _end_of_selector(text: str) -> int:
    """The position after the `]` that closes the selector at the start of `text`; quoted brackets do not close."""
    quoted = False
    skip = False
    for position, letter in enumerate(text):
        if skip:
            skip = False
        elif letter == "\\" and quoted:
            skip = True
        elif letter == '"':
            quoted = not quoted
        elif letter == "]" and not quoted:
            return position + 1
    return len(text)


def _selector(text: str) -> dict[str, Any]:
    """`[port=80,protocol="TCP"]` as a dict; a set's `[="x"]` has the empty name."""
    return {name.strip(): _scalar(value) for name, value in _PAIR.findall(text[1:-1])}


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _matches(item: Any, wanted: dict[str, Any]) -> bool:
    """Whether a list item has this key; a part of the key that the item leaves out is a default and matches."""
    if "" in wanted:
        return bool(item == wanted[""])
    if not isinstance(item, dict):
        return False
    told = {name: value for name, value in wanted.items() if name in item}
    return bool(told) and all(item[name] == value for name, value in told.items())
