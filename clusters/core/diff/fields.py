"""Who owns what: walking fieldsV1 trees along a path of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from clusters.core.diff.leaves import selector
from clusters.core.manifests import Manifest

Fields = dict[str, Any]


def owned_by(live: Manifest, manager: str) -> Iterator[Fields]:
    """The fieldsV1 trees of a manager, subresources included."""
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") == manager and isinstance(entry.get("fieldsV1"), dict):
            yield entry["fieldsV1"]


def owners_of(live: Manifest, path: Sequence[str]) -> set[str]:
    """The managers whose fields reach `path`: the path itself, a part of it, or an atomic value around it."""
    return {
        str(entry.get("manager"))
        for entry in live["metadata"].get("managedFields") or ()
        if isinstance(entry.get("fieldsV1"), dict) and covers(entry["fieldsV1"], path)
    }


def owners_at(live: Manifest, where: str) -> set[str]:
    """As `owners_of`, for a path in one text (`.metadata.labels.example.com/team`): names may have dots in them."""
    return {
        str(entry.get("manager"))
        for entry in live["metadata"].get("managedFields") or ()
        if isinstance(entry.get("fieldsV1"), dict) and _reaches(entry["fieldsV1"], where)
    }


def _reaches(tree: Fields, where: str) -> bool:
    if not tree or where in ("", "[order]"):
        return True
    for name, below in tree.items():
        step = _step_of(name)
        rest = where[len(step) :]
        if step and where.startswith(step) and rest[:1] in ("", ".", "[") and _reaches(below, rest):
            return True
    return False


def _step_of(name: str) -> str:
    if name.startswith("f:"):
        return "." + name[2:]
    if name.startswith("k:"):
        keys = orjson.loads(name[2:])
        return f"[{selector(keys, sorted(keys))}]"
    return f"[={name[2:]}]" if name.startswith("v:") else ""


def covers(tree: Fields, path: Sequence[str]) -> bool:
    """Whether the tree holds the path, something below it, or an atomic value that contains it."""
    node = tree
    for step in path:
        below = _below(node, step)
        if below is None:
            return False
        if not below:
            return True
        node = below
    return True


def _below(node: Fields, step: str) -> Fields | None:
    if step.startswith("."):
        found: Fields | None = node.get("f:" + step[1:])
        return found
    if step == "[order]":
        return {}
    for name, below in node.items():
        if name.startswith("k:"):
            keys = orjson.loads(name[2:])
            if f"[{selector(keys, sorted(keys))}]" == step:
                return dict(below)
        elif name.startswith("v:") and f"[={name[2:]}]" == step:
            return dict(below)
    return None
