"""What people and calendars say about an operation: windows, approvals, confirmations (sync-semantics.md 3.2, 11)."""

from __future__ import annotations

from datetime import datetime

from clusters.core.plan import ApprovalFact, Step, Wait, WindowBlock
from hub.models import SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.work import Work


def window(frame: Frame, operation: SyncOperation, now: datetime) -> WindowBlock | None:
    """The SyncWindow that blocks this operation now."""
    return None


def approval(frame: Frame, work: Work) -> ApprovalFact | None:
    """The state of the Approval that this plan needs, None when it needs none."""
    return None


def claim(frame: Frame, work: Work, step: Step) -> None:
    """The first Step after an Approval uses it up."""


def request(frame: Frame, work: Work, wait: Wait) -> None:
    """Ask for the Approval that the operation waits for."""


def question(work: Work, wait: Wait) -> str:
    """The digest that a confirmation of this wait must name, empty when nothing is asked."""
    if wait.code == "prune_confirmation":
        return "prune"
    return work.operation.plan_digest if wait.code in {"hook_decision", "approval"} else ""
