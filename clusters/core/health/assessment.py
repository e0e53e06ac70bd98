"""Health of one live object: which source of rules speaks first (sync-semantics.md 8.1)."""

from __future__ import annotations

import re
from typing import Final

import clusters.core.health.pods as pods
from clusters.core.health.custom import crossplane, looks_like_crossplane
from clusters.core.health.known import rule_of
from clusters.core.health.reading import (
    NO_CONDITION,
    Health,
    conditions,
    degraded,
    dig,
    healthy,
    is_known_behind,
    not_observed,
    number,
    progressing,
    sentence,
    text,
)
from clusters.core.health.tables import fresh
from clusters.core.manifests import HOOK_FINALIZER, Manifest, group_of, is_built_in

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NoRule:
    """The type of `NO_RULE`: there is no custom rule for this kind (None would be a rule without opinion)."""


NO_RULE: Final = NoRule()


def assess(
    obj: Manifest, *, is_hook: bool = False, custom: Health | NoRule | None = NO_RULE
) -> Health | None:
    """Health of a live object; None when its kind has no opinion. Never raises, whatever the object holds.

    `custom` is what a custom rule (8.3) said about this very object; None means it ran and has no opinion, which
    is final. `is_hook`: the object is a hook, so a Pod is never made long-running by an annotation.
    """
    found = _assess(obj, is_hook, custom)
    if found is not None and _UNSTORABLE.search(found.message):
        # Any controller writes into a status what it likes; PostgreSQL takes no text with these.
        return Health(found.status, _UNSTORABLE.sub("\ufffd", found.message))
    return found


def _assess(obj: Manifest, is_hook: bool, custom: Health | NoRule | None) -> Health | None:
    if text(obj, "metadata", "deletionTimestamp") and not _held_for_hook(obj):
        return progressing("Pending deletion")
    if not isinstance(custom, NoRule):
        return custom
    group, kind = group_of(obj), text(obj, "kind")
    if (group, kind) == ("", "Pod"):
        return pods.pod(obj, is_hook=is_hook)
    if rule := rule_of(group, kind):
        return rule(obj)
    if is_built_in(group):
        return None
    return crossplane(obj) if looks_like_crossplane(obj) else kstatus(obj)


def _held_for_hook(obj: Manifest) -> bool:
    finalizers = dig(obj, "metadata", "finalizers")
    return isinstance(finalizers, list) and HOOK_FINALIZER in finalizers


def kstatus(obj: Manifest) -> Health | None:
    """A custom kind without a rule, by the kstatus conventions. No conditions, or none of theirs: no opinion.

    Conditions that carry an observedGeneration older than the object's speak of an older spec.
    """
    everything = conditions(obj)
    if not everything:
        return None
    if is_known_behind(obj):
        return not_observed(obj)
    found = fresh(everything, number(obj, "metadata", "generation"))
    stalled, reconciling = found.get("Stalled", NO_CONDITION), found.get("Reconciling", NO_CONDITION)
    if stalled.status == "True":
        return degraded(sentence(stalled, "it is stalled"))
    if reconciling.status == "True":
        return progressing(sentence(reconciling, "it is being reconciled"))
    speaking = [name for name in ("Ready", "Available") if name in everything]
    for name in speaking:
        one = found.get(name, NO_CONDITION)
        if one.status != "True":
            return progressing(sentence(one, f"waiting for {name}"))
    return healthy(found[speaking[0]].message) if speaking else None
