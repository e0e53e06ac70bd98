"""Functions on lists and maps, choices between values, and Go's comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from notifications.core.gotemplates.functions.printing import to_text
from notifications.core.gotemplates.functions.registry import MAX_ITEMS, Row
from notifications.core.gotimes import Duration, Time
from notifications.core.govalues import NOTHING, Func, Struct, is_number, kind_of, truth
from notifications.core.marks import Secrets, lookup, raw, secret


def _basic(value: Any) -> str:
    """The kind by which Go compares; "" for what cannot be compared."""
    if isinstance(value, bool):
        return "bool"
    for kind, name in ((int, "int"), (float, "float"), (str, "text"), (Time, "time"), (Duration, "duration")):
        if isinstance(value, kind):
            return name
    return "nil" if value is None or value is NOTHING else ""


def _same(left: Any, right: Any) -> bool:
    one, other = _basic(left), _basic(right)
    if "nil" in (one, other):
        return one == other
    if not one or not other:
        raise ValueError(f"cannot compare {kind_of(left)} with {kind_of(right)}")
    if one != other:
        raise ValueError(f"has different kinds to compare: {kind_of(left)} and {kind_of(right)}")
    return bool(left == right)


def _before(left: Any, right: Any) -> bool:
    one, other = _basic(left), _basic(right)
    if one != other or one in ("", "nil", "bool"):
        raise ValueError(f"cannot order {kind_of(left)} and {kind_of(right)}")
    return bool(left < right)


def _equals(first: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("needs something to compare with")
    return any(_same(first, other) for other in others)


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list | dict):
        return len(value)
    raise ValueError(f"needs text, a list or a map, not {kind_of(value)}")


def place_in(value: Any, key: Any) -> Any:
    """One step of `index`."""
    if value is NOTHING:
        return NOTHING
    if isinstance(value, Secrets) and isinstance(key, str):
        return secret(key)
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise ValueError(f"asks a map by {kind_of(key)}")
        return lookup(value, key, NOTHING)
    if not isinstance(value, list | str):
        raise ValueError(f"cannot look into {kind_of(value)}")
    if not isinstance(key, int) or isinstance(key, bool):
        raise ValueError(f"needs a whole number as the place, not {kind_of(key)}")
    if not 0 <= key < len(value):
        raise ValueError(f"out of range: {key}, there are {len(value)}")
    return ord(raw(value[key])) if isinstance(value, str) else value[key]


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = place_in(value, key)
    return value


def _slice(value: Any, *bounds: int) -> Any:
    if not isinstance(value, list | str) or len(bounds) > 2:
        raise ValueError(f"cannot cut {kind_of(value)}")
    low, high = (*bounds, *(0, len(value))[len(bounds) :])[:2]
    if not 0 <= low <= high <= len(value):
        raise ValueError(f"out of range: {low} to {high}, there are {len(value)}")
    return value[low:high]


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if truth(value)), None)


def _dict(*pairs: Any) -> dict[str, Any]:
    return {str(pairs[n]): pairs[n + 1] if n + 1 < len(pairs) else "" for n in range(0, len(pairs), 2)}


def _get(mapping: dict[str, Any], key: str) -> Any:
    return lookup(mapping, key, "")


def _keys(*mappings: dict[str, Any]) -> list[str]:
    return [key for mapping in mappings for key in sorted(mapping)]


def _picked(keep: bool) -> Callable[..., dict[str, Any]]:
    def call(mapping: dict[str, Any], *names: str) -> dict[str, Any]:
        wanted = {raw(name) for name in names}
        return {key: value for key, value in mapping.items() if (raw(key) in wanted) is keep}

    return call


def _merge(target: dict[str, Any], *sources: dict[str, Any]) -> dict[str, Any]:
    """What `target` has stays; maps are merged inside. A new map, so that templates cannot change data."""
    made = dict(target)
    for source in sources:
        for key, value in source.items():
            if key not in made or not truth(made[key]):
                made[key] = value
            elif isinstance(made[key], dict) and isinstance(value, dict):
                made[key] = _merge(made[key], value)
    return made


def _dig(*given: Any) -> Any:
    if len(given) < 3:
        raise ValueError("needs keys, a default and a map")
    *keys, missing, value = given
    for key in keys:
        value = lookup(value, str(key), NOTHING) if isinstance(value, dict) else NOTHING
        if value is NOTHING:
            return missing
    return value


def _has(wanted: Any, items: list[Any]) -> bool:
    return any(_alike(wanted, item) for item in items)


def _alike(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _uniq(items: list[Any]) -> list[Any]:
    kept = {f"{type(item).__name__}/{to_text(item)}": item for item in reversed(items)}
    return list(kept.values())[::-1]


def _concat(*lists: list[Any]) -> list[Any]:
    if sum(map(len, lists)) > MAX_ITEMS:
        raise ValueError(f"makes a list of more than {MAX_ITEMS} items")
    return [item for items in lists for item in items]


def _edge(place: int) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        if not isinstance(value, list | str):
            raise ValueError(f"needs a list, not {kind_of(value)}")
        return value[place] if value else None

    return call


def _kind(value: Any) -> str:
    if value is None or value is NOTHING:
        return "invalid"
    if isinstance(value, bool):
        return "bool"
    if is_number(value):
        return "int" if isinstance(value, int) else "float64"
    names = {str: "string", list: "slice", dict: "map", Func: "func", Struct: "struct", Duration: "int64"}
    return names.get(type(value), "struct")


TABLE = (
    Row("eq", "vv*", _equals, "raw"),
    Row("ne", "vv", lambda left, right: not _same(left, right), "raw"),
    Row("lt", "vv", _before, "raw"),
    Row("le", "vv", lambda left, right: _before(left, right) or _same(left, right), "raw"),
    Row("gt", "vv", lambda left, right: not (_before(left, right) or _same(left, right)), "raw"),
    Row("ge", "vv", lambda left, right: not _before(left, right), "raw"),
    Row("not", "v", lambda value: not truth(value), "raw"),
    Row("len", "v", _length, "raw"),
    Row("index", "vv*", _index),
    Row("slice", "vi*", _slice),
    Row("default", "vv*", lambda missing, *given: given[0] if given and truth(given[0]) else missing),
    Row("empty", "v", lambda value: not truth(value), "raw"),
    Row("coalesce", "v*", _coalesce),
    Row("ternary", "vvb", lambda yes, no, test: yes if test else no),
    Row("list", "v*", lambda *items: list(items)),
    Row("dict", "v*", _dict),
    Row("get", "ms", _get),
    Row("hasKey", "ms", lambda mapping, key: lookup(mapping, key, NOTHING) is not NOTHING),
    Row("keys", "m*", _keys),
    Row("values", "m", lambda mapping: [mapping[key] for key in sorted(mapping)]),
    Row("pick", "ms*", _picked(True)),
    Row("omit", "ms*", _picked(False)),
    Row("merge", "mm*", _merge),
    Row("dig", "v*", _dig),
    Row("first", "v", _edge(0)),
    Row("last", "v", _edge(-1)),
    Row("rest", "l", lambda items: items[1:]),
    Row("initial", "l", lambda items: items[:-1]),
    Row("has", "vl", _has, "raw"),
    Row("uniq", "l", _uniq),
    Row("reverse", "l", lambda items: items[::-1]),
    Row("sortAlpha", "l", lambda items: sorted((str(item) for item in items), key=raw)),
    Row("concat", "l*", _concat),
    Row("kindOf", "v", _kind, "raw"),
)
