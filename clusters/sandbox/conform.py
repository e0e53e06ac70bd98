"""What a server makes of the values it is sent, before it stores them.

Built-in kinds: quantities in canonical form, nulls and empty fields as the types like it, undeclared fields dropped.
Custom kinds: undeclared fields pruned, defaults of the schema filled in, values checked against it. Values are not
changed in place; what needs no change is returned as it is.
"""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from clusters.sandbox.answers import Cause, invalid_value, required, unsupported
from clusters.sandbox.schema import ANY, LISTS, MAP, SCALAR, STRUCT, Node

QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d+)")
DECIMAL_STEPS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY_STEPS = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
ZEROS: dict[str, Any] = {
    "string": "",
    "bytes": "",
    "bool": False,
    "quantity": "0",
    "int-or-string": 0,
    "time": None,
}


class Findings:
    """What came up on the way: values that cannot be converted, and fields that no schema declares."""

    __slots__ = ("broken", "unknown")

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.unknown: list[str] = []


@lru_cache(maxsize=4096)
def quantity(text: str) -> str:
    """The canonical form of a quantity: `1000m` is `1`, `1024Mi` is `1Gi`. Raises ValueError."""
    match = QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, suffix = match.groups()
    try:
        value = Decimal(number)
    except InvalidOperation as broken:
        raise ValueError(f"not a number: {number}") from broken
    if suffix in BINARY_STEPS:
        return _binary(value * Decimal(1024) ** BINARY_STEPS[suffix])
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return _exponent(value * Decimal(10) ** int(suffix[1:]))
    return _decimal(value * Decimal(10) ** DECIMAL_STEPS[suffix])


def _binary(value: Decimal) -> str:
    if value != value.to_integral_value() or abs(value) < 1024:
        return _decimal(value)
    whole, name = int(value), ""
    for suffix in BINARY_STEPS:
        if whole % 1024:
            break
        whole, name = whole // 1024, suffix
    return f"{whole}{name}"


def _decimal(value: Decimal) -> str:
    if value == 0:
        return "0"
    for name, step in sorted(DECIMAL_STEPS.items(), key=lambda item: -item[1]):
        scaled = value / Decimal(10) ** step
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{name}"
    return f"{int((value * 10**9).to_integral_value())}n"


def _exponent(value: Decimal) -> str:
    power = 0
    while value and value % 1000 == 0:
        value, power = value / 1000, power + 3
    return f"{int(value)}e{power}" if power else _decimal(value)


def conform(value: Any, node: Node, found: Findings, path: str = "", *, blank: bool = False) -> Any:
    """A built-in kind's value as it is stored. `blank`: of an empty value, with empty lists in the place of nulls."""
    kind = node.kind
    if kind == SCALAR:
        return _scalar(value, node.scalar, found)
    if kind == STRUCT:
        if blank:
            return {
                name: _blank(rule, node.fields[name], found)
                for name, rule in node.empty.items()
                if rule != "d"
            }
        return _struct(value, node, found, path) if isinstance(value, dict) else value
    if kind == MAP and isinstance(value, dict):
        return _entries(value, node, found, path)
    if kind in LISTS and isinstance(value, list):
        inner = node.element or node
        items = [_item(item, inner, found, f"{path}[{index}]") for index, item in enumerate(value)]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def _item(item: Any, inner: Node, found: Findings, path: str) -> Any:
    if item is None and inner.kind == SCALAR:
        return ZEROS.get(inner.scalar, 0)
    return conform({} if item is None and inner.kind == STRUCT else item, inner, found, path)


def _entries(value: dict[str, Any], node: Node, found: Findings, path: str) -> dict[str, Any]:
    out = None
    inner = node.element or node
    for name, item in value.items():
        made = _item(item, inner, found, f"{path}[{name}]")
        if made is not item:
            out = dict(value) if out is None else out
            out[name] = made
    return value if out is None else out


def _struct(value: dict[str, Any], node: Node, found: Findings, path: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    gone: list[str] = []
    fields, empty = node.fields, node.empty
    for name, item in value.items():
        field = fields.get(name)
        if field is None:
            found.unknown.append(f"{path}.{name}" if path else name)
            gone.append(name)
            continue
        if item is None:
            if empty.get(name) not in ("n", "z", "s"):
                gone.append(name)
            continue
        made = conform(item, field, found, f"{path}.{name}" if path else name)
        if made is not item:
            changes[name] = made
        if not made and name in empty:
            if empty[name] == "d":
                gone.append(name)
            elif empty[name] == "n" and isinstance(made, (dict, list)) and field.kind != STRUCT:
                changes[name] = None
    for name, rule in empty.items():
        if rule != "d" and value.get(name) is None:
            if rule == "n" and name in value:
                continue
            changes[name] = _zero(rule, fields[name], found, f"{path}.{name}" if path else name)
    if not changes and not gone:
        return value
    out = {**value, **changes}
    for name in gone:
        out.pop(name, None)
    return out


def _blank(rule: str, node: Node, found: Findings) -> Any:
    if rule == "s":
        return conform({}, node, found, blank=True)
    if rule == "n":
        return [] if node.kind in LISTS else {}
    return ZEROS.get(node.scalar, 0)


def _zero(rule: str, node: Node, found: Findings, path: str) -> Any:
    if rule == "n":
        return None
    if rule == "s":
        return conform({}, node, found, path)
    return ZEROS.get(node.scalar, 0)


def _scalar(value: Any, scalar: str, found: Findings) -> Any:
    if scalar == "quantity":
        return _stored_quantity(value, found)
    if scalar in ("int32", "int64") and isinstance(value, float):
        if value != int(value):
            found.broken.append(f"cannot convert float64 to {scalar}")
            return value
        return int(value)
    if scalar == "bytes" and isinstance(value, str):
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            odd = (i for i, c in enumerate(value) if not (c.isascii() and (c.isalnum() or c in "+/=")))
            bad = next(odd, len(value) - len(value) % 4)
            found.broken.append(f"error decoding from json: illegal base64 data at input byte {bad}")
    return value


def _stored_quantity(value: Any, found: Findings) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    text = value if isinstance(value, str) else repr(value)
    try:
        stored = quantity(text)
    except ValueError as broken:
        found.broken.append(str(broken))
        return value
    return value if value == stored else stored


def wrong_types(value: Any, node: Node, path: str = "", owner: str = "") -> str:
    """The sentence of a decoder that meets a value of the wrong type, or an empty text.

    `owner` is the struct that declares the field at `path`, as the sentence names it.
    """
    kind = node.kind
    if value is None or kind == ANY:
        return ""
    where = f"{owner}.{path}"
    if kind == SCALAR:
        return _wrong_scalar(value, node.scalar, where)
    if kind in LISTS:
        if not isinstance(value, list):
            return f"json: cannot unmarshal {_sort(value)} into Go struct field {where} of type []"
        inner = node.element or node
        return next((text for item in value if (text := wrong_types(item, inner, path, owner))), "")
    if not isinstance(value, dict):
        return (
            f"json: cannot unmarshal {_sort(value)} into Go struct field {where} of type {node.name or 'map'}"
        )
    for name, item in value.items():
        field = node.fields.get(name)
        here = f"{path}.{name}" if path else name
        if field is not None and (text := wrong_types(item, field, here, node.name)):
            return text
        if (
            field is None
            and node.element is not None
            and (text := wrong_types(item, node.element, path, owner))
        ):
            return text
    return ""


def _sort(value: Any) -> str:
    names = {str: "string", bool: "bool", dict: "object", list: "array"}
    return names.get(type(value), "number")


def _wrong_scalar(value: Any, scalar: str, path: str) -> str:
    if scalar in ("string", "time", "bytes"):
        fits, wanted = isinstance(value, str), "string"
    elif scalar == "bool":
        fits, wanted = isinstance(value, bool), "bool"
    elif scalar in ("int32", "int64", "number"):
        fits, wanted = isinstance(value, (int, float)) and not isinstance(value, bool), scalar
    else:
        fits, wanted = not isinstance(value, (dict, list)), "scalar"
    return (
        "" if fits else f"json: cannot unmarshal {_sort(value)} into Go struct field {path} of type {wanted}"
    )


def pruned(value: Any, node: Node, found: Findings, path: str = "") -> Any:
    """A custom kind's value without undeclared fields and with the defaults of its schema."""
    if isinstance(value, dict) and node.kind in (STRUCT, MAP):
        return _pruned_map(value, node, found, path)
    if isinstance(value, list) and node.element is not None and node.kind in LISTS:
        inner = node.element
        items = [pruned(item, inner, found, f"{path}[{index}]") for index, item in enumerate(value)]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def _pruned_map(value: dict[str, Any], node: Node, found: Findings, path: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    same = True
    for name, item in value.items():
        field = node.fields.get(name) or node.element
        here = f"{path}.{name}" if path else name
        if field is None:
            found.unknown.append(here)
            same = False
            continue
        if (
            item is None
            and field.raw is not None
            and "default" in field.raw
            and not field.raw.get("nullable")
        ):
            same = False
            continue
        out[name] = item if not path and name == "metadata" else pruned(item, field, found, here)
        same = same and out[name] is item
    for name, field in node.fields.items():
        if name not in out and field.raw is not None and "default" in field.raw:
            out[name] = pruned(field.raw["default"], field, found, f"{path}.{name}")
            same = False
    return value if same else out


def schema_causes(value: Any, raw: dict[str, Any], path: str) -> list[Cause]:
    """What a custom kind's schema says against a value: types, required, enum, bounds, patterns."""
    if value is None:
        sort = raw.get("type")
        if raw.get("nullable") or not sort:
            return []
        return [_mistyped(path, value, sort)]
    if not _fits(value, raw):
        return [_mistyped(path, value, raw["type"])]
    causes = _bounds(value, raw, path)
    if isinstance(value, dict):
        for name in raw.get("required", ()):
            if name not in value:
                causes.append(required(f"{path}.{name}" if path else name))
        for name, inner in raw.get("properties", {}).items():
            if name in value and not (not path and name == "metadata"):
                causes += schema_causes(value[name], inner, f"{path}.{name}" if path else name)
        extra = raw.get("additionalProperties")
        if isinstance(extra, dict):
            for name, item in value.items():
                if name not in raw.get("properties", {}):
                    causes += schema_causes(item, extra, f"{path}.{name}")
    elif isinstance(value, list) and "items" in raw:
        for index, item in enumerate(value):
            causes += schema_causes(item, raw["items"], f"{path}[{index}]")
    return causes


def _mistyped(path: str, value: Any, sort: str) -> Cause:
    shown = "null" if value is None else _sort(value) if not isinstance(value, int) else "integer"
    text = f'Invalid value: "{shown}": {path} in body must be of type {sort}: "{shown}"'
    return Cause(path, text, "FieldValueTypeInvalid")


def _fits(value: Any, raw: dict[str, Any]) -> bool:
    sort = raw.get("type")
    if raw.get("x-kubernetes-int-or-string"):
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    if sort == "integer":
        return (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and value.is_integer()
        )
    if sort == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    wanted = {"string": str, "boolean": bool, "object": dict, "array": list}.get(sort or "")
    return wanted is None or isinstance(value, wanted)


def _bounds(value: Any, raw: dict[str, Any], path: str) -> list[Cause]:
    causes = []
    if "enum" in raw and value not in raw["enum"]:
        causes.append(unsupported(path, value, [str(item) for item in raw["enum"]]))
    if "minimum" in raw and isinstance(value, (int, float)) and value < raw["minimum"]:
        text = f"{path} in body should be greater than or equal to {raw['minimum']}"
        causes.append(invalid_value(path, value, text))
    if "maximum" in raw and isinstance(value, (int, float)) and value > raw["maximum"]:
        causes.append(
            invalid_value(path, value, f"{path} in body should be less than or equal to {raw['maximum']}")
        )
    if "pattern" in raw and isinstance(value, str) and not re.search(raw["pattern"], value):
        causes.append(invalid_value(path, value, f"{path} in body should match '{raw['pattern']}'"))
    if "minLength" in raw and isinstance(value, str) and len(value) < raw["minLength"]:
        text = f"{path} in body should be at least {raw['minLength']} chars long"
        causes.append(invalid_value(path, value, text))
    if "maxItems" in raw and isinstance(value, list) and len(value) > raw["maxItems"]:
        causes.append(Cause(path, f"Too many: {len(value)}: must have at most {raw['maxItems']} items"))
    return causes
