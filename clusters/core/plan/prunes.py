"""Which live objects an operation deletes, and the guard on each (sync-semantics.md 2.3, 4.3, 7.3, 10.5)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

from clusters.core.hooks import classify
from clusters.core.manifests import (
    TRACKING_ANNOTATION,
    Manifest,
    ResourceKey,
    key_of,
    managed_by,
    metadata_map,
)
from clusters.core.plan.model import Finding, Task
from clusters.core.plan.options import resource_options
from clusters.core.plan.order import task_id
from clusters.core.plan.request import PlanFacts, PlanRequest
from clusters.core.plan.selection import Selection


def extras(request: PlanRequest, facts: PlanFacts) -> list[tuple[ResourceKey, Manifest]]:
    """Managed live objects without target; neither hooks nor Skip; one UID under two groups counts once (2.3)."""
    targets: set[ResourceKey] = set()
    wanted_uids: set[str] = set()
    for manifest in facts.desired:
        key = key_of(manifest)
        targets.add(key)
        if facts.discovery.find(key.group, key.kind) is None:
            targets.add(key._replace(namespace=""))
        live = facts.live.get(key)
        if live is not None:
            wanted_uids.add(_uid(live))
    found = []
    for key, live in sorted(facts.live.items()):
        if live is None or key in targets or key._replace(namespace="") in targets:
            continue
        uid = _uid(live)
        if (uid and uid in wanted_uids) or not managed_by(live, request.application, request.hub_id):
            continue
        if classify(live).kind == "resource":
            wanted_uids.add(uid)
            found.append((key, live))
    return found


def prune_tasks(
    request: PlanRequest, facts: PlanFacts, selection: Selection
) -> tuple[list[Task], list[Finding]]:
    """One task per extra: a prune, or `leave` with the reason why it stays. A takeover has none."""
    if request.kind == "takeover":
        return [], []
    found = [(key, live) for key, live in extras(request, facts) if selection.chooses(key, live)]
    if request.kind == "prune":
        found = [(k, live) for k, live in found if facts.confirmed_prunes.get(k) == _uid(live)]
    tasks = [_task(key, live, request, facts) for key, live in found]
    planned = [task for task in tasks if task.action == "prune"]
    managed = sum(
        1
        for live in facts.live.values()
        if live is not None and managed_by(live, request.application, request.hub_id)
    )
    confirmed = all(facts.confirmed_prunes.get(t.key) == t.live_uid for t in planned)
    empties = not request.may_empty and all(classify(m).kind != "resource" for m in facts.desired)
    broken = "nothing is wanted any more" if empties else facts.budget.broken(len(planned), managed)
    broken = "" if confirmed else broken
    guards = {t.id: reason for t in planned if (reason := _guard(t, facts, broken))}
    name = prune_digest(t for t in planned if t.id in guards)[:12]
    tasks = [
        _left(t, f"waits for confirmation of prune plan {name}: {guards[t.id]}") if t.id in guards else t
        for t in tasks
    ]
    return tasks, []


def prune_digest(tasks: Iterable[Task]) -> str:
    """The digest that a confirmation names: keys and UIDs of the objects to delete."""
    rows = sorted([*task.key, task.live_uid] for task in tasks)
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def _task(key: ResourceKey, live: Manifest, request: PlanRequest, facts: PlanFacts) -> Task:
    options, _ = resource_options(request.options, None, live)
    task = Task(
        id=task_id("Sync", key),
        key=key,
        phase="Sync",
        wave=classify(live).wave,
        action="prune",
        api_version=str(live.get("apiVersion") or ""),
        live_uid=_uid(live),
        must_carry=str(metadata_map(live, "annotations").get(TRACKING_ANNOTATION) or ""),
        confirm=options.prune == "confirm" and facts.confirmed_prunes.get(key) != _uid(live),
        options=options,
    )
    if options.prune == "false":
        return _left(task, "ignored (no prune)")
    if not request.prune:
        return _left(task, "ignored (requires pruning)")
    if facts.violations.get(key):
        return _left(task, f"left: not permitted ({facts.violations[key]})")
    if (key.group, key.kind) in facts.incomplete:
        return _left(task, f"listing of {key.kind} is incomplete")
    return task


def _guard(task: Task, facts: PlanFacts, broken: str) -> str:
    """Why this prune waits for people, empty if it does not."""
    if facts.confirmed_prunes.get(task.key) == task.live_uid:
        return ""
    if (task.key.group, task.key.kind) in facts.protected_kinds:
        return f"{task.key.kind} is a protected kind"
    if task.options.keep:
        return "it carries resource-policy keep"
    if task.key in facts.adopted:
        return "it was adopted from nobody"
    return broken


def _left(task: Task, reason: str) -> Task:
    return replace(task, action="leave", code="PruneSkipped", reason=reason, confirm=False)


def _uid(live: Manifest) -> str:
    return str((live.get("metadata") or {}).get("uid") or "")
