"""How an action is made: a merge patch or a new object, and the sentence that says why not now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusters.core.health.reading import flag, text
from clusters.core.manifests import Manifest

Patch = dict[str, Any]
Parameters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Recipe:
    """`patch(obj, now, parameters)` is a merge patch; what lies under `status` goes to the status subresource.

    `refusal(obj)` says why it cannot be done at present, empty if it can. `creates`: what `patch` returns is an
    object to be created instead. `scales`: it takes the parameter `replicas`.
    """

    title: str
    patch: Callable[[Manifest, datetime, Parameters], Patch]
    refusal: Callable[[Manifest], str] = lambda _obj: ""
    scales: bool = False
    creates: bool = False


def stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(now: datetime) -> str:
    return str(int(now.timestamp()))


def set_to(*path: str, to: Any) -> Callable[[Manifest, datetime, Parameters], Patch]:
    """A patch of one path; a `to` that can be called gets the moment."""

    def patch(_obj: Manifest, now: datetime, _parameters: Parameters) -> Patch:
        value: Any = to(now) if callable(to) else to
        for step in reversed(path):
            value = {step: value}
        return dict(value)

    return patch


def annotate(name: str, to: Any) -> Callable[[Manifest, datetime, Parameters], Patch]:
    return set_to("metadata", "annotations", name, to=to)


def unless(path: tuple[str, ...], sentence: str) -> Callable[[Manifest], str]:
    return lambda obj: "" if flag(obj, *path) else sentence


def if_flag(path: tuple[str, ...], sentence: str) -> Callable[[Manifest], str]:
    return lambda obj: sentence if flag(obj, *path) else ""


PAUSED, SUSPEND = ("spec", "paused"), ("spec", "suspend")
_TEMPLATE = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")

common_restart = Recipe("Restart", set_to(*_TEMPLATE, to=stamp))
common_scale = Recipe(
    "Scale", lambda _obj, _now, given: {"spec": {"replicas": given["replicas"]}}, scales=True
)
common_pause = Recipe("Pause", set_to(*PAUSED, to=True), if_flag(PAUSED, "it is paused already"))
common_resume = Recipe("Resume", set_to(*PAUSED, to=False), unless(PAUSED, "it is not paused"))
common_suspend = Recipe("Suspend", set_to(*SUSPEND, to=True), if_flag(SUSPEND, "it is suspended already"))
common_unsuspend = Recipe("Resume", set_to(*SUSPEND, to=False), unless(SUSPEND, "it is not suspended"))


def name_at(obj: Manifest, now: datetime) -> str:
    """At most 63 characters, unique per second."""
    return f"{text(obj, 'metadata', 'name')[:51].rstrip('-.')}-{seconds(now)}"


def owner(obj: Manifest, *, controller: bool) -> dict[str, Any]:
    return {
        "apiVersion": text(obj, "apiVersion"),
        "kind": text(obj, "kind"),
        "name": text(obj, "metadata", "name"),
        "uid": text(obj, "metadata", "uid"),
        "controller": controller,
    }


def either(*refusals: Callable[[Manifest], str]) -> Callable[[Manifest], str]:
    return lambda obj: next((said for refusal in refusals if (said := refusal(obj))), "")
