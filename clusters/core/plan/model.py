"""SyncPlan: what one attempt will do, immutable, as JSON in the record of its SyncOperation (sync-semantics.md 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeVar

from clusters.core.manifests import ResourceKey
from clusters.core.plan.options import DEFAULT_OPTIONS, DEFAULT_RESOURCE, ResourceOptions, SyncOptions

TaskAction = Literal["apply", "replace", "recreate", "prune", "run_hook", "skip_hook", "leave"]
OperationKind = Literal["sync", "self-heal", "rollback", "prune", "takeover", "delete"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """One ResourceKey in one SyncPhase. `skip_hook` and `leave` are decided: `code` and `reason` are their Result.

    `source` refers to the desired manifest (`source_of`), `live_uid` is the object seen when the plan was made,
    `mark` the value of the operation annotation of this hook run, `timeout` seconds (0 is for ever).
    """

    id: str
    key: ResourceKey
    phase: str
    wave: int
    action: TaskAction
    source: str = ""
    api_version: str = ""
    code: str = ""
    reason: str = ""
    live_uid: str = ""
    must_carry: str = ""
    in_place: bool = False
    confirm: bool = False
    local_only: bool = False
    hook: bool = False
    ends: bool = False
    policies: tuple[str, ...] = ()
    mark: str = ""
    fingerprint: str = ""
    images: tuple[str, ...] = ()
    timeout: float = 0.0
    options: ResourceOptions = DEFAULT_RESOURCE

    @property
    def active(self) -> bool:
        """Whether anything is done for it."""
        return self.action not in ("skip_hook", "leave")


@dataclass(frozen=True, slots=True)
class InvalidTask:
    """Why the operation cannot begin. `retryable`: a change in the cluster may help."""

    key: ResourceKey
    message: str
    code: str = "invalid_task"
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class NamespaceWish:
    """The destination Namespace that CreateNamespace or managedNamespaceMetadata asks for; never tracked or pruned.

    `stale`: something else was applied by this manager before, so it is applied even if nothing seems to differ.
    """

    name: str
    create: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    manager: str = ""
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A Condition that the plan found: UnknownHook, SharedResource; `key` as text."""

    type: str
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """All tasks of one (phase, wave): the `number`-th of `count` in its phase."""

    index: int
    phase: str
    wave: int
    number: int
    count: int
    tasks: tuple[Task, ...]

    @property
    def has_hook(self) -> bool:
        return any(task.hook for task in self.tasks)


@dataclass(frozen=True)
class SyncPlan:
    """The answer to "what will this operation do"; see `build_plan`."""

    operation: str
    application: str
    hub_id: str
    namespace: str
    started_at: datetime
    kind: OperationKind = "sync"
    attempt: int = 1
    revisions: tuple[str, ...] = ()
    options: SyncOptions = DEFAULT_OPTIONS
    request: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    invalid: tuple[InvalidTask, ...] = ()
    namespace_wish: NamespaceWish | None = None
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
    migration_manager: str = ""

    @cached_property
    def by_id(self) -> dict[str, Task]:
        return {task.id: task for task in self.tasks}

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The batches before SyncFail, in order; only of tasks for which something is done."""
        return tuple(_batches([t for t in self.tasks if t.active and t.phase != "SyncFail"]))

    @cached_property
    def fail_batch(self) -> Batch | None:
        """All SyncFail hooks: they start together."""
        hooks = tuple(t for t in self.tasks if t.active and t.phase == "SyncFail")
        return Batch(len(self.batches), "SyncFail", 0, 1, 1, hooks) if hooks else None

    @cached_property
    def batch_of(self) -> dict[str, Batch]:
        every = [*self.batches, *([self.fail_batch] if self.fail_batch else [])]
        return {task.id: batch for batch in every for task in batch.tasks}

    @property
    def shared(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.code == "SharedSkipped")

    @property
    def open_hooks(self) -> tuple[Task, ...]:
        """Hooks for which a person must choose run or skip before the plan can be carried out."""
        return tuple(task for task in self.tasks if task.code == "HookBlocked")

    @property
    def prunes(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.action == "prune")

    def to_json(self) -> dict[str, Any]:
        data = pack(self)
        data["options"] = self.options.to_json()
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SyncPlan:
        values = dict(data)
        values["started_at"] = datetime.fromisoformat(values["started_at"])
        values["options"] = SyncOptions.from_json(values.get("options") or {})
        values["tasks"] = tuple(_task(row) for row in values.get("tasks", ()))
        values["invalid"] = tuple(unpack(InvalidTask, row) for row in values.get("invalid", ()))
        values["findings"] = tuple(Finding(**row) for row in values.get("findings", ()))
        wish = values.get("namespace_wish")
        values["namespace_wish"] = NamespaceWish(**wish) if wish else None
        for name in ("revisions", "warnings"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)


def _batches(tasks: list[Task]) -> list[Batch]:
    found: dict[tuple[str, int], list[Task]] = {}
    for task in tasks:
        found.setdefault((task.phase, task.wave), []).append(task)
    counts: dict[str, int] = {}
    for phase, _ in found:
        counts[phase] = counts.get(phase, 0) + 1
    numbers: dict[str, int] = {}
    result = []
    for index, ((phase, wave), members) in enumerate(found.items()):
        numbers[phase] = numbers.get(phase, 0) + 1
        result.append(Batch(index, phase, wave, numbers[phase], counts[phase], tuple(members)))
    return result


_DEFAULTS: dict[type, list[tuple[str, Any]]] = {}


def _defaults(cls: type) -> list[tuple[str, Any]]:
    if cls not in _DEFAULTS:
        _DEFAULTS[cls] = [(f.name, f.default if f.default is not MISSING else None) for f in fields(cls)]
    return _DEFAULTS[cls]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, ResourceKey) or not hasattr(value, "__dataclass_fields__"):
        return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
    return pack(value)


def pack(value: Any) -> dict[str, Any]:
    """A dataclass as JSON values; fields that hold their default are left out."""
    found = {}
    for name, default in _defaults(type(value)):
        held = getattr(value, name)
        if held is not default and held != default:
            found[name] = _plain(held)
    return found


def unpack(cls: type[T], data: Mapping[str, Any]) -> T:
    """The way back for flat dataclasses: keys become ResourceKey, lists tuples."""
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
    if "key" in values:
        values["key"] = ResourceKey(*values["key"])
    return cls(**values)


def _task(row: Mapping[str, Any]) -> Task:
    options = row.get("options")
    values = {name: v for name, v in row.items() if name != "options"}
    if options:
        values["options"] = ResourceOptions(**options)
    return unpack(Task, values)
