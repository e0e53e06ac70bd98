"""The projection of an object on a leaf set, and what differs between two of them (sync-semantics.md 6.3).

A projection is a plain JSON value: maps hold only our fields, keyed lists are `[[selector, projection], ...]` in the
live order of *our* items, sets hold our values in sorted order, secret values are HMACs. An absent leaf is absent.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from clusters.core.diff.leaves import KEYED, PRESENCE, SECRET, SET, WHOLE, LeafSet

Path = tuple[str, ...]

_SORTED = orjson.OPT_SORT_KEYS
_encode = orjson.dumps


class _Absent:
    """No value at all, as opposed to null."""

    def __repr__(self) -> str:
        return "absent"

    def __bool__(self) -> bool:
        return False


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One leaf that differs. Values of Secrets are HMACs; a missing value is ABSENT."""

    path: Path
    old: Any
    new: Any

    def __str__(self) -> str:
        return "".join(self.path)


def project(obj: Any, leaves: LeafSet, key: bytes = b"") -> Any:
    """The parts of `obj` that are in `leaves`; ABSENT when nothing of it is there. `key`: for HMACs of secrets."""
    if leaves == WHOLE:
        return obj
    if type(leaves) is dict:
        if type(obj) is not dict:
            return obj
        result = {}
        for name, below in leaves.items():
            if name in obj:
                result[name] = obj[name] if below == WHOLE else project(obj[name], below, key)
        return result
    if leaves == PRESENCE:
        return {} if isinstance(obj, dict) else [] if isinstance(obj, list) else obj is not None
    if leaves == SECRET:
        return secret_mark(obj, key)
    return _project_list(obj, leaves, key) if isinstance(obj, list) else obj


def projection_hash(projection: Any) -> str:
    """Hex digest (128 bits) of a projection."""
    return hashlib.blake2b(_encode(projection, option=_SORTED), digest_size=16).hexdigest()


def secret_mark(value: Any, key: bytes) -> str:
    """The keyed HMAC that stands for a secret value. Raises ValueError without a key."""
    if not key:
        raise ValueError("the projection of a secret value needs the hub's key")
    return "hmac:" + hmac.new(key, _encode(value, option=_SORTED), hashlib.sha256).hexdigest()


def changes(old: Any, new: Any, leaves: LeafSet, path: Path = ()) -> Iterator[Change]:
    """The leaves on which two projections over one leaf set differ, parents of missing parts as one change."""
    if type(leaves) is dict and type(old) is dict and type(new) is dict:
        for name, below in leaves.items():
            yield from _pair(old.get(name, ABSENT), new.get(name, ABSENT), below, (*path, "." + name))
    elif type(leaves) is list and leaves[0] == KEYED and type(old) is list and type(new) is list:
        yield from _keyed_changes(old, new, leaves, path)
    elif type(leaves) is list and leaves[0] == SET and type(old) is list and type(new) is list:
        for value in _values(old) ^ _values(new):
            step = f"[={value}]"
            gone = value in _values(old)
            loaded = orjson.loads(value)
            yield Change((*path, step), loaded if gone else ABSENT, ABSENT if gone else loaded)
    elif not same_json(old, new):
        yield Change(path, old, new)


def same_json(a: Any, b: Any) -> bool:
    """Equality as JSON has it: `true` is not `1`; `1` and `1.0` are one number."""
    if a is ABSENT or b is ABSENT:
        return a is b
    if type(a) is type(b) and not isinstance(a, dict | list):
        return bool(a == b)
    return bool(a == b) and _encode(a, option=_SORTED) == _encode(b, option=_SORTED)


def _pair(old: Any, new: Any, leaves: LeafSet, path: Path) -> Iterator[Change]:
    if old is ABSENT or new is ABSENT:
        if old is not new:
            yield Change(path, old, new)
    else:
        yield from changes(old, new, leaves, path)


def _keyed_changes(old: list[Any], new: list[Any], leaves: LeafSet, path: Path) -> Iterator[Change]:
    before, after = dict(old), dict(new)
    for name, below in leaves[2].items():
        yield from _pair(before.get(name, ABSENT), after.get(name, ABSENT), below, (*path, f"[{name}]"))
    was = [name for name, _ in old if name in after]
    now = [name for name, _ in new if name in before]
    if was != now:
        yield Change((*path, "[order]"), was, now)


def _project_list(items: list[Any], leaves: LeafSet, key: bytes) -> Any:
    if leaves[0] == SET:
        ours = leaves[1]
        return sorted((item for item in items if item in ours), key=lambda item: _encode(item))
    keys, nodes = leaves[1], leaves[2]
    result = []
    for item in items:
        name = _selector(item, keys)
        if name in nodes:
            result.append([name, project(item, nodes[name], key)])
    return result


def _selector(item: Any, keys: list[str]) -> str:
    """As `leaves.selector`; live items have all their key fields, so no defaults are needed."""
    if type(item) is not dict:
        return ""
    if len(keys) == 1:
        return f"{keys[0]}={_encode(item.get(keys[0])).decode()}"
    return ",".join([f"{name}={_encode(item.get(name)).decode()}" for name in keys])


def _values(items: list[Any]) -> set[str]:
    return {_encode(item).decode() for item in items}
