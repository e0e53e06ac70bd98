"""Single-field edits of live objects: which there are, how a person or a controller makes them, where the hub sees them.

A place is a tuple of map keys and list indices in the live object. Only what the manifest sets is edited.
"""

from __future__ import annotations

import base64
import copy
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

Place = tuple[str | int, ...]
Object = dict[str, Any]

_SIZES = frozenset(("cpu", "memory", "storage", "ephemeral-storage", "sizeLimit", "averageValue"))
# What names an item of a list: after such an edit and its healing the item with the other name is there, too.
KEYS = frozenset(("name", "port", "containerPort", "protocol", "mountPath", "ip"))
_NOT_EDITED = frozenset(
    (("apiVersion",), ("kind",), ("status",), ("metadata", "name"), ("metadata", "namespace"))
)


@dataclass(frozen=True)
class Edit:
    """One edit. `remove` takes the place away instead of writing `value`."""

    place: Place
    value: Any = None
    remove: bool = False

    def body(self, live: Object, how: str) -> Any:
        """What is sent: a JSON patch, or a merge patch or apply body (for places without lists)."""
        if how == "json":
            operation: Object = {"op": "remove" if self.remove else "replace", "path": pointer(self.place)}
            return [operation if self.remove else operation | {"value": self.value}]
        body: Any = None if self.remove else self.value
        for step in reversed(self.place):
            body = {step: body}
        if how == "apply":
            body |= {"apiVersion": live["apiVersion"], "kind": live["kind"]}
            body["metadata"] = {**body.get("metadata", {}), "name": live["metadata"]["name"]}
        return body


def edits_of(manifest: Object, live: Object, rng: random.Random) -> list[Edit]:
    """Edits of this object in random order."""
    wanted = copy.deepcopy(manifest)
    if manifest["kind"] == "Secret" and "stringData" in manifest:
        texts = wanted.pop("stringData") or {}
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        wanted["data"] = {**(wanted.get("data") or {}), **encoded}
    found = []
    for place, value in _leaves(wanted, live, ()):
        found.append(Edit(place, _other(value, str(place[-1]), live)))
        if isinstance(place[-1], str) and len(place) > 1 and rng.random() < 0.25:
            found.append(Edit(place, remove=True))
    rng.shuffle(found)
    return found


def _leaves(wanted: Any, live: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if place in _NOT_EDITED or (wanted is None and live != "") or (wanted == 0 and live != 0):
        return
    if isinstance(wanted, dict) and isinstance(live, dict):
        for name, below in wanted.items():
            if name in live:
                yield from _leaves(below, live[name], (*place, name))
    elif isinstance(wanted, list) and isinstance(live, list):
        for number, item in enumerate(wanted):
            there = _counterpart(item, number, live)
            if there is not None:
                yield from _leaves(item, live[there], (*place, there))
    elif not isinstance(live, dict | list) and not str(live).startswith("kubernetes.io/"):
        yield place, live


def _counterpart(item: Any, number: int, live: list[Any]) -> int | None:
    if isinstance(item, dict) and "name" in item:
        same = [n for n, other in enumerate(live) if other.get("name") == item["name"]]
        return same[0] if len(same) == 1 else None
    return number if number < len(live) else None


def _other(value: Any, name: str, live: Object) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if name in _SIZES or name.startswith(("requests.", "limits.")):
        return "77m" if name == "cpu" else "77Mi"
    if isinstance(value, str) and value.endswith("%"):
        return "33%"
    if live["kind"] == "Secret" or "binaryData" in live:
        return "ZWRpdGVk"
    if isinstance(value, str) and value.isdigit():
        return str(int(value) + 1)
    return f"{value}x"


def pointer(place: Place) -> str:
    """RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in place)


def value_at(obj: Any, place: Place) -> Any:
    """The value at a place; None when there is none."""
    for step in place:
        try:
            obj = obj[step]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


def place_of(path: str, live: Object) -> Place | None:
    """Where a path that the hub shows (`.spec.containers[name="c"].image`) is in the live object.

    Map keys may hold dots; the longest key that exists wins. None when it is nowhere.
    """
    return _resolve(path, live)


def _resolve(path: str, obj: Any) -> Place | None:
    if not path or path == "[order]":
        return ()
    if path.startswith(".") and isinstance(obj, dict):
        rest = path[1:]
        for name in sorted(obj, key=len, reverse=True):
            if rest == name or rest.startswith((f"{name}.", f"{name}[")):
                below = _resolve(rest[len(name) :], obj[name])
                if below is not None:
                    return (name, *below)
        return None
    if path.startswith("[") and isinstance(obj, list):
        for number, item in enumerate(obj):
            for end in (n + 1 for n, sign in enumerate(path) if sign == "]"):
                if _names(path[1 : end - 1], item, number):
                    below = _resolve(path[end:], item)
                    if below is not None:
                        return (number, *below)
    return None


def _names(selector: str, item: Any, number: int) -> bool:
    """`name="c"`, `containerPort=80,protocol="TCP"`, `="x"` (a value of a set), `3`."""
    if selector == str(number):
        return True
    if selector.startswith("="):
        return bool(selector[1:] == orjson.dumps(item).decode())
    if not isinstance(item, dict):
        return False
    return (
        all(
            f"{key}={orjson.dumps(item.get(key)).decode()}" in selector
            for key in re.findall(r"(?:^|,)(\w+)=", selector)
        )
        and "=" in selector
    )


def healed(before: Any, after: Any, place: Place) -> bool:
    """Whether `after` has again at this place what `before` had; items of lists may have moved."""
    if not place:
        return bool(before == after)
    step = place[0]
    if isinstance(step, str):
        return isinstance(after, dict) and step in after and healed(before[step], after[step], place[1:])
    if not isinstance(after, list):
        return False
    item = before[step]
    same = [
        other
        for other in after
        if not isinstance(item, dict) or not isinstance(other, dict) or other.get("name") == item.get("name")
    ]
    return any(healed(item, other, place[1:]) for other in same)
