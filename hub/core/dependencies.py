"""Applications that wait for Applications (sync-semantics.md 12 rule 13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ANNOTATION = "gitops-hub.io/depends-on"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One Application that must be ready first. `condition`: Healthy, Synced, Succeeded; empty = Synced and Healthy."""

    application: str
    condition: str = ""


def dependencies_of(policy: Mapping[str, Any] | None, annotations: Mapping[str, str]) -> list[Dependency]:
    """What an Application waits for: `depends_on` of its sync policy, then its annotation (`db, cache:Healthy`)."""
    found = [
        Dependency(str(entry["application"]), str(entry.get("condition") or ""))
        for entry in (policy or {}).get("depends_on") or ()
    ]
    for word in str(annotations.get(ANNOTATION) or "").split(","):
        name, _, condition = word.strip().partition(":")
        if name and all(name != known.application for known in found):
            found.append(Dependency(name, condition.strip()))
    return found


def closes_cycle(
    name: str, wanted: Iterable[Dependency], lookup: Callable[[list[str]], Mapping[str, Iterable[Dependency]]]
) -> str:
    """The dependency by which `name` would wait for itself, empty when it would not.

    `lookup` gives the dependencies of the named Applications, level by level; unknown names may be missing.
    """
    came_by = {each.application: each.application for each in wanted}
    level = list(came_by)
    while level:
        if name in came_by:
            return came_by[name]
        following: list[str] = []
        for parent, below in sorted(lookup(sorted(level)).items()):
            for each in below:
                if each.application not in came_by:
                    came_by[each.application] = came_by[parent]
                    following.append(each.application)
        level = following
    return came_by.get(name, "")
