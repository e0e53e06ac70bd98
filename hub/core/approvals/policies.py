"""Policies: which operations need whose consent, and what all that match demand together (notifications.md 8.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import hub.core.specs as specs
from clusters.core.durations import parse_duration
from hub.core.globs import InvalidGlob, compile_glob
from notifications.core.expressions import compile_expression, evaluate
from notifications.core.gotimes import Clock
from notifications.core.routing.selectors import parse_selector
from notifications.errors import ConfigError, ExpressionError

KINDS = ("sync", "prune", "rollback", "takeover", "delete")
MOST_TTL_S = 7 * 86400.0
TTL_S, USE_WITHIN_S = 86400.0, 3600.0
_SUBJECT = re.compile(r"(?:group:local:.{1,150}|user:[a-z0-9._@-]{1,64}|role:(?:owner|reader))")
_GLOBS = ("projects", "applications", "namespaces", "clusters")
# `when` may not read the clock: the same plan is judged the same at every pass.
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Require:
    """So many different people out of these subjects (`group:local:x`, `user:x`, `role:owner`)."""

    of: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as it is judged. Empty globs and selectors select everything; times are seconds."""

    name: str
    require: tuple[Require, ...]
    kinds: tuple[str, ...] = KINDS
    projects: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    app_selector: str = ""
    cluster_selector: str = ""
    when: str = ""
    no_self: bool = True
    no_authors: bool = True
    step_up: bool = False
    ttl_s: float = TTL_S
    use_within_s: float = USE_WITHIN_S
    break_glass: tuple[str, ...] = ()
    break_glass_windows: bool = False
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a plan is about. `plan` is its summary: prune_count, change_count, hook_count and lists of keys; `namespaces`
    where it writes, `pinned` when it goes back to a pinned state."""

    kind: str
    project: str
    application: str
    namespace: str = ""
    cluster: str = ""
    app_labels: Mapping[str, Any] = field(default_factory=dict)
    cluster_labels: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Demand:
    """All policies that match, together: every line is its own quorum, flags the stricter, times the shorter.

    `break_glass` has one tuple of subjects per policy: a person must be in all of them.
    """

    policies: tuple[str, ...]
    require: tuple[Require, ...]
    no_self: bool
    no_authors: bool
    step_up: bool
    ttl_s: float
    use_within_s: float
    break_glass: tuple[tuple[str, ...], ...]
    break_glass_windows: bool
    destinations: tuple[str, ...]


def matches(policy: Policy, subject: Subject) -> bool:
    """Whether this plan needs the consent that the policy asks for. A `when` that fails asks: closed is the safe side.

    A plan that prunes is also a plan of kind prune (sync-semantics.md 12 rule 14), and one that goes to the pinned
    state is a rollback by whatever name.
    """
    kinds = {subject.kind}
    kinds |= {"prune"} if subject.plan.get("prune_count") else set()
    kinds |= {"rollback"} if subject.plan.get("pinned") else set()
    named = (
        (policy.projects, [subject.project]),
        (policy.applications, [subject.application]),
        # The destination, and wherever else the plan writes.
        (policy.namespaces, [subject.namespace, *subject.plan.get("namespaces", ())]),
        (policy.clusters, [subject.cluster]),
    )
    return (
        bool(kinds & set(policy.kinds))
        and all(_any(globs, names) for globs, names in named)
        and parse_selector(policy.app_selector).matches(subject.app_labels)
        and parse_selector(policy.cluster_selector).matches(subject.cluster_labels)
        and _when(policy.when, subject.plan)
    )


def _any(globs: Sequence[str], names: Sequence[str]) -> bool:
    return not globs or any(compile_glob(glob).matches(name) for glob in globs for name in names)


def _when(text: str, plan: Mapping[str, Any]) -> bool:
    if not text:
        return True
    try:
        return evaluate(compile_expression(text), {"plan": dict(plan)}, Clock(_NEVER)) is not False
    except ExpressionError:
        return True


def combine(policies: Sequence[Policy]) -> Demand | None:
    """What all matching policies ask together; None when there is none."""
    if not policies:
        return None
    ordered = sorted(policies, key=lambda policy: policy.name)
    lines = dict.fromkeys(line for policy in ordered for line in policy.require)
    return Demand(
        policies=tuple(policy.name for policy in ordered),
        require=tuple(lines),
        no_self=any(policy.no_self for policy in ordered),
        no_authors=any(policy.no_authors for policy in ordered),
        step_up=any(policy.step_up for policy in ordered),
        ttl_s=min(policy.ttl_s for policy in ordered),
        use_within_s=min(policy.use_within_s for policy in ordered),
        break_glass=tuple(policy.break_glass for policy in ordered),
        break_glass_windows=all(policy.break_glass_windows for policy in ordered),
        destinations=tuple(dict.fromkeys(name for policy in ordered for name in policy.destinations)),
    )


SCOPE = specs.record(
    {
        **dict.fromkeys(_GLOBS, specs.list_of(specs.text(512))),
        "kinds": specs.list_of(specs.text(16)),
        "app_selector": specs.text(1000),
        "cluster_selector": specs.text(1000),
        "when": specs.text(2000),
    }
)
DOCUMENT = specs.record(
    {
        "name": specs.text(
            100, pattern=re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"), what="a DNS subdomain"
        ),
        "description": specs.text(255),
        "enabled": specs.flag,
        "scope": SCOPE,
        "require": specs.list_of(
            specs.record({"from": specs.texts, "count": specs.number}, required=("from",)), 20
        ),
        "no_self": specs.flag,
        "no_authors": specs.flag,
        "step_up": specs.flag,
        "ttl": specs.text(32),
        "use_within": specs.text(32),
        "break_glass": specs.texts,
        "break_glass_windows": specs.flag,
        "destinations": specs.texts,
    },
    required=("name", "require"),
)


def read_policy(document: Any) -> tuple[Policy | None, specs.Errors]:
    """A policy document as people write it; (None, errors) when anything in it is wrong."""
    errors: specs.Errors = {}
    values = DOCUMENT(document, "", errors)
    if errors:
        return None, errors
    scope = values.get("scope") or {}
    _check_scope(scope, errors)
    require = _require(values["require"], errors)
    for index, name in enumerate(values.get("break_glass") or ()):
        _check_subject(name, f"break_glass[{index}]", errors)
    for index, name in enumerate(values.get("destinations") or ()):
        if not re.fullmatch(r"[^:\s]{1,100}:.{1,300}", name):
            errors[f"destinations[{index}]"] = ["must be service:recipient"]
    ttl = _span(values, "ttl", TTL_S, errors)
    use_within = _span(values, "use_within", USE_WITHIN_S, errors)
    if errors:
        return None, errors
    flags: dict[str, Any] = {
        name: values[name]
        for name in ("no_self", "no_authors", "step_up", "break_glass_windows")
        if name in values
    }
    texts: dict[str, Any] = {name: tuple(scope[name]) for name in (*_GLOBS, "kinds") if scope.get(name)}
    selectors: dict[str, Any] = {
        name: scope[name] for name in ("app_selector", "cluster_selector", "when") if scope.get(name)
    }
    policy = Policy(
        name=values["name"],
        require=require,
        ttl_s=ttl,
        use_within_s=use_within,
        break_glass=tuple(values.get("break_glass") or ()),
        destinations=tuple(values.get("destinations") or ()),
        **flags,
        **texts,
        **selectors,
    )
    return policy, errors


def _check_scope(scope: Mapping[str, Any], errors: specs.Errors) -> None:
    for index, kind in enumerate(scope.get("kinds") or ()):
        if kind not in KINDS:
            errors[f"scope.kinds[{index}]"] = [f"must be one of {', '.join(KINDS)}"]
    for name in _GLOBS:
        for index, glob in enumerate(scope.get(name) or ()):
            try:
                compile_glob(glob)
            except InvalidGlob as error:
                errors[f"scope.{name}[{index}]"] = [error.reason]
    for name in ("app_selector", "cluster_selector"):
        try:
            parse_selector(scope.get(name) or "")
        except ConfigError as error:
            errors[f"scope.{name}"] = [str(error)]
    try:
        if scope.get("when") and compile_expression(scope["when"]).reads_clock:
            errors["scope.when"] = ["may not read the clock"]
    except ExpressionError as error:
        errors["scope.when"] = [str(error)]


def _require(rows: Sequence[Mapping[str, Any]], errors: specs.Errors) -> tuple[Require, ...]:
    lines = []
    for index, row in enumerate(rows):
        for place, name in enumerate(row["from"]):
            _check_subject(name, f"require[{index}].from[{place}]", errors)
        count = row.get("count", 1)
        if not 1 <= count <= 20:
            errors[f"require[{index}].count"] = ["must be from 1 to 20"]
        if not row["from"]:
            errors[f"require[{index}].from"] = ["names nobody"]
        lines.append(Require(tuple(dict.fromkeys(row["from"])), count))
    if not lines:
        errors["require"] = ["names nobody: at least one line is needed"]
    return tuple(lines)


def _check_subject(name: str, path: str, errors: specs.Errors) -> None:
    if not _SUBJECT.fullmatch(name):
        errors[path] = ["must be group:local:<name>, user:<name>, role:owner or role:reader"]


def _span(values: Mapping[str, Any], name: str, usual: float, errors: specs.Errors) -> float:
    text = values.get(name)
    if not text:
        return usual
    found = parse_duration(text)
    if found is None or not 60 <= found <= MOST_TTL_S:
        errors[name] = ["must be a duration from 1m to 168h"]
        return usual
    return found
