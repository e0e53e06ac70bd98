"""Custom health rules as people write them, read once (sync-semantics.md 8.3). What cannot be read becomes a BrokenRule:
the objects of its kind are Unknown with the reason, and no other rule is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusters.core.health.customs import BrokenRule, CelCase, CelRule, CustomRule, LuaRule

_PREFIX = "resource.customizations.health."


def read_health(entries: Any) -> dict[str, CustomRule]:
    """Rules by `<group>_<Kind>` (or `<Kind>`): a text is a Lua script, a list of {when, status, message} is CEL.

    Anything that is no map gives one rule for all kinds, which says so.
    """
    if entries is None:
        return {}
    if not isinstance(entries, Mapping):
        return {"*": BrokenRule("health has to be a map of <group>_<Kind> to rules")}
    return {str(key): _rule(value) for key, value in entries.items()}


def read_argocd_health(doc: Mapping[str, Any]) -> dict[str, CustomRule]:
    """Rules of an argocd-cm (the ConfigMap, or its `data`): the keys `resource.customizations.health.<group>_<Kind>`.

    Other keys are passed over; `resource.customizations.useOpenLibs.*` is accepted and has no effect.
    """
    data = doc.get("data") if doc.get("kind") == "ConfigMap" else doc
    entries = data if isinstance(data, Mapping) else {}
    return {
        str(key)[len(_PREFIX) :]: _rule(value)
        for key, value in entries.items()
        if str(key).startswith(_PREFIX)
    }


def _rule(value: Any) -> CustomRule:
    if isinstance(value, str) and value.strip():
        return LuaRule(value)
    if not isinstance(value, list) or not value:
        return BrokenRule("a rule is a Lua script or a list of cases with when, status and message")
    try:
        return CelRule(tuple(_case(number, case) for number, case in enumerate(value)))
    except ValueError as error:
        return BrokenRule(str(error))


def _case(number: int, case: Any) -> CelCase:
    if not isinstance(case, Mapping) or set(case) - {"when", "status", "message"}:
        raise ValueError(f"case {number} has to be a map of when, status and message")
    when, status, message = case.get("when"), case.get("status"), case.get("message", "")
    if not isinstance(when, str) or not isinstance(status, str) or not isinstance(message, str):
        raise ValueError(f"case {number} needs when and status as texts")
    return CelCase(when, status, message)
