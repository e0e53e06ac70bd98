"""Health of many: the worst of the parts, and who is to blame (sync-semantics.md 8.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clusters.core.health.reading import STATUSES, Health, annotation
from clusters.core.manifests import Manifest, ResourceKey

IGNORE_HEALTHCHECK = "argocd.argoproj.io/ignore-healthcheck"
_BADNESS = {status: place for place, status in enumerate(STATUSES)}


@dataclass(frozen=True, slots=True)
class Part:
    """One direct, wanted resource of an Application.

    `live` is None when it is absent; `had_baseline` tells one that vanished from one never applied. `counts` is
    False for hooks, Skip and ignored objects and for the Application itself, which are left out.
    """

    key: ResourceKey
    health: Health | None
    live: Manifest | None
    had_baseline: bool = False
    counts: bool = True


def worse(one: str, other: str) -> str:
    """The worse of two statuses; a word that is no status is as bad as Unknown."""
    return max(one, other, key=lambda status: _BADNESS.get(status, len(STATUSES)))


def aggregate(parts: Iterable[Part], *, loaded: bool = True) -> Health:
    """Health of the whole. `loaded` is False when desired or live state could not be read.

    Nothing wanted: Healthy. Things wanted and none of them live: Missing. A never applied resource does not
    worsen the whole; one that had a Baseline and vanished does.
    """
    if not loaded:
        return Health("Unknown", "its resources could not be read")
    counted = [part for part in parts if part.counts]
    if counted and all(part.live is None for part in counted):
        return Health("Missing", "none of its resources exists")
    judged = [(part.key, health) for part in counted if (health := _contribution(part))]
    worst = "Healthy"
    for _, health in judged:
        worst = worse(worst, health.status)
    if worst == "Healthy":
        return Health("Healthy")
    return Health(worst, _caused_by([(key, health) for key, health in judged if health.status == worst]))


def _contribution(part: Part) -> Health | None:
    if part.live is None:
        return Health("Missing", "it was deleted") if part.had_baseline else None
    if part.health is None or annotation(part.live, IGNORE_HEALTHCHECK) == "true":
        return None
    is_child = (part.key.group, part.key.kind) == ("argoproj.io", "Application")
    return None if is_child and part.health.status in ("Missing", "Unknown") else part.health


def _caused_by(causes: list[tuple[ResourceKey, Health]]) -> str:
    """One cause with its message, and how many there are besides: "Caused by apps/Deployment:shop/api and 2 more"."""
    (key, health), others = causes[0], len(causes) - 1
    group = f"{key.group}/" if key.group else ""
    where = f"{key.namespace}/" if key.namespace else ""
    more = f" and {others} more" if others else ""
    said = f": {health.message}" if health.message else ""
    return f"Caused by {group}{key.kind}:{where}{key.name}{more}{said}"
