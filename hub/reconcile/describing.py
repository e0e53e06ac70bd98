"""What the events of a pass say besides what happened: the operation, its revisions, what changed (notifications.md 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.models import Application, SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.work import Work

_ACTIONS = {"Pruned": "pruned", "Unchanged": "unchanged", "HookSkipped": "skipped", "PruneSkipped": "skipped"}
_ORDER = {"failed": 0, "unchanged": 2}


def operation_view(operation: SyncOperation, work: Work | None = None) -> dict[str, Any]:
    """The operation as events carry it."""
    return {
        "id": str(operation.id),
        "number": operation.number,
        "kind": operation.kind,
        "phase": operation.phase,
        "attempt": operation.attempt,
        "started": bool(operation.started_at),
        "started_at": operation.started_at.isoformat() if operation.started_at else None,
        "finished_at": operation.finished_at.isoformat() if operation.finished_at else None,
        "message": operation.message,
        "dry_run": bool(operation.request.get("dry_run")),
        "initiator": operation.initiator,
        "moved": bool(work and work.moved),
        "ended_by_approval": str(operation.wait.get("code", "")).startswith("approval_"),
        "revisions": list(operation.revisions),
    }


def context_of(frame: Frame, work: Work | None) -> dict[str, Any]:
    """Operation, revisions and changes; called only by a pass that has something to tell."""
    found: dict[str, Any] = {"revisions": _listed(frame.app, _attempted(frame, work))}
    if work is not None:
        found |= {
            "operation": operation_view(work.operation, work),
            "changes": _changes(work.operation.results),
            "previous_revisions": _listed(frame.app, _before(work.operation)),
        }
    return found


def _attempted(frame: Frame, work: Work | None) -> Sequence[str]:
    """The commits that were tried: those of the operation, else those that could not be rendered, else the newest."""
    if work is not None:
        asked = work.operation.request.get("revisions") or ()
        return work.operation.revisions or asked or _wanted(frame)
    return _wanted(frame)


def _wanted(frame: Frame) -> Sequence[str]:
    if not (frame.memory.get("source_problem") or {}).get("code"):
        return list(frame.app.revisions)
    known = list(frame.app.source_states.order_by("index").values_list("wanted", flat=True))
    return known if any(known) else list(frame.app.revisions)


def _before(operation: SyncOperation) -> Sequence[str]:
    """What the last operation that set the whole application left there."""
    earlier = SyncOperation.objects.filter(
        application_id=operation.application_id,
        number__lt=operation.number,
        phase=SyncOperation.Phase.SUCCEEDED,
        kind__in=[SyncOperation.Kind.SYNC, SyncOperation.Kind.ROLLBACK],
    )
    last = earlier.order_by("-number").values_list("revisions", flat=True).first()
    return last or ()


def _listed(app: Application, shas: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "repo": entry.get("repoURL", ""),
            "path": entry.get("path", ""),
            "ref": entry.get("targetRevision", ""),
            "sha": sha,
            "short": sha[:7],
        }
        for entry, sha in zip(app.sources, shas, strict=False)
    ]


def _changes(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Failed first, what stayed as it was last; a skipped hook says why."""
    return sorted((_change(row) for row in results), key=lambda change: _ORDER.get(change["action"], 1))


def _change(row: dict[str, Any]) -> dict[str, Any]:
    failed = row["state"] in {"Failed", "Error"}
    action = "failed" if failed else _ACTIONS.get(row["code"], "configured")
    return {
        "group": row["group"],
        "kind": row["kind"],
        "namespace": row["namespace"],
        "name": row["name"],
        "action": action,
        "message": row["message"],
        "health": row.get("health", ""),
        "phase": row["phase"],
        **({"hook_reason": row["message"]} if row["code"] == "HookSkipped" else {}),
    }
