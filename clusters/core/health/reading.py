"""Reading live objects without surprises: what is absent or of another type counts as 0 or empty (8.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from clusters.core.manifests import Manifest

STATUSES = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")
"""All health statuses, best first, worst last (sync-semantics.md 1)."""


@dataclass(frozen=True, slots=True)
class Health:
    """One status of `STATUSES` and a sentence for people, which may be empty."""

    status: str
    message: str = ""

    def __post_init__(self) -> None:
        # An object may say anything; PostgreSQL stores no NUL.
        if "\0" in self.message:
            object.__setattr__(self, "message", self.message.replace("\0", "\ufffd"))


Rule = Callable[[Manifest], Health | None]
"""A rule of one kind. None: no opinion."""


class Condition(NamedTuple):
    """One entry of `status.conditions`. `observed` is its own observedGeneration, None where it has none."""

    type: str
    status: str
    reason: str
    message: str
    observed: int | None


NO_CONDITION = Condition("", "", "", "", None)


def healthy(message: str = "") -> Health:
    return Health("Healthy", message)


def progressing(message: str) -> Health:
    return Health("Progressing", message)


def degraded(message: str) -> Health:
    return Health("Degraded", message)


def suspended(message: str) -> Health:
    return Health("Suspended", message)


def dig(obj: Any, *path: str) -> Any:
    """The value below `path`, None where a step is missing or is no mapping."""
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def number(obj: Any, *path: str) -> int:
    """An integer, 0 where there is none."""
    value = dig(obj, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def text(obj: Any, *path: str) -> str:
    """A string, empty where there is none."""
    value = dig(obj, *path)
    return value if isinstance(value, str) else ""


def flag(obj: Any, *path: str) -> bool:
    return dig(obj, *path) is True


def items(obj: Any, *path: str) -> list[Manifest]:
    """The mappings of a list."""
    value = dig(obj, *path)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def annotation(obj: Any, key: str) -> str:
    return text(obj, "metadata", "annotations", key)


def conditions_in(entries: list[Manifest]) -> dict[str, Condition]:
    """Conditions by type; of two of one type the last counts."""
    found = {}
    for entry in entries:
        observed = number(entry, "observedGeneration") if "observedGeneration" in entry else None
        kind, status, reason, message = (text(entry, key) for key in ("type", "status", "reason", "message"))
        found[kind] = Condition(kind, status, reason, message, observed)
    return found


def conditions(obj: Any) -> dict[str, Condition]:
    return conditions_in(items(obj, "status", "conditions"))


def sentence(condition: Condition, otherwise: str) -> str:
    """What a condition says for people: its message, else its reason, else `otherwise`."""
    return condition.message or condition.reason or otherwise


def is_behind(obj: Any) -> bool:
    """The controller has not seen the present spec: generation > observedGeneration ("gen" in 8.1)."""
    return number(obj, "metadata", "generation") > number(obj, "status", "observedGeneration")


def is_known_behind(obj: Any) -> bool:
    """As `is_behind`, for kinds whose controllers may never write observedGeneration at all."""
    return isinstance(dig(obj, "status", "observedGeneration"), int) and is_behind(obj)


def not_observed(obj: Any) -> Health:
    generation = number(obj, "metadata", "generation")
    return progressing(f"waiting for the controller to observe generation {generation}")
