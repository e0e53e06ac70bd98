"""What a failed sync hopes for: the kind, namespace or quota that its failure names changes in the cluster (9.2)."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import hub.reconcile.looking as looking
from clusters.core.manifests import ResourceKey, canonical_json
from clusters.core.plan import results
from hub.reconcile.frame import Frame
from hub.reconcile.looking import Seen
from hub.reconcile.work import Work

# Nobody watches these for us; looked at this often while a failed attempt hopes for one.
PACE = timedelta(seconds=30)
MOST = 10
_NAMESPACE = re.compile(r'namespaces "([a-z0-9.-]+)" not found')
_QUOTA = re.compile(r"exceeded quota: ([a-z0-9.-]+)")


def named(work: Work) -> list[list[str]]:
    """`[group, kind, namespace, name]` of what the failure names; a kind that is not served has no name."""
    plan, progress = work.plan, work.progress
    if plan is None or progress is None:
        return []
    found = {
        (task.key.group, task.key.kind, "", "") for task in plan.invalid if task.code == "kind_not_served"
    }
    said = [(result.message, result.key.namespace) for result in results(plan, progress)]
    said += [(message, plan.namespace) for _, message in progress.fatal_details]
    for message, namespace in said:
        found |= {("", "Namespace", "", name) for name in _NAMESPACE.findall(message)}
        found |= {("", "ResourceQuota", namespace, name) for name in _QUOTA.findall(message)}
    return [list(key) for key in sorted(found)[:MOST]]


def came_true(frame: Frame, seen: Seen) -> bool:
    """Whether something that the last failed attempt named is there now, or is another than after it."""
    held: dict[str, Any] = frame.memory.get("attempted") or {}
    hopes = [ResourceKey(*parts) for parts in held.get("hopes") or ()]
    if not hopes or seen.problem is not None:
        return False
    objects = [key for key in hopes if key.name]
    looking.look_for(frame, seen, objects)
    if any(seen.discovery.find(*key[:2]) is not None for key in hopes if not key.name):
        return True
    known = {str(key): _state(seen, key) for key in objects if key in seen.live}
    before = held.setdefault("hoped", known)
    # A namespace was named because it was absent; of a quota the first look after the failure is what counts.
    usual = {str(key): "absent" for key in objects if key.kind == "Namespace"}
    return any((before | usual).get(key, state) != state for key, state in known.items())


def _state(seen: Seen, key: ResourceKey) -> str:
    live = seen.live[key]
    if live is None:
        return "absent"
    parts = [live["metadata"].get("uid"), live.get("spec") if key.kind == "ResourceQuota" else None]
    return hashlib.sha256(canonical_json(parts)).hexdigest()[:16]
