"""Label and field selectors of lists and watches."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from clusters.sandbox.answers import ApiError

Manifest = dict[str, Any]
Labels = dict[str, str]
Test = Callable[[Labels], bool]
SET_BASED = re.compile(r"\s*([\w./-]+)\s+(in|notin)\s*\(([^)]*)\)\s*")
EQUALITY = re.compile(r"\s*([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)\s*")
EXISTS = re.compile(r"\s*(!?)\s*([\w./-]+)\s*")


@lru_cache(maxsize=512)
def labels(text: str) -> Test | None:
    """The test of a label selector; None selects everything. Raises ApiError 400."""
    if not text.strip():
        return None
    tests = tuple(_requirement(part) for part in _parts(text))
    if len(tests) == 1:
        return tests[0]
    return lambda held: all(test(held) for test in tests)


def _parts(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _requirement(part: str) -> Test:
    if match := SET_BASED.fullmatch(part):
        key, operator, listed = match.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda held: held.get(key) in values
        return lambda held: held.get(key) not in values
    if match := EQUALITY.fullmatch(part):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda held: held.get(key) != value
        return lambda held: held.get(key) == value
    if match := EXISTS.fullmatch(part):
        absent, key = match.groups()
        return (lambda held: key not in held) if absent else (lambda held: key in held)
    raise ApiError(400, f"unable to parse requirement: found '{part}'")


@lru_cache(maxsize=512)
def fields(text: str) -> tuple[tuple[tuple[str, ...], str, bool], ...]:
    """A field selector as (path, value, wanted equal). Raises ApiError 400."""
    made = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([\w.]+)(==|=|!=)(.*)", part)
        if match is None:
            raise ApiError(400, f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = match.groups()
        made.append((tuple(path.split(".")), value, operator != "!="))
    return tuple(made)


KNOWN_FIELDS = {
    ("", "events"): (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    ("", "namespaces"): ("status.phase",),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "pods"): (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    ("", "replicationcontrollers"): ("status.replicas",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("apps", "replicasets"): ("status.replicas",),
    ("batch", "jobs"): ("status.successful",),
}


def check_fields(
    group: str, resource: str, extra: tuple[str, ...], tests: tuple[tuple[Any, ...], ...]
) -> None:
    """Raises ApiError 400 for a field that cannot be selected; `extra` are selectable fields of a custom kind."""
    for path, _, _ in tests:
        name = ".".join(path)
        if path[0] == "metadata" and name in ("metadata.name", "metadata.namespace"):
            continue
        if name not in KNOWN_FIELDS.get((group, resource), ()) and name not in extra:
            text = 'is not a known field selector: only "metadata.name", "metadata.namespace"'
            raise ApiError(400, f'"{name}" {text}')


def matches_fields(obj: Manifest, tests: tuple[tuple[tuple[str, ...], str, bool], ...]) -> bool:
    for path, value, equal in tests:
        held: Any = obj
        for step in path:
            held = held.get(step) if isinstance(held, dict) else None
        text = "" if held is None else str(held).lower() if isinstance(held, bool) else str(held)
        if (text == value) is not equal:
            return False
    return True


def of_selector(selector: Manifest | None) -> Test:
    """The test of a LabelSelector object; an empty one selects everything, None selects nothing."""
    if selector is None:
        return lambda _: False
    wanted = dict(selector.get("matchLabels") or {})
    rules = list(selector.get("matchExpressions") or ())

    def test(held: Labels) -> bool:
        if any(held.get(key) != value for key, value in wanted.items()):
            return False
        return all(_expression(rule, held) for rule in rules)

    return test


def _expression(rule: Manifest, held: Labels) -> bool:
    key, values = rule["key"], rule.get("values") or ()
    operator = rule["operator"]
    if operator == "In":
        return held.get(key) in values
    if operator == "NotIn":
        return held.get(key) not in values
    return (key in held) is (operator == "Exists")
