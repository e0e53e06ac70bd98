"""Target against live, field by field: when there is no Baseline, and to say what an admission changed (6.1, 6.3).

Only what the target says counts, plus leaves that were ours and are no longer wanted. A field that others own, or
that the server defaulted, is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from clusters.core.diff.leaves import LeafSet, leaf_at, selector
from clusters.core.diff.projection import ABSENT, Path, same_json
from clusters.core.diff.scalars import same_scalar
from clusters.core.diff.types import Type


@dataclass(frozen=True, slots=True)
class Difference:
    """One path on which target and live differ. A missing value is ABSENT; `ignored_by` names the rule, if any.

    `removed`: ours before, not in the target, still live. `note`: e.g. "not in the live object".
    """

    path: Path
    desired: Any = field(repr=False)
    live: Any = field(repr=False)
    removed: bool = False
    note: str = ""
    ignored_by: str = ""

    @property
    def where(self) -> str:
        """The path as the API server writes it: `.spec.containers[name="c"].image`."""
        return "".join(self.path)


_SIMPLE = frozenset((str, int, bool, float))


class Walk:
    """One comparison. `inconclusive`: where only the API server can tell; one dry run decides (6.3)."""

    def __init__(self, *, built_in: bool) -> None:
        self.built_in = built_in
        self.inconclusive: list[Path] = []
        self._found: list[Difference] = []

    def compare(self, target: Any, live: Any, schema: Type) -> list[Difference]:
        """The differences of `live` from `target`, in the target's order."""
        self._found = []
        self._compare(target, live, schema, ())
        return self._found

    def _compare(self, target: Any, live: Any, schema: Type, path: Path) -> None:
        both_maps = type(target) is dict and type(live) is dict
        both_lists = type(target) is list and type(live) is list
        if both_maps and schema.form != "atomic":
            self._maps(target, live, schema, path)
        elif both_lists and schema.form == "keyed":
            self._keyed(target, live, schema, path)
        elif both_lists and schema.form == "set":
            self._found += [
                Difference((*path, f"[={orjson.dumps(value).decode()}]"), value, ABSENT)
                for value in target
                if value not in live
            ]
        elif isinstance(target, dict | list) or isinstance(live, dict | list):
            verdict = self._same(target, live, schema)
            if verdict is None:
                self.inconclusive.append(path)
            elif not verdict:
                self._found.append(Difference(path, target, live))
        elif not same_scalar(target, live, schema.form):
            self._found.append(Difference(path, target, live))

    def _maps(self, target: dict[str, Any], live: dict[str, Any], schema: Type, path: Path) -> None:
        for name, wanted in target.items():
            there = live.get(name)
            if there is not None:  # a null is as good as nothing
                if type(wanted) is type(there) and type(wanted) in _SIMPLE and wanted == there:
                    continue
                if wanted == "" and self._is_default(name, there, schema):
                    continue
                self._compare(wanted, there, schema.field(name), (*path, "." + name))
            elif not self._same_as_absent(name, wanted, schema):
                if self.built_in and _is_zero(wanted):
                    self.inconclusive.append((*path, "." + name))
                else:
                    self._missing((*path, "." + name), wanted)

    def _keyed(self, target: list[Any], live: list[Any], schema: Type, path: Path) -> None:
        there = {selector(item, schema.keys, schema): item for item in live}
        wanted: dict[str, Any] = {}
        for item in target:  # of doubles the last is kept, in the place of the last
            wanted.pop(name := selector(item, schema.keys, schema), None)
            wanted[name] = item
        for name, item in wanted.items():
            if name in there:
                self._compare(item, there[name], schema.item, (*path, f"[{name}]"))
            else:
                self._missing((*path, f"[{name}]"), item)
        ours = [name for name in there if name in wanted]
        order = [name for name in wanted if name in there]
        if ours != order:
            self._found.append(Difference((*path, "[order]"), order, ours))

    def _missing(self, path: Path, wanted: Any) -> None:
        self._found.append(Difference(path, wanted, ABSENT, note="not in the live object"))

    def _same_as_absent(self, name: str, wanted: Any, schema: Type) -> bool:
        """Whether the server keeps nothing for this value, so that its absence means the same."""
        if not self.built_in:
            return wanted is None
        if wanted in ({}, [], None) or (name in schema.zeros and _is_zero(wanted)):
            return True
        if isinstance(wanted, dict):
            below = schema.field(name)
            return all(self._same_as_absent(key, value, below) for key, value in wanted.items())
        return name in schema.defaults and same_scalar(wanted, schema.defaults[name], schema.field(name).form)

    def _is_default(self, name: str, value: Any, schema: Type) -> bool:
        """Whether the server writes this value for an absent field; for it an empty text is as good as absent."""
        return self.built_in and name in schema.defaults and same_json(value, schema.defaults[name])

    def _same(self, target: Any, live: Any, schema: Type) -> bool | None:
        """Equality of whole values, defaults counted on both sides; None when only the server can tell."""
        if isinstance(target, dict) and isinstance(live, dict):
            return _all(self._same_entry(name, target, live, schema) for name in {**target, **live})
        if isinstance(target, list) and isinstance(live, list):
            if len(target) != len(live):
                return False
            return _all(self._same(a, b, schema.item) for a, b in zip(target, live, strict=True))
        if isinstance(target, dict | list) or isinstance(live, dict | list):
            return same_json(target, live)
        return same_scalar(target, live, schema.form)

    def _same_entry(
        self, name: str, target: dict[str, Any], live: dict[str, Any], schema: Type
    ) -> bool | None:
        if not target.get(name) and name in schema.undeclared:
            return True
        if name in target and name in live:
            defaulted = target[name] == "" and self._is_default(name, live[name], schema)
            return defaulted or self._same(target[name], live[name], schema.field(name))
        present = target[name] if name in target else live[name]
        if not self.built_in:
            return None if name in live else False  # perhaps a default of the custom kind's schema
        if self._is_default(name, present, schema):
            return True
        if (name in schema.zeros and _is_zero(present)) or (
            name in ("labels", "annotations") and not present
        ):
            return True
        return None if present in ({}, []) or _is_zero(present) else False


def removed_leaves(old: LeafSet, new: LeafSet, live: Any, path: Path = ()) -> Iterator[Difference]:
    """Leaves that were ours, are not wanted any more and are still live: the next apply takes them away."""
    for name, below, step, value in _entries(old, live):
        counterpart = leaf_at(new, (step,)) if isinstance(new, dict | list) else new
        if value is ABSENT or isinstance(counterpart, int):
            continue
        if counterpart is None:
            yield from _gone(below, value, (*path, step))
        elif not isinstance(below, int) and name is not None:
            yield from removed_leaves(below, counterpart, value, (*path, step))


def with_rule(difference: Difference, rule: str) -> Difference:
    """The difference, marked as ignored by `rule`."""
    return replace(difference, ignored_by=rule)


def _gone(leaves: LeafSet, value: Any, path: Path) -> Iterator[Difference]:
    """A map that others also write in loses only our leaves; a whole value or list item goes as one."""
    if isinstance(leaves, dict) and isinstance(value, dict) and not path[-1].startswith("["):
        for name, below in leaves.items():
            if name in value:
                yield from _gone(below, value[name], (*path, "." + name))
    else:
        yield Difference(path, ABSENT, value, removed=True)


def _entries(leaves: LeafSet, live: Any) -> Iterator[tuple[str | None, LeafSet, str, Any]]:
    if isinstance(leaves, dict) and isinstance(live, dict):
        for name, below in leaves.items():
            yield name, below, "." + name, live.get(name, ABSENT)
    elif isinstance(leaves, list) and leaves and leaves[0] == "k" and isinstance(live, list):
        there = {selector(item, leaves[1]): item for item in live}
        for name, below in leaves[2].items():
            yield name, below, f"[{name}]", there.get(name, ABSENT)


def _all(verdicts: Iterator[bool | None]) -> bool | None:
    """False beats "cannot tell" beats True."""
    result: bool | None = True
    for verdict in verdicts:
        if verdict is False:
            return False
        if verdict is None:
            result = None
    return result


def _is_zero(value: Any) -> bool:
    return value is False or value == "" or (type(value) in (int, float) and value == 0)
