"""Target against live without a Baseline: fresh database, adoption, a new manifest or new rules (6.1, 6.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from clusters.core.diff.evaluate import Place
from clusters.core.diff.leaves import LeafSet, leaf_set, leaf_set_of_manifest, selector
from clusters.core.diff.normalise import normalised
from clusters.core.diff.projection import Path
from clusters.core.diff.rules import NO_RULES, ObjectRules, RuleProblem
from clusters.core.diff.schema import type_of
from clusters.core.diff.types import Type
from clusters.core.diff.walk import Difference, Walk, removed_leaves, with_rule
from clusters.core.manifests import Manifest, group_of, is_built_in
from clusters.core.manifests.clean import IgnoreStatus


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs and counts; what differs and is ignored, with the rule (only when asked for).

    `inconclusive`: paths on which only the server can tell (defaults of custom kinds, zero values); with no other
    difference one dry run decides. `problems`: rules that were not evaluated, each a ComparisonError.
    """

    differences: tuple[Difference, ...] = ()
    inconclusive: tuple[str, ...] = ()
    ignored: tuple[Difference, ...] = ()
    problems: tuple[RuleProblem, ...] = ()

    @property
    def equal(self) -> bool:
        """Nothing differs for sure and nothing is open."""
        return not self.differences and not self.inconclusive


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """Settings of a comparison. `known_types`: `knownTypeFields` of a custom kind, path to type name."""

    destination_namespace: str = ""
    ignore_status: IgnoreStatus = "all"
    ignore_aggregated_roles: bool = False
    known_types: Mapping[str, str] | None = None

    def normalise(self, obj: Manifest, *, live: bool) -> Manifest:
        """6.1 items 1 and 2."""
        return normalised(
            obj,
            destination_namespace=self.destination_namespace,
            ignore_status=self.ignore_status,
            ignore_aggregated_roles=self.ignore_aggregated_roles,
            live=live,
        )


DEFAULT_OPTIONS = CompareOptions()


def compare(
    target: Manifest,
    live: Manifest,
    rules: ObjectRules = NO_RULES,
    *,
    options: CompareOptions = DEFAULT_OPTIONS,
    old_leaves: LeafSet | None = None,
    undeclared: Collection[str] = (),
    show_ignored: bool = False,
) -> Comparison:
    """The differences of `live` from the stamped `target`.

    `old_leaves`: the leaf set of a void Baseline; without it, what live managedFields list for us. What is in there and
    not in the target, and still live, is a difference too. `undeclared`: paths that the server called unknown
    (`clusters.core.fields.undeclared`); their differences say so.
    """
    schema = type_of(target, options.known_types)
    before = leaf_set(live["metadata"].get("managedFields")) if old_leaves is None else old_leaves
    wanted, there = options.normalise(target, live=False), options.normalise(live, live=True)
    kept_target, kept_live = rules.strip(wanted), rules.strip(there)
    walk = Walk(built_in=is_built_in(group_of(target)))
    found = list(walk.compare(kept_target, kept_live, schema))
    if before:
        found += removed_leaves(before, leaf_set_of_manifest(kept_target), kept_live)
    by_manager = [(d, rules.ignores(live, d.path)) for d in found]
    ignored: list[Difference] = []
    if show_ignored:
        ignored = [with_rule(d, rule) for d, rule in by_manager if rule]
        ignored += _ignored_by_path(wanted, there, rules, schema, {d.path for d in found})
    return Comparison(
        differences=tuple(_marked(d, undeclared) for d, rule in by_manager if not rule),
        inconclusive=tuple("".join(path) for path in walk.inconclusive),
        ignored=tuple(ignored),
        problems=(*rules.problems, *rules.exceeded(live)),
    )


def _marked(difference: Difference, undeclared: Collection[str]) -> Difference:
    if difference.where not in undeclared:
        return difference
    return replace(difference, note="not in the cluster's schema")


def step_path(obj: Manifest, place: Place, schema: Type) -> Path:
    """A place (keys and indices) as path steps, list items by their key where the list has one."""
    path: list[str] = []
    value: object = obj
    for part in place:
        if isinstance(value, dict):
            path.append(f".{part}")
            schema, value = schema.field(str(part)), value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
            path.append(
                f"[{selector(value, sorted(schema.keys), schema)}]" if schema.form == "keyed" else f"[{part}]"
            )
            schema = schema.item
    return tuple(path)


def _ignored_by_path(
    wanted: Manifest, there: Manifest, rules: ObjectRules, schema: Type, counted: set[Path]
) -> Iterable[Difference]:
    """Differences that only the path rules hide, each with its rule."""
    if not rules.paths:
        return
    named = [
        (step_path(obj, place, schema), rule)
        for obj in (wanted, there)
        for place, rule in rules.ignored_places(obj)
    ]
    walk = Walk(built_in=is_built_in(group_of(wanted)))
    for difference in walk.compare(wanted, there, schema):
        rule = next((rule for path, rule in named if _touch(path, difference.path)), "")
        if rule and difference.path not in counted:
            yield with_rule(difference, rule)


def _touch(a: Path, b: Path) -> bool:
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]
