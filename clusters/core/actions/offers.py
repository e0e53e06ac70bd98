"""What can be offered for an object, and the request that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters.core.actions.making import Recipe
from clusters.core.actions.recipes import recipes_for
from clusters.core.health.reading import number, text
from clusters.core.manifests import Manifest, group_of, key_of
from clusters.core.plan.steps import Action
from clusters.errors import ClusterError

FIELD_MANAGER = "gitops-hub-actions"
MAX_REPLICAS = 100_000


class ActionRefused(ClusterError):
    """There is no such action for this object, it cannot be done now, or a parameter is wrong."""

    code = "action_refused"
    permanent = True


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a person has to give: an integer from `minimum` to `maximum`; `default` is the present value."""

    name: str
    default: int
    minimum: int = 0
    maximum: int = MAX_REPLICAS


@dataclass(frozen=True, slots=True)
class ResourceAction:
    """One action as it is offered. `disabled` is a sentence saying why not now, empty if it can be done."""

    name: str
    title: str
    disabled: str = ""
    parameters: tuple[Parameter, ...] = ()


def available(obj: Manifest) -> tuple[ResourceAction, ...]:
    """The actions for this object, in a fixed order; none for a kind without actions."""
    offered = []
    for name, recipe in _recipes(obj).items():
        parameters = (Parameter("replicas", number(obj, "spec", "replicas")),) if recipe.scales else ()
        offered.append(ResourceAction(name, recipe.title, _refusal(obj, recipe), parameters))
    return tuple(offered)


def build(
    name: str, obj: Manifest, now: datetime, parameters: Mapping[str, Any] | None = None
) -> tuple[Action, ...]:
    """The requests that do action `name` on `obj`, to be sent in this order. Raises ActionRefused.

    `now` is the moment of the click; it stands in restart marks and in the names of created objects.
    """
    recipe = _recipes(obj).get(name)
    key = key_of(obj)
    if recipe is None:
        raise ActionRefused(
            f"{key} has no action {name}", hint=f"it has: {', '.join(_recipes(obj)) or 'none'}"
        )
    if why := _refusal(obj, recipe):
        raise ActionRefused(f"{name} of {key} is not possible: {why}")
    body = recipe.patch(obj, now, _checked(parameters or {}, recipe))
    if recipe.creates:
        created = Action("create", key_of(body), body, body["apiVersion"], field_manager=FIELD_MANAGER)
        return (created,)
    if "status" not in body:
        return (_patch(obj, body),)
    if "spec" not in body:
        return (_patch(obj, body, "status"),)
    rest = {name: value for name, value in body.items() if name != "status"}
    return (_patch(obj, rest), _patch(obj, {"status": body["status"]}, "status"))


def _patch(obj: Manifest, body: Any, subresource: str = "") -> Action:
    return Action(
        "patch",
        key_of(obj),
        body,
        text(obj, "apiVersion"),
        field_manager=FIELD_MANAGER,
        patch_type="merge",
        subresource=subresource,
    )


def _refusal(obj: Manifest, recipe: Recipe) -> str:
    return "it is being deleted" if text(obj, "metadata", "deletionTimestamp") else recipe.refusal(obj)


def _checked(parameters: Mapping[str, Any], recipe: Recipe) -> dict[str, int]:
    wanted = {"replicas"} if recipe.scales else set()
    if set(parameters) != wanted:
        expected = "replicas" if wanted else "none"
        raise ActionRefused(f"the parameters have to be: {expected}")
    for name, value in parameters.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_REPLICAS:
            raise ActionRefused(f"{name} has to be an integer from 0 to {MAX_REPLICAS}")
    return dict(parameters)


def _recipes(obj: Manifest) -> Mapping[str, Recipe]:
    return recipes_for(group_of(obj), text(obj, "kind"))
