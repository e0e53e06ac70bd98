"""What a Project says about a plan: which prunes it guards, how long things may take, what its windows govern besides.

Every reader is total: a part that cannot be read counts as if it were absent, and the door names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from clusters.core.durations import parse_duration
from clusters.core.plan import PruneBudget, SyncOptions
from clusters.core.plan.request import PROTECTED_KINDS

Errors = dict[str, list[str]]

# Name of a maximum in the rules -> the option that it limits (sync-semantics.md 3.12).
_TIMEOUTS = {
    "operation": "operation_timeout",
    "phase": "phase_timeout",
    "wave": "wave_timeout",
    "hook": "hook_timeout",
    "delete": "delete_timeout",
    "stall": "stall_after",
}
_BUDGET = ("most", "from_count", "percent")
_GOVERNED = frozenset({"deletion", "detach"})
_NOT_YET = frozenset({"terminate", "dry_run", "refresh"})


def _map(rules: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    held = rules.get(name)
    return held if isinstance(held, Mapping) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_kind(entry: object) -> bool:
    return (
        isinstance(entry, Mapping)
        and not set(entry) - {"group", "kind"}
        and isinstance(entry.get("kind"), str)
        and bool(entry["kind"])
        and isinstance(entry.get("group", ""), str)
    )


def protected_kinds(rules: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Kinds whose prune always waits for a person (sync-semantics.md 4.3)."""
    named = _map(rules, "deletion").get("protected_kinds")
    if not isinstance(named, list) or not all(map(_is_kind, named)):
        return PROTECTED_KINDS
    return frozenset((entry.get("group", ""), entry["kind"]) for entry in named)


def prune_budget(rules: Mapping[str, Any]) -> PruneBudget:
    """How much one operation may delete without a confirmation (10.5)."""
    asked, usual = _map(_map(rules, "deletion"), "budget"), PruneBudget()
    held = {name: asked[name] if _is_number(asked.get(name)) else getattr(usual, name) for name in _BUDGET}
    return PruneBudget(int(held["most"]), int(held["from_count"]), float(held["percent"]))


def maxima(rules: Mapping[str, Any]) -> dict[str, float]:
    """The longest times that the Project permits, in seconds, by the name of the option."""
    asked = _map(rules, "timeouts")
    found = {option: parse_duration(asked.get(name)) for name, option in _TIMEOUTS.items()}
    return {option: seconds for option, seconds in found.items() if seconds}


def limited(options: SyncOptions, rules: Mapping[str, Any]) -> SyncOptions:
    """The options within the maxima of the Project; what is off, or longer, gets the maximum (3.12)."""
    most = maxima(rules)
    held = {name: min(getattr(options, name) or limit, limit) for name, limit in most.items()}
    return SyncOptions(**{**asdict(options), **held}) if held else options


def governs(rules: Mapping[str, Any], what: str) -> bool:
    """Whether the windows of the Project govern this, too: `deletion` or `detach` (11)."""
    named = rules.get("governs")
    return isinstance(named, list) and what in named


def guard_errors(rules: Any) -> Errors:
    """What of `timeouts` and `governs` cannot be read, by path."""
    errors: Errors = {}
    if not isinstance(rules, Mapping):
        return errors
    if rules.get("timeouts") is not None and not isinstance(rules["timeouts"], Mapping):
        errors["timeouts"] = ["must be a map"]
    for name, value in _map(rules, "timeouts").items():
        if name not in _TIMEOUTS:
            errors[f"timeouts.{name}"] = [f"is not known; known are {', '.join(_TIMEOUTS)}"]
        elif not parse_duration(value):
            errors[f"timeouts.{name}"] = ["must be a time such as 1h30m"]
    named = rules.get("governs")
    if named is not None and not (isinstance(named, list) and all(isinstance(word, str) for word in named)):
        errors["governs"] = ["must be a list of texts"]
    for word in [] if "governs" in errors else named or ():
        if word in _NOT_YET:
            errors.setdefault("governs", []).append(f"{word} is not supported yet")
        elif word not in _GOVERNED:
            errors.setdefault("governs", []).append(f"{word[:60]!r} is not known")
    return errors
