"""Ignore rules: which paths of which objects do not count (sync-semantics.md 6.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

from clusters.core.diff.evaluate import Place, Unevaluated, exists, places, pointed, without
from clusters.core.diff.expressions import Step, Unsupported, parse_expression, parse_pointer
from clusters.core.diff.fields import covers, owned_by
from clusters.core.manifests import Manifest, ResourceKey, canonical_json

RuleOrigin = Literal["application", "project", "system", "autoscaler"]
Jq = Callable[[str, Manifest], Sequence[Place]]
"""The places of an object that a jq expression yields, evaluated elsewhere. Raises Unevaluated with the reason."""


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One entry of `ignoreDifferences`; `group`, `kind`, `name`, `namespace` may be globs, empty name = any.

    `reason` is shown beside what it ignores; left empty, the rule speaks for itself.
    """

    group: str = ""
    kind: str = "*"
    name: str = ""
    namespace: str = ""
    json_pointers: tuple[str, ...] = ()
    jq_paths: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    origin: RuleOrigin = "application"
    reason: str = ""

    def matches(self, key: ResourceKey) -> bool:
        """Whether the rule speaks of this object."""
        return (
            fnmatchcase(key.group, self.group)
            and fnmatchcase(key.kind, self.kind)
            and (not self.name or fnmatchcase(key.name, self.name))
            and (not self.namespace or fnmatchcase(key.namespace, self.namespace))
        )


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """An expression that this process will not evaluate. Unless a child does, it is a ComparisonError that names the
    expression, and the path is not ignored."""

    expression: str
    origin: RuleOrigin
    message: str

    def __str__(self) -> str:
        return f"ignore rule {self.expression!r} of the {self.origin}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Path:
    """One compiled path with the sentence that names its rule."""

    rule: str
    origin: RuleOrigin
    pointer: tuple[str, ...] | None = None
    steps: tuple[Step, ...] | None = None
    text: str = ""
    jq: Jq | None = field(default=None, compare=False, repr=False)

    def places(self, obj: Manifest) -> list[Place]:
        if self.jq is not None:
            return [place for place in self.jq(self.text, obj) if exists(place, obj)]
        if self.pointer is not None:
            return pointed(self.pointer, obj)
        return places(self.steps or (), obj)


@dataclass(frozen=True)
class ObjectRules:
    """The rules that speak of one object, compiled."""

    paths: tuple[_Path, ...] = ()
    managers: tuple[tuple[str, str], ...] = ()
    problems: tuple[RuleProblem, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Changes when the rules change; empty when there are none."""
        if not self.paths and not self.managers:
            return ""
        text = canonical_json([sorted([p.text for p in self.paths]), sorted(self.managers)])
        return hashlib.blake2b(text, digest_size=8).hexdigest()

    def strip(self, obj: Manifest) -> Manifest:
        """The object without what its paths ignore (managers: see `ignores`). Shares parts with `obj`."""
        if not self.paths:
            return obj
        gone = [place for place, _ in self.ignored_places(obj)]
        result: Manifest = without(obj, gone)
        return result

    def ignored_places(self, obj: Manifest) -> list[tuple[Place, str]]:
        """(place, rule) for every existing place that a path rule ignores; a path without an answer ignores nothing."""
        found: list[tuple[Place, str]] = []
        for path in self.paths:
            try:
                found += [(place, path.rule) for place in path.places(obj)]
            except Unevaluated:
                continue  # told by `exceeded`
        return found

    def exceeded(self, obj: Manifest) -> tuple[RuleProblem, ...]:
        """The expressions that have no answer for this very object: too many nodes, or killed in their child."""
        problems = []
        for path in self.paths:
            try:
                path.places(obj)
            except Unevaluated as why:
                problems.append(RuleProblem(path.text, path.origin, str(why)))
        return tuple(problems)

    def ignores(self, live: Manifest, path: Iterable[str]) -> str:
        """The rule by which a field manager's ownership ignores `path` (steps as in `Change.path`), or ""."""
        if not self.managers:
            return ""
        steps = tuple(path)
        for manager, rule in self.managers:
            if any(covers(tree, steps) for tree in owned_by(live, manager)):
                return rule
        return ""


NO_RULES = ObjectRules()


@dataclass(frozen=True)
class IgnoreRules:
    """All rules that may speak of an Application's objects: its own, its Project's and the system's.

    `jq` evaluates expressions beyond the bounded path language; without it each of them is a problem.
    """

    rules: tuple[IgnoreRule, ...] = ()
    jq: Jq | None = field(default=None, compare=False, repr=False)
    _compiled: dict[tuple[int, ...], ObjectRules] = field(default_factory=dict, compare=False, repr=False)

    def for_object(self, key: ResourceKey) -> ObjectRules:
        """The rules for one object; equal selections share one compiled value."""
        chosen = tuple(number for number, rule in enumerate(self.rules) if rule.matches(key))
        if not chosen:
            return NO_RULES
        if chosen not in self._compiled:
            self._compiled[chosen] = compile_rules((self.rules[number] for number in chosen), self.jq)
        return self._compiled[chosen]


def compile_rules(rules: Iterable[IgnoreRule], jq: Jq | None = None) -> ObjectRules:
    """Compiled rules; expressions outside the bounded path language are left to `jq`, without it they are problems."""
    paths: list[_Path] = []
    managers: list[tuple[str, str]] = []
    problems: list[RuleProblem] = []
    for rule in rules:
        for text in (*rule.json_pointers, *rule.jq_paths):
            try:
                paths.append(_compiled(rule, text, is_pointer=text in rule.json_pointers))
            except Unsupported as error:
                if jq is not None and text in rule.jq_paths:
                    paths.append(
                        _Path(rule.reason or f"{rule.origin}: {text}", rule.origin, text=text, jq=jq)
                    )
                    continue
                problems.append(RuleProblem(text, rule.origin, f"is outside the path language ({error})"))
        managers += [
            (name, rule.reason or f"{rule.origin}: fields of manager {name}") for name in rule.managers
        ]
    return ObjectRules(tuple(paths), tuple(managers), tuple(problems))


def rules_from_spec(entries: Iterable[dict[str, Any]], origin: RuleOrigin) -> tuple[IgnoreRule, ...]:
    """`ignoreDifferences` as written in an Application or Project. Unknown fields are left to the caller's check."""
    return tuple(
        IgnoreRule(
            group=str(entry.get("group") or ""),
            kind=str(entry.get("kind") or "*"),
            name=str(entry.get("name") or ""),
            namespace=str(entry.get("namespace") or ""),
            json_pointers=tuple(entry.get("jsonPointers") or ()),
            jq_paths=tuple(entry.get("jqPathExpressions") or ()),
            managers=tuple(entry.get("managedFieldsManagers") or ()),
            origin=origin,
        )
        for entry in entries
    )


def system_rules(settings: Mapping[str, dict[str, Any]]) -> tuple[IgnoreRule, ...]:
    """`resource.customizations.ignoreDifferences`: settings per `<group>_<Kind>` (`<Kind>` in the core group) or `all`."""
    entries = []
    for name, entry in settings.items():
        group, _, kind = ("*", "", "*") if name == "all" else name.rpartition("_")
        entries.append({**entry, "group": group, "kind": kind})
    return rules_from_spec(entries, "system")


def join_rules(*rules: ObjectRules) -> ObjectRules:
    """One value for the rules of several origins, e.g. those of the spec and the autoscaler's."""
    some = [each for each in rules if each.paths or each.managers or each.problems]
    if len(some) < 2:
        return some[0] if some else NO_RULES
    return ObjectRules(
        tuple(path for each in some for path in each.paths),
        tuple(manager for each in some for manager in each.managers),
        tuple(problem for each in some for problem in each.problems),
    )


def _compiled(rule: IgnoreRule, text: str, *, is_pointer: bool) -> _Path:
    reason = rule.reason or f"{rule.origin}: {text}"
    if is_pointer:
        return _Path(reason, rule.origin, pointer=parse_pointer(text), text=text)
    return _Path(reason, rule.origin, steps=parse_expression(text), text=text)
