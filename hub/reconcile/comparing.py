"""One wanted resource against the live one: whether it differs, and the lines that say how (sync-semantics.md 6).

May live here: which comparison counts, masks, what the rules ignore. May not: what a difference means (`judging`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.conf import settings

import hub.reconcile.baselines as baselines
import hub.reconcile.looking as looking
from clusters.core.diff import (
    Baseline,
    Change,
    CompareOptions,
    Comparison,
    Difference,
    Masker,
    ObjectRules,
    compare,
    drift,
    masked_diff,
    secret_mark,
)
from clusters.core.manifests import Manifest, ResourceKey
from hub.reconcile.frame import Frame
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired

MOST_DRIFT_LINES = 50
Line = dict[str, object]


def differs(
    frame: Frame, desired: Desired, key: ResourceKey, target: Manifest, live: Manifest
) -> tuple[bool, list[Line], str]:
    """(whether live differs, the lines, why nobody can tell): against the Baseline when it counts, else directly (6.3).

    Behind the lines that count stand those that a rule ignores, each with the rule.
    """
    rules = baselines.rules_of(frame, target)
    problems = dict.fromkeys((*rules.problems, *rules.exceeded(live), *rules.exceeded(target)))
    if problems:
        return False, [], "; ".join(str(problem) for problem in problems)
    baseline = baselines.of_row(frame.rows.get(key))
    counts = baseline is not None and not baseline.is_void(
        desired.hashes[key], rules.digest, live.get("apiVersion", "")
    )
    comparison = None
    if not counts or rules.paths or rules.managers:
        comparison = _compare(frame, key, target, live, rules, baseline)
    ignored = comparison.ignored if comparison is not None else ()
    found: tuple[Change | Difference, ...] = ()
    if baseline is not None and counts:
        if baseline.resource_version != live["metadata"].get("resourceVersion"):
            seen = drift(baseline, live, key=frame.mask_key, rules=rules)
            found = seen.changes if seen is not None else ()
        changed = bool(found)
    else:
        assert comparison is not None
        found = comparison.differences
        changed = bool(found) or (bool(comparison.inconclusive) and baseline is not None)
    frame.marks[key] = _mark(found, frame.mask_key) if found else ""
    told = [*found[:MOST_DRIFT_LINES], *ignored][:MOST_DRIFT_LINES]
    return changed, _lines(told, live) if told else [], ""


def read_owners(frame: Frame, desired: Desired, seen: Seen) -> None:
    """Read those again that differ and may be ignored by the field manager who wrote them: lists and watches bring no
    managedFields (6.2). Of what cannot be read nobody knows whether it differs, and it is not healed."""
    if not baselines.names_managers(frame):
        return
    asked: dict[ResourceKey, Manifest] = {}
    for key, target in desired.by_key.items():
        live = seen.live.get(key)
        if (
            live is None
            or "managedFields" in live["metadata"]
            or not baselines.rules_of(frame, target).managers
        ):
            continue
        if differs(frame, desired, key, target, live)[0]:
            asked[key] = live
    looking.read_whole(frame, seen, asked)
    for key, before in asked.items():
        if seen.live.get(key) is before:
            seen.unknown[key] = "who wrote the fields that differ cannot be read"


def _compare(
    frame: Frame,
    key: ResourceKey,
    target: Manifest,
    live: Manifest,
    rules: ObjectRules,
    baseline: Baseline | None,
) -> Comparison:
    leaves = baseline.unpack()[0] if baseline is not None else None
    shared = frame.resource_rules
    options = CompareOptions(
        ignore_status=shared.ignore_status,
        ignore_aggregated_roles=shared.ignore_aggregated_roles,
        known_types=shared.known_types.get(f"{key.group}_{key.kind}" if key.group else key.kind),
    )
    return compare(target, live, rules, options=options, old_leaves=leaves, show_ignored=True)


def _mark(found: Iterable[Change | Difference], key: bytes) -> str:
    """Tells one edit from the next without saying what it is: the lines of two edits of a Secret look the same."""
    pairs = ((d.path, *((d.old, d.new) if isinstance(d, Change) else (d.desired, d.live))) for d in found)
    # In an order of its own: differences of a set come in any.
    return secret_mark(sorted(json.dumps(pair, sort_keys=True, default=repr) for pair in pairs), key)


def _lines(found: Iterable[Change | Difference], live: Manifest) -> list[Line]:
    secret = live.get("kind") == "Secret" and live.get("apiVersion") == "v1"
    masker = Masker(settings.HUB_SENSITIVE_ANNOTATIONS)
    return [
        {
            "path": line.path,
            "desired": line.desired,
            "live": line.live,
            "note": line.note,
            "ignored_by": line.ignored_by,
        }
        for line in masked_diff(found, masker, secret=secret)
    ]
