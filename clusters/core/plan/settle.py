"""When a live object ends a Running task: settling, Health, deadlines (sync-semantics.md 3.5, 3.12)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clusters.core.durations import say_duration
from clusters.core.health import Health
from clusters.core.health.reading import dig
from clusters.core.manifests import Manifest, ResourceKey
from clusters.core.plan.model import Task
from clusters.core.plan.observed import Situation
from clusters.core.plan.progress import TaskProgress


def _would_end(task: Task, health: Health | None) -> bool:
    """Whether this health, once believed, ends the task; anything else keeps it Running and needs no settling."""
    if health is None:
        return True
    return health.status in ("Healthy", "Degraded") or (task.hook and health.status == "Unknown")


def failed(held: TaskProgress, message: str, **more: Any) -> TaskProgress:
    """A task that ends the batch it is in."""
    values: dict[str, Any] = {"state": "Failed", "code": "SyncFailed", "stops": True, **more}
    return replace(held, message=message, **values)


def finalizers(obj: Manifest) -> list[str]:
    return list((obj.get("metadata") or {}).get("finalizers") or [])


def terminating(obj: Manifest | None) -> bool:
    return bool(obj and (obj.get("metadata") or {}).get("deletionTimestamp"))


def uid_of(obj: Manifest | None) -> str:
    return str(((obj or {}).get("metadata") or {}).get("uid") or "")


def namespace_terminating(situation: Situation, namespace: str) -> bool:
    return terminating(situation.observed.live.get(ResourceKey("", "Namespace", "", namespace)))


def unsettled(
    situation: Situation, task: Task, held: TaskProgress, live: Manifest, opinion: bool
) -> float | None:
    """None: this health may be believed. Else the moment on the clock at which to look again, or infinity."""
    if not held.changed or (task.hook and task.ends):
        return None
    seen = dig(live, "status", "observedGeneration")  # of some custom kinds the status is no map
    if isinstance(seen, int) and not isinstance(seen, bool):
        return None if seen >= held.generation else float("inf")
    quiet = situation.settle_seconds(task, opinion)
    if quiet <= 0:
        return None
    due = (held.quiet_since or held.begun or 0.0) + quiet
    return None if situation.clock >= due else due


def settles_at(situation: Situation, task: Task) -> float | None:
    """When a Running task should be looked at again, on the clock: settling or degraded grace; None = by event."""
    held, live = situation.of(task), situation.live(task)
    if live is None or stale(held, live):
        return None
    health = situation.observed.health(live, task.hook)
    if not _would_end(task, health):
        return None
    due = unsettled(situation, task, held, live, health is not None)
    if due is not None:
        return None if due == float("inf") else due
    if held.degraded_since is not None:
        return held.degraded_since + situation.plan.options.degraded_grace
    return None


def stale(held: TaskProgress, live: Manifest) -> bool:
    """A look from before our write: another object, or an older generation."""
    generation = (live.get("metadata") or {}).get("generation")
    old = isinstance(generation, int) and generation < held.generation
    return old or bool(held.uid and uid_of(live) != held.uid)


def by_health(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    live = situation.live(task)
    if live is None or stale(held, live):
        return held
    health = situation.observed.health(live, task.hook)
    early = unsettled(situation, task, held, live, health is not None) is not None
    if early and _would_end(task, health):
        return held
    if health is None:
        return replace(held, state="Succeeded", health="", degraded_since=None)
    held = replace(held, health=health.status, health_message=health.message[:500])
    if health.status == "Healthy":
        return replace(held, state="Succeeded", degraded_since=None, message=_hook_said(task, held))
    said = f"{task.key} is {health.status}" + (f": {health.message}" if health.message else "")
    if task.hook:
        # A deletion waits for what is Unknown: it may become readable once its neighbours are gone (10.2).
        fatal = ("Degraded",) if situation.plan.kind == "delete" else ("Degraded", "Unknown")
        if health.status in fatal:
            return failed(held, said[:500])
        return held
    if health.status != "Degraded":
        return replace(held, degraded_since=None)
    since = situation.clock if held.degraded_since is None else held.degraded_since
    if situation.clock >= since + situation.plan.options.degraded_grace:
        return failed(held, said[:500])
    return replace(held, degraded_since=since)


def _hook_said(task: Task, held: TaskProgress) -> str:
    return held.health_message or "completed" if task.hook else held.message


def limit_of(situation: Situation, task: Task) -> float:
    """Seconds this task may be Running, 0 = for ever (3.12)."""
    return task.timeout if task.hook else situation.plan.options.wave_timeout


def phase_begun(situation: Situation, phase: str) -> float:
    return situation.phase_times.get(phase, situation.clock)


def by_deadline(situation: Situation, task: Task, held: TaskProgress) -> TaskProgress:
    limit = limit_of(situation, task)
    if limit and held.begun is not None and situation.clock >= held.begun + limit:
        text = f"{task.key} timed out after {say_duration(limit)}"
        return failed(held, _with_health(text, held), expired=True)
    limit = situation.plan.options.phase_timeout
    if limit and situation.clock >= phase_begun(situation, task.phase) + limit:
        text = f"{task.key} was not done when phase {task.phase} timed out after {say_duration(limit)}"
        return failed(held, _with_health(text, held), expired=True)
    return held


def _with_health(text: str, held: TaskProgress) -> str:
    return f"{text}: {held.health_message}" if held.health_message else text
