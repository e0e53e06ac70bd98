"""Label selectors as a query parameter: `team=shop,tier!=dev,env in (a, b),canary,!legacy`."""

from __future__ import annotations

import re

from django.db.models import Q, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact, In, IsNull

from hub.api.lists import Filter, bad

_KEY = r"(?P<key>[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?)"
_VALUE = r"[A-Za-z0-9]?[A-Za-z0-9._-]{0,62}"
_PATTERNS = [
    (re.compile(rf"{_KEY}\s*(?P<op>==|=|!=)\s*(?P<value>{_VALUE})"), "compare"),
    (re.compile(rf"{_KEY}\s+(?P<op>in|notin)\s*\((?P<value>[^()]*)\)"), "set"),
    (re.compile(rf"(?P<op>!?)\s*{_KEY}"), "exists"),
]
_MOST = 20


def labels(column: str) -> Filter:
    """A filter over a JSON map of labels; keys travel as data, never as field names (F7)."""

    def condition(text: str) -> Q:
        found = Q()
        parts = re.split(r",(?![^()]*\))", text)
        if len(parts) > _MOST:
            raise bad("selector", f"has more than {_MOST} requirements")
        for part in parts:
            found &= _requirement(column, part.strip())
        return found

    return condition


def _requirement(column: str, text: str) -> Q:
    for pattern, form in _PATTERNS:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        value = KeyTextTransform(match["key"], column)
        missing = Q(IsNull(value, True))
        if form == "exists":
            return missing if match["op"] else ~missing
        if form == "compare":
            same = Q(Exact(value, Value(match["value"])))
        else:
            same = Q(In(value, [item.strip() for item in match["value"].split(",")]))
        return (missing | ~same) if match["op"] in {"!=", "notin"} else (~missing & same)
    raise bad("selector", "cannot be read", "?selector=team=shop,tier!=dev,canary,!legacy")
