"""Progress: what one attempt has done so far, a JSON value in the record of its SyncOperation (sync-semantics.md 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from clusters.core.hooks import HookSuccess
from clusters.core.manifests import ResourceKey
from clusters.core.plan.model import SyncPlan, Task, pack

TaskState = Literal["pending", "Running", "Succeeded", "Failed", "Error"]
Stage = Literal["", "deleting", "refused", "applied", "pruning", "gone"]


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far one task is. `begun`, `quiet_since`, `degraded_since`, `retry_at`, `trouble_since` are seconds on the
    operation's own clock, which stands still while a window, an Approval or a confirmation blocks it.

    `stage`: deleting (before its creation), refused (an immutable field; the observation decides), applied,
    pruning (DELETE accepted), gone. `stops`: its failure ends the batch. `expired`: a deadline ended it.
    """

    state: TaskState = "pending"
    stage: Stage = ""
    code: str = ""
    message: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    changed: bool = True
    begun: float | None = None
    quiet_since: float | None = None
    degraded_since: float | None = None
    retry_at: float | None = None
    trouble_since: float | None = None
    tries: int = 0
    seen_version: str = ""
    health: str = ""
    health_message: str = ""
    old_uid: str = ""
    recreate: bool = False
    known_absent: bool = True
    moved: bool = False
    served: str = ""
    established: bool = True
    stops: bool = False
    expired: bool = False
    stripped: bool = False
    cleaned: bool = False
    started_at: str = ""
    finished_at: str = ""

    @property
    def done(self) -> bool:
        return self.state in ("Succeeded", "Failed", "Error")

    @property
    def bad(self) -> bool:
        return self.state in ("Failed", "Error")


PENDING = TaskProgress()


@dataclass(frozen=True, slots=True)
class Progress:
    """One attempt. `earlier` and `paused` are seconds: what former attempts took, what blocking took so far."""

    started_at: datetime
    earlier: float = 0.0
    paused: float = 0.0
    paused_since: datetime | None = None
    tasks: Mapping[str, TaskProgress] = field(default_factory=dict)
    writing: bool = False
    dry_run_done: bool = False
    namespace_done: bool = False
    tries: int = 0
    retry_at: float | None = None
    fatal: str = ""
    fatal_details: tuple[tuple[str, str], ...] = ()
    ending: str = ""
    ending_errors: str = ""
    last_change: float = 0.0

    @classmethod
    def begin(cls, now: datetime) -> Progress:
        return cls(started_at=now)

    def next_attempt(self, now: datetime) -> Progress:
        """A fresh attempt that remembers how long the operation already took (OperationTimeout counts all)."""
        return Progress(started_at=now, earlier=self.earlier + self.clock(now))

    def clock(self, now: datetime) -> float:
        """Seconds since the attempt began, without the time it was blocked."""
        blocked = self.paused
        if self.paused_since is not None:
            blocked += max(0.0, (now - self.paused_since).total_seconds())
        return (now - self.started_at).total_seconds() - blocked

    def of(self, task: Task) -> TaskProgress:
        return self.tasks.get(task.id, PENDING)

    def with_tasks(self, changed: Mapping[str, TaskProgress]) -> Progress:
        return replace(self, tasks={**self.tasks, **changed}) if changed else self

    def to_json(self) -> dict[str, Any]:
        data = pack(self)
        data["tasks"] = {name: pack(task) for name, task in self.tasks.items()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Progress:
        values = dict(data)
        values["started_at"] = datetime.fromisoformat(values["started_at"])
        if values.get("paused_since"):
            values["paused_since"] = datetime.fromisoformat(values["paused_since"])
        values["fatal_details"] = tuple((a, b) for a, b in values.get("fatal_details", ()))
        values["tasks"] = {name: TaskProgress(**row) for name, row in values.get("tasks", {}).items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one task, as the record, the API and the events show it (sync-semantics.md 1)."""

    key: ResourceKey
    phase: str
    wave: int
    action: str
    code: str
    state: str
    message: str
    hook: bool
    source: str = ""
    uid: str = ""
    fingerprint: str = ""
    health: str = ""
    started_at: str = ""
    finished_at: str = ""


_FINAL = {"skip_hook": "Succeeded", "leave": "Succeeded"}


def results(plan: SyncPlan, progress: Progress, *, ended: bool = False) -> tuple[Result, ...]:
    """One Result per task in plan order. `ended`: the operation succeeded, what only rolls out counts as done."""
    found = []
    for task in plan.tasks:
        held = progress.of(task)
        state = _FINAL.get(task.action, held.state)
        if ended and state == "Running":
            state = "Succeeded"
        found.append(
            Result(
                key=task.key,
                phase=task.phase,
                wave=task.wave,
                action=task.action,
                code=held.code or task.code,
                state=state,
                message=held.message or task.reason,
                hook=task.hook,
                source=task.source,
                uid=held.uid,
                fingerprint=task.fingerprint,
                health=held.health,
                started_at=held.started_at,
                finished_at=held.finished_at,
            )
        )
    return tuple(found)


def hook_successes(plan: SyncPlan, progress: Progress) -> dict[str, HookSuccess]:
    """The hooks of this attempt that succeeded, by source: the history that rule 6 of section 12 reads."""
    revision = plan.revisions[0] if plan.revisions else ""
    return {
        task.source: HookSuccess(task.fingerprint, plan.operation, revision, task.images)
        for task in plan.tasks
        if task.action == "run_hook" and progress.of(task).state == "Succeeded"
    }
