"""`printf`, `print`, `println` and quoting, as Go's package fmt does them."""

from __future__ import annotations

import json
import re
from typing import Any

from notifications.core.gotemplates.functions.registry import Row, bounded, number, whole, width
from notifications.core.govalues import NOTHING, Struct, go_text, is_number
from notifications.core.marks import raw

_VERB = re.compile(r"%([-+0# ]*)(\d+)?(?:\.(\d*))?(.?)", re.DOTALL)
_TYPES = ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string"))


def text_of(value: Any) -> str:
    """`%v`, bounded, with nothing as templates print it."""
    bounded(size(value))
    return "<no value>" if value is NOTHING else go_text(value)


def size(value: Any, budget: int = 300_000) -> int:
    """About how long the text of `value` is; stops counting early when it is hopeless."""
    if isinstance(value, str):
        return len(value)
    total = 4
    parts: Any = ()
    if isinstance(value, list):
        parts = value
    elif isinstance(value, dict):
        parts = [part for pair in value.items() for part in pair]
    elif isinstance(value, Struct):
        parts = list(value.fields.values())
    for part in parts:
        total += 1 + size(part, budget - total)
        if total > budget:
            break
    return total


def quoted(text: str) -> str:
    """`%q`: a Go string literal. JSON writes the same for everything that messages hold."""
    return json.dumps(text, ensure_ascii=False)


def type_of(value: Any) -> str:
    """Go's name of the type."""
    for kind, name in _TYPES:
        if isinstance(value, kind):
            return name
    if isinstance(value, list):
        return "[]interface {}"
    if isinstance(value, dict):
        return "map[string]interface {}"
    if value is None or value is NOTHING:
        return "<nil>"
    return {"Time": "time.Time", "Duration": "time.Duration"}.get(type(value).__name__, "struct")


def go_printf(layout: str, *values: Any) -> str:
    """The verbs of notifications.md 4.2; what does not fit is shown as Go shows it, `%!d(string=x)`."""
    left = list(values)
    made: list[str] = []
    at = total = 0
    for found in _VERB.finditer(layout):
        made.append(layout[at : found.start()])
        at = found.end()
        if found[4] == "%":
            made.append("%")
        elif not found[4]:
            made.append("%!(NOVERB)")
        elif not left:
            made.append(f"%!{found[4]}(MISSING)")
        else:
            made.append(_verb(found, left.pop(0)))
        total += len(made[-1]) + len(made[-2])
        bounded(total)
    made.append(layout[at:])
    if left:
        extra = ", ".join(f"{type_of(value)}={text_of(value)}" for value in left)
        made.append(f"%!(EXTRA {extra})")
    return "".join(made)


def _verb(found: re.Match[str], value: Any) -> str:
    flags, verb = found[1], found[4]
    wide = width(int((found[2] or "0")[:6]))
    exact = None if found[3] is None else width(int((found[3] or "0")[:6]))
    text = _formatted(verb, flags, exact, value)
    if text is None:
        if value is None or value is NOTHING:
            return f"%!{verb}(<nil>)"
        return f"%!{verb}({type_of(value)}={text_of(value)})"
    if len(text) >= wide:
        return text
    if "-" in flags:
        return text.ljust(wide)
    if "0" in flags and (is_number(value) or verb not in "dfeg"):
        sign = text[:1] if text[:1] in ("-", "+") else ""
        return sign + text[len(sign) :].rjust(wide - len(sign), "0")
    return text.rjust(wide)


def _formatted(verb: str, flags: str, exact: int | None, value: Any) -> str | None:
    """None when the verb does not fit the value."""
    is_text, is_bool = isinstance(value, str), isinstance(value, bool)
    if verb == "v":
        return _signed(text_of(value), flags, value)
    if verb == "s" and not is_bool and not is_number(value) and value is not None and value is not NOTHING:
        return text_of(value)[:exact]
    if verb == "q" and is_text:
        return quoted(value)
    if verb == "t" and is_bool:
        return "true" if value else "false"
    if verb == "d" and isinstance(value, int) and not is_bool:
        return _signed(str(int(value)), flags, value)
    if verb in "feEgG" and isinstance(value, float):
        return _signed(_float(verb, exact, value), flags, value)
    if verb in "xX" and not is_bool:
        return _hex(verb, value)
    if verb == "T":
        return type_of(value)
    return None


def _signed(text: str, flags: str, value: Any) -> str:
    return "+" + text if "+" in flags and is_number(value) and not text.startswith("-") else text


def _float(verb: str, exact: int | None, value: float) -> str:
    if verb in "gG" and exact is None:
        return go_text(value)
    return f"{value:.{6 if exact is None else exact}{verb}}"


def _hex(verb: str, value: Any) -> str | None:
    if isinstance(value, str):
        text = str(raw(value)).encode("utf-8", "replace").hex()
    elif isinstance(value, int):
        text = f"{value:x}"
    else:
        return None
    return text.upper() if verb == "X" else text


def go_print(*values: Any) -> str:
    """Spaces only between neighbours that are both no texts."""
    made: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            made.append(" ")
        made.append(text_of(value))
        bounded(sum(map(len, made)))
    return "".join(made)


def go_println(*values: Any) -> str:
    """Spaces between all and a newline."""
    bounded(sum(size(value) + 1 for value in values))
    return " ".join(text_of(value) for value in values) + "\n"


def to_text(value: Any) -> str:
    """Sprig's `toString`: nothing is the empty text."""
    return "" if value is None or value is NOTHING else text_of(value)


def _quote_all(quote: Any) -> Any:
    def call(*values: Any) -> str:
        bounded(sum(2 * size(value) for value in values))
        return " ".join(
            quote(to_text(value)) for value in values if value is not None and value is not NOTHING
        )

    return call


TABLE = (
    Row("printf", "sv*", go_printf),
    Row("print", "v*", go_print),
    Row("println", "v*", go_println),
    Row("quote", "v*", _quote_all(quoted)),
    Row("squote", "v*", _quote_all(lambda text: f"'{text}'")),
    Row("toString", "v", to_text),
    Row("typeOf", "v", type_of, "raw"),
    Row("int", "v", whole, "raw"),
    Row("int64", "v", whole, "raw"),
    Row("float64", "v", number, "raw"),
)
