"""Kubernetes label selectors: `a=b,c!=d,e in (x,y),f notin (z),g,!h`; the comma is and."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from notifications.errors import ConfigError

_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,315}[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._-]{0,253}"
_PART = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<op>==|!=|=)\s*(?P<value>{_VALUE})"
    rf"|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|$)"
)
MAX_SELECTOR = 4096


@dataclass(frozen=True)
class _Requirement:
    key: str
    operator: str  # in, notin, exists, absent
    values: frozenset[str]

    def holds(self, labels: Mapping[str, Any]) -> bool:
        present = self.key in labels
        if self.operator in ("exists", "absent"):
            return present is (self.operator == "exists")
        inside = present and str(labels[self.key]) in self.values
        return inside if self.operator == "in" else not inside


@dataclass(frozen=True)
class Selector:
    """All requirements must hold; none selects everything."""

    text: str
    requirements: tuple[_Requirement, ...]

    def matches(self, labels: Mapping[str, Any]) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Raises ConfigError with the place of the part that cannot be read."""
    if len(text) > MAX_SELECTOR:
        raise ConfigError("too_large", "a selector may have 4 KiB")
    requirements: list[_Requirement] = []
    at = 0
    while at < len(text.rstrip()):
        found = _PART.match(text, at)
        if found is None:
            hint = "write key=value, key!=value, key in (a,b), key or !key, joined by commas"
            raise ConfigError("syntax", "not a label selector", hint, line=1, column=at + 1)
        requirements.append(_requirement(found))
        at = found.end()
    return Selector(text, tuple(requirements))


def _requirement(found: re.Match[str]) -> _Requirement:
    if found["absent"]:
        return _Requirement(found["absent"], "absent", frozenset())
    if found["set"]:
        values = frozenset(value.strip() for value in found["values"].split(","))
        return _Requirement(found["key"], found["set"], values)
    if found["op"]:
        operator = "notin" if found["op"] == "!=" else "in"
        return _Requirement(found["key"], operator, frozenset([found["value"]]))
    return _Requirement(found["key"], "exists", frozenset())
