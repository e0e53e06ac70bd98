"""The built-in functions on values. The predicates (`any`, `filter` …) are part of the grammar; `now` needs the clock.

Each raises ValueError with a sentence that reads after the function's name ("upper needs text, not nil").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from notifications.core.expressions.operators import MAX_TEXT
from notifications.core.gotimes import Duration, Time, parse_duration
from notifications.core.govalues import Func, fits_int, go_text, is_number, kind_of

MAX_LIST = 10_000


def _text(value: object, what: str = "text") -> str:
    if not isinstance(value, str):
        raise ValueError(f"needs {what}, not {kind_of(value)}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"needs a list, not {kind_of(value)}")
    return value


def _map(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"needs a map, not {kind_of(value)}")
    return value


def weigh(value: object, left: int = MAX_TEXT) -> int:
    """What remains of `left` characters after writing `value` out; ValueError when it is not enough.

    Values may share parts, so a small list can be a huge text: this looks before anything is built.
    """
    left -= len(value) if isinstance(value, str) else 1
    if left < 0:
        raise ValueError("makes a text of more than 64 KiB")
    if isinstance(value, list):
        for item in value:
            left = weigh(item, left)
    if isinstance(value, dict):
        for key, item in value.items():
            left = weigh(item, left - len(str(key)))
    return left


def _len(value: object) -> int:
    if not isinstance(value, str | list | dict):
        raise ValueError(f"needs text, a list or a map, not {kind_of(value)}")
    return len(value)


def _split(text: object, separator: object, limit: object = -1) -> list[str]:
    whole, mark = _text(text), _text(separator)
    most = limit if isinstance(limit, int) and not isinstance(limit, bool) else -1
    if (len(whole) if not mark else whole.count(mark)) >= MAX_LIST:
        raise ValueError(f"makes a list of more than {MAX_LIST} items")
    if most == 0:
        return []
    if not mark:
        return list(whole) if most < 0 else [*whole[: most - 1], whole[most - 1 :]]
    return whole.split(mark, most - 1 if most > 0 else -1)


def _join(items: object, separator: object = "") -> str:
    texts, mark = [_text(item, "a list of texts") for item in _list(items)], _text(separator)
    if sum(len(text) + len(mark) for text in texts) > MAX_TEXT:
        raise ValueError("makes a text of more than 64 KiB")
    return mark.join(texts)


def replaced(text: object, old: object, new: object) -> str:
    """All `old` in `text` become `new`; bounded before anything is built."""
    whole, before, after = _text(text), _text(old), _text(new)
    if len(whole) + whole.count(before) * len(after) > MAX_TEXT:
        raise ValueError("makes a text of more than 64 KiB")
    return whole.replace(before, after)


def _int(value: object) -> int:
    if isinstance(value, int):
        return int(value)
    try:
        if isinstance(value, str) and len(value) <= 40:
            return fits_int(int(value.strip()))
        if isinstance(value, float):
            return fits_int(int(value))
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"cannot make a whole number of {_quoted(value)}")


def _float(value: object) -> float:
    if is_number(value):
        return float(value)  # type: ignore[arg-type]
    try:
        if isinstance(value, str) and len(value) <= 400:
            return float(value)
    except ValueError:
        pass
    raise ValueError(f"cannot make a number of {_quoted(value)}")


def _quoted(value: object) -> str:
    return repr(value[:40]) if isinstance(value, str) else kind_of(value)


def _string(value: object) -> str:
    weigh(value)
    return go_text(value)


def _get(value: object, key: object) -> object:
    if isinstance(value, dict):
        return value.get(key) if isinstance(key, str) else None
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
        return value[key] if -len(value) <= key < len(value) else None
    return None


def _extreme(choose: Callable[..., Any]) -> Callable[..., object]:
    def call(*given: object) -> object:
        values = _list(given[0]) if len(given) == 1 and isinstance(given[0], list) else list(given)
        if not values:
            raise ValueError("needs at least one value")
        kinds = (str, Time, Duration)
        alike = any(all(isinstance(item, kind) for item in values) for kind in kinds)
        if not alike and not all(is_number(item) for item in values):
            raise ValueError("needs numbers, or values of one kind")
        return choose(values)

    return call


def _abs(value: Any) -> int | float:
    if not is_number(value):
        raise ValueError(f"needs a number, not {kind_of(value)}")
    made: int | float = abs(value)
    return fits_int(made) if isinstance(made, int) else made


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else go_text(value)


def _to_json(value: object) -> str:
    weigh(value)
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, sort_keys=True)


def _duration(text: object) -> Duration:
    try:
        return parse_duration(_text(text))
    except ValueError as problem:
        raise ValueError(f"cannot read it: {problem}") from None


def _trimmed(strip: Callable[..., str]) -> Callable[..., str]:
    def call(text: object, *chars: object) -> str:
        return strip(_text(text), *(_text(given) for given in chars))

    return call


_TABLE: tuple[tuple[str, Callable[..., object], int, int | None], ...] = (
    ("len", _len, 1, 1),
    ("lower", lambda text: _text(text).lower(), 1, 1),
    ("upper", lambda text: _text(text).upper(), 1, 1),
    ("trim", _trimmed(str.strip), 1, 2),
    ("trimPrefix", lambda text, start: _text(text).removeprefix(_text(start)), 2, 2),
    ("trimSuffix", lambda text, end: _text(text).removesuffix(_text(end)), 2, 2),
    ("split", _split, 2, 3),
    ("join", _join, 1, 2),
    ("replace", replaced, 3, 3),
    ("hasPrefix", lambda text, start: _text(text).startswith(_text(start)), 2, 2),
    ("hasSuffix", lambda text, end: _text(text).endswith(_text(end)), 2, 2),
    ("indexOf", lambda text, part: _text(text).find(_text(part)), 2, 2),
    ("int", _int, 1, 1),
    ("float", _float, 1, 1),
    ("string", _string, 1, 1),
    ("first", lambda items: _list(items)[0] if _list(items) else None, 1, 1),
    ("last", lambda items: _list(items)[-1] if _list(items) else None, 1, 1),
    ("keys", lambda given: sorted(_map(given)), 1, 1),
    ("values", lambda given: [given[key] for key in sorted(_map(given))], 1, 1),
    ("get", _get, 2, 2),
    ("min", _extreme(min), 1, None),
    ("max", _extreme(max), 1, None),
    ("abs", _abs, 1, 1),
    ("toJSON", _to_json, 1, 1),
    ("duration", _duration, 1, 1),
    ("now", lambda: None, 0, 0),
)
FUNCTIONS = {name: Func(name, call, least, most) for name, call, least, most in _TABLE}
