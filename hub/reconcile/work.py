"""One operation under way: its row, its plan, its progress, as values; how they are stored and read back."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from clusters.core.manifests import ResourceKey
from clusters.core.plan import Progress, SyncPlan, results, wanted_keys
from hub.models import SyncOperation
from hub.models.operation import UNFINISHED
from hub.reconcile.frame import Frame
from hub.reconcile.sourcing import Desired
from hub.services import approvals, leases, operations, statements

OPERATION_FIELDS = (
    "phase",
    "revisions",
    "manifest_digest",
    "plan",
    "plan_digest",
    "progress",
    "results",
    "message",
    "wait",
    "attempt",
    "retry_at",
    "started_at",
    "finished_at",
)
# Unfinished, and the lease of this pass still stands.
_MINE = """id = %s AND phase IN (%s, %s, %s)
  AND EXISTS (SELECT 1 FROM hub_application WHERE id = %s AND fence = %s)"""


@dataclass
class Work:
    """What a pass carries on. `plan` is None until the operation leaves the queue."""

    operation: SyncOperation
    plan: SyncPlan | None = None
    progress: Progress | None = None
    desired: Desired | None = None
    wait_until: Any = None
    ended: bool = False
    # It succeeded with other manifests or Revisions than the last full sync left.
    moved: bool = False
    # How a deletion makes its plan; every other operation is planned from desired and live state.
    replan: Callable[[Any], None] | None = None
    # Why a deletion does not see all that it has to delete, empty when it does.
    unseen: str = ""
    changed: set[ResourceKey] = field(default_factory=set)
    # The Approval of this plan is there (see `approving`).
    approved: bool = False
    # The text of the Condition Stalled, empty while something moves (3.12).
    stalled: str = ""
    # Keys with a Baseline that is not stored yet.
    kept: set[ResourceKey] = field(default_factory=set)

    def wanted(self) -> set[ResourceKey]:
        """Keys whose live state the next decision needs."""
        if self.plan is None or self.progress is None:
            return set()
        keys = set(wanted_keys(self.plan, self.progress))
        if self.plan.namespace_wish is None and not any(task.hook for task in self.plan.tasks):
            # Nothing will be decided by it: an apply into a namespace that is not there says so itself.
            keys.discard(ResourceKey("", "Namespace", "", self.plan.namespace))
            keys |= {task.key for task in self.plan.tasks if task.key.kind == "Namespace"}
        return keys

    def save_values(self) -> None:
        """Plan and progress into the columns of the row."""
        if self.plan is not None and self.operation.plan is None:
            self.operation.plan = pack(self.plan.to_json())
        if self.plan is not None and self.progress is not None:
            self.operation.progress = pack(self.progress.to_json())
            succeeded = self.operation.phase == SyncOperation.Phase.SUCCEEDED
            self.operation.results = [
                {
                    "group": result.key.group,
                    "kind": result.key.kind,
                    "namespace": result.key.namespace,
                    "name": result.key.name,
                    "phase": result.phase,
                    "wave": result.wave,
                    "action": result.action,
                    "code": result.code,
                    "state": result.state,
                    "message": result.message[:1000],
                    "hook": result.hook,
                }
                for result in results(self.plan, self.progress, ended=succeeded)
            ]


def pack(value: Any) -> bytes:
    return zlib.compress(orjson.dumps(value), 1)


def unpack(data: bytes | memoryview) -> Any:
    return orjson.loads(zlib.decompress(bytes(data)))


def read(operation: SyncOperation) -> Work:
    """The work as the last pass left it, whoever did that."""
    work = Work(operation)
    if operation.plan:
        work.plan = SyncPlan.from_json(unpack(operation.plan))
    if operation.progress:
        work.progress = Progress.from_json(unpack(operation.progress))
    return work


def _insert(operation: SyncOperation) -> None:
    """Insert under the next number; a request that came meanwhile may have taken it."""
    if not statements.insert([operation], unique=["application", "number"]):
        operation.number = operations.next_number(operation.application)
        statements.insert([operation])


def save_operation(frame: Frame, work: Work) -> bool:
    """Insert a new operation, or update the columns a pass may change. Raises LeaseLost.

    Returns False when it ended and nobody was ever asked to approve anything of its Application.
    What somebody else ended meanwhile (superseded by a request) stays ended: this pass is over, too.
    """
    operation = work.operation
    if operation._state.adding:
        frame.lease.check()
        _insert(operation)
        return approvals.ended(operation) if work.ended else True
    saved = statements.update(
        SyncOperation,
        {name: getattr(operation, name) for name in OPERATION_FIELDS},
        _MINE,
        [statements.key(operation.id), *UNFINISHED, statements.key(frame.app.id), frame.lease.fence],
    )
    if not saved:
        raise leases.LeaseLost(str(frame.app.id))
    return approvals.ended(operation) if work.ended else True
