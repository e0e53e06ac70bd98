"""What people and calendars say about an operation: windows and confirmations (sync-semantics.md 3.2, 11)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clusters.core.plan import Wait, WindowBlock, deletion_approved, prune_digest
from hub.core.plans import governs
from hub.core.windows import WindowDecision, WindowTarget, decide_windows, read_windows
from hub.models import SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.work import Work
from hub.services import approvals


def window(frame: Frame, work: Work, now: datetime) -> WindowBlock | None:
    """The SyncWindow that blocks this operation now; one that began before is judged by its overrun (11).

    A deletion is governed by them only where the Project says so.
    """
    deletes = work.operation.kind == SyncOperation.Kind.DELETE
    if deletes and not governs(frame.app.project.rules, "deletion"):
        return None
    decision = decide(frame, now, manual=not automated(work.operation), started_at=_begun(work))
    if decision.allowed or approvals.overrides_windows(work.operation):
        return None
    return WindowBlock(decision.window, decision.until)


def decide(
    frame: Frame, now: datetime, *, manual: bool, started_at: datetime | None = None
) -> WindowDecision:
    """What the Project's windows say about this Application now."""
    windows = frame.caches.get("windows")
    if windows is None:
        windows = frame.caches["windows"] = read_windows(frame.app.project.rules.get("windows"))[0]
    app = frame.app
    target = WindowTarget(app.name, app.destination_namespace, app.cluster.name, app.cluster.server)
    return decide_windows(windows, target, now, manual=manual, started_at=started_at)


def automated(operation: SyncOperation) -> bool:
    return bool(operation.initiator.get("kind") == "automation")


def _begun(work: Work) -> datetime | None:
    """When the operation was permitted to start: only one that took a Step has overrun to speak of.

    One that still waits for an Approval has not: a freeze outlasts the approval.
    """
    operation = work.operation
    waited = operation.wait.get("code") == "approval" and work.progress is not None
    if waited and work.progress is not None and not work.progress.writing:
        return None
    return operation.started_at if operation.progress else None


def question(work: Work, wait: Wait) -> str:
    """The digest that a confirmation of this wait must name, empty when nothing is asked."""
    if work.plan is None:
        return ""
    if wait.code == "prune_confirmation":
        return prune_digest(work.plan.prunes)
    return work.operation.plan_digest if wait.code in {"hook_decision", "approval"} else ""


def skippable(work: Work) -> dict[str, Any]:
    """What a person may say while a deletion waits for its next attempt: the hooks that failed can be skipped (10.2)."""
    plan, progress = work.plan, work.progress
    if plan is None or progress is None or plan.kind != "delete":
        return {}
    failed = sorted({f"{t.phase}/{t.source}" for t in plan.tasks if t.hook and progress.of(t).bad})
    return {"digest": work.operation.plan_digest, "sources": failed} if failed else {}


def prunes_confirmed(frame: Frame, work: Work) -> bool:
    """Whether a person confirmed exactly the prunes of this plan, or deletions of this operation by annotation (4.2)."""
    if work.plan is None:
        return False
    approved = str(frame.app.annotations.get("argocd.argoproj.io/deletion-approved") or "")
    started = work.operation.started_at
    if approved and started is not None and deletion_approved(approved, started):
        return True
    digest = prune_digest(work.plan.prunes)
    return any(entry.get("digest") == digest for entry in work.operation.confirmed)
