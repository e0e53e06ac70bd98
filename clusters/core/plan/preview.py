"""What people see of a plan before it runs, and the digest that an Approval is for (notifications.md 8.2)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from clusters.core.plan.model import SyncPlan, Task
from clusters.core.plan.prunes import prune_digest


def plan_digest(plan: SyncPlan) -> str:
    """SHA-256 of what the consent is about: identity, prune list, hook decisions, options. No live value, no task list.

    `PlanRequest.identity` brings app_uid, cluster_uid, sources and manifest_digest. Canonical JSON, UTF-8.
    """
    hooks = sorted(
        {
            (task.source, task.phase, "run" if task.action == "run_hook" else "skip", _reason_code(task))
            for task in plan.tasks
            if task.hook and task.code != "SharedSkipped"
        }
    )
    identity = plan.identity
    value = {
        "v": 1,
        "kind": plan.kind,
        "app": identity.get("app_uid", plan.application),
        "cluster": identity.get("cluster_uid", ""),
        "namespace": plan.namespace,
        "sources": identity.get("sources", list(plan.revisions)),
        "manifests": identity.get("manifest_digest", ""),
        "prune": sorted(str(task.key) for task in plan.prunes),
        "hooks": [list(row) for row in hooks],
        "options": {"app": plan.options.to_json(), "request": plan.request},
    }
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _reason_code(task: Task) -> str:
    return task.code if task.action == "skip_hook" else ""


def describe(plan: SyncPlan) -> dict[str, Any]:
    """The readable plan: batches in order, hooks with their reasons, the prune list, what stands in the way."""
    prunes = plan.prunes
    left = [task for task in plan.tasks if task.code == "PruneSkipped"]
    return {
        "digest": plan_digest(plan),
        "kind": plan.kind,
        "attempt": plan.attempt,
        "revisions": list(plan.revisions),
        "namespace": _namespace(plan),
        "batches": [
            {
                "phase": batch.phase,
                "wave": batch.wave,
                "tasks": [_row(task) for task in batch.tasks],
            }
            for batch in (*plan.batches, *([plan.fail_batch] if plan.fail_batch else ()))
        ],
        "hooks": [
            {
                **_row(task),
                "decision": {"run_hook": "run"}.get(task.action, "skip"),
                "open": task in plan.open_hooks,
            }
            for task in plan.tasks
            if task.hook
        ],
        "prune": [{"key": str(t.key), "uid": t.live_uid, "confirm": t.confirm} for t in prunes],
        "prune_digest": prune_digest(prunes) if prunes else "",
        "prune_left": [{"key": str(t.key), "reason": t.reason} for t in left],
        "kept": [{"key": str(t.key), "reason": t.reason} for t in plan.tasks if t.code == "Kept"],
        "shared": [{"key": str(t.key), "reason": t.reason} for t in plan.shared],
        "invalid": [{"key": str(t.key), "code": t.code, "message": t.message} for t in plan.invalid],
        "findings": [{"type": f.type, "key": f.key, "message": f.message} for f in plan.findings],
        "warnings": list(plan.warnings),
    }


def _namespace(plan: SyncPlan) -> dict[str, Any]:
    wish = plan.namespace_wish
    return {"name": plan.namespace, "create": bool(wish and wish.create)}


def _row(task: Task) -> dict[str, Any]:
    action = "unchanged" if task.in_place else task.action
    return {"key": str(task.key), "action": action, "reason": task.reason, "phase": task.phase}
