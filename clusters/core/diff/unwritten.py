"""Paths we do not write: the body to send when ignore rules or an autoscaler own a part of it (sync-semantics.md 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clusters.core.diff.direct import step_path
from clusters.core.diff.evaluate import Place, without
from clusters.core.diff.fields import covers, owned_by, owners_of
from clusters.core.diff.leaves import selector
from clusters.core.diff.projection import ABSENT, Path
from clusters.core.diff.rules import ObjectRules
from clusters.core.diff.schema import type_of
from clusters.core.diff.types import Type
from clusters.core.manifests import FIELD_MANAGER, Manifest


@dataclass(frozen=True, slots=True)
class Body:
    """What to send, and a sentence for every path that is not sent as Git has it."""

    manifest: Manifest
    reasons: tuple[str, ...] = ()


def body_to_send(
    manifest: Manifest, live: Manifest | None, rules: ObjectRules, *, replace: bool = False
) -> Body:
    """The body of the next apply (or PUT, `replace`) of `manifest`; `live` with managedFields.

    `rules`: those whose paths are not written: all with `RespectIgnoreDifferences`, else the autoscaler's alone.
    Another manager owns the path: it is left out and our ownership lapses. Only we own it: it is sent with its live
    value, because dropping a solely owned field lets the server default it. No live object: Git's value.
    """
    if live is None or not (rules.paths or rules.managers):
        return Body(manifest)
    schema = type_of(manifest)
    drop: list[Place] = []
    keep: list[tuple[Path, Any]] = []
    reasons: list[str] = []
    for path, place, rule in _named(manifest, live, rules, schema):
        if path[:1] == (".status",):
            continue
        value = value_at(live, path, schema)
        others = owners_of(live, path) - {FIELD_MANAGER}
        ours = any(covers(tree, path) for tree in owned_by(live, FIELD_MANAGER))
        if value is not ABSENT and (replace or (ours and not others) or _inside_whole(path)):
            keep.append((path, value))
        elif place is not None:
            drop.append(place)
        else:
            continue
        if rule not in reasons:
            reasons.append(rule)
    body: Manifest = without(manifest, drop)
    for path, value in keep:
        body = with_value(body, path, value, schema)
    return Body(body, tuple(reasons))


def value_at(obj: Any, path: Path, schema: Type) -> Any:
    """The value at a path of steps, ABSENT when there is none."""
    for step in path:
        number = _position(obj, step, schema)
        if number is None:
            return ABSENT
        obj = obj[number]
        schema = schema.field(step[1:]) if step.startswith(".") else schema.item
    return obj


def with_value(obj: Any, path: Path, value: Any, schema: Type) -> Any:
    """A copy of `obj` with `value` at the path; missing maps are made, missing list items are not."""
    if not path:
        return value
    step = path[0]
    below = schema.field(step[1:]) if step.startswith(".") else schema.item
    if step.startswith(".") and isinstance(obj, dict):
        inner = with_value(obj.get(step[1:], {}), path[1:], value, below)
        return {**obj, step[1:]: inner}
    number = _position(obj, step, schema)
    if number is None:
        return obj
    return [with_value(item, path[1:], value, below) if n == number else item for n, item in enumerate(obj)]


def _named(
    manifest: Manifest, live: Manifest, rules: ObjectRules, schema: Type
) -> list[tuple[Path, Place | None, str]]:
    """(path, place in the manifest or None, rule) of every path that is not written, on either side."""
    found: dict[Path, tuple[Place | None, str]] = {}
    for place, rule in rules.ignored_places(manifest):
        found.setdefault(step_path(manifest, place, schema), (place, rule))
    for place, rule in rules.ignored_places(live):
        found.setdefault(step_path(live, place, schema), (None, rule))
    for manager, rule in rules.managers:
        for place in _leaves_of(manifest, ()):
            path = step_path(manifest, place, schema)
            if any(covers(tree, path) for tree in owned_by(live, manager)):
                found.setdefault(path, (place, rule))
    return [(path, place, rule) for path, (place, rule) in found.items()]


def _leaves_of(value: Any, place: Place) -> list[Place]:
    if isinstance(value, dict) and value and len(place) < 64:
        items: Any = value.items()
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        items = enumerate(value)
    else:
        return [place]
    return [found for name, item in items for found in _leaves_of(item, (*place, name))]


def _inside_whole(path: Path) -> bool:
    """A part of an atomic list cannot be left out; it is sent as it is live."""
    return any(step[1:-1].isdecimal() for step in path if step.startswith("["))


def _position(obj: Any, step: str, schema: Type) -> Any:
    """The key or index of a step in `obj`, None when it is not there."""
    if step.startswith("."):
        return step[1:] if isinstance(obj, dict) and step[1:] in obj else None
    if not isinstance(obj, list):
        return None
    if step[1:-1].isdecimal():
        return int(step[1:-1]) if int(step[1:-1]) < len(obj) else None
    keys = sorted(schema.keys)
    return next((n for n, item in enumerate(obj) if f"[{selector(item, keys, schema)}]" == step), None)
