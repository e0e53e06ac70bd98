"""The rule of Pods. *Long-running* pods may crash on the way up; others end, and only their end counts."""

from __future__ import annotations

from clusters.core.health.reading import (
    NO_CONDITION,
    Health,
    annotation,
    conditions,
    degraded,
    dig,
    healthy,
    items,
    number,
    progressing,
    text,
)
from clusters.core.manifests import Manifest

IGNORE_RESTART_POLICY = "argocd.argoproj.io/ignore-restart-policy"


def pod(obj: Manifest, *, is_hook: bool = False) -> Health:
    """Health of a Pod; a hook is never made long-running by the annotation (8.1)."""
    ignored = annotation(obj, IGNORE_RESTART_POLICY) == "true" and not is_hook
    long_running = text(obj, "spec", "restartPolicy") == "Always" or ignored
    phase, message = text(obj, "status", "phase"), text(obj, "status", "message")
    if long_running and (stuck := _waiting_in_vain(obj)):
        return degraded(", ".join(stuck))
    if phase == "Pending":
        return progressing(message or _why_pending(obj))
    if phase == "Succeeded":
        return healthy(message)
    if phase == "Failed":
        return degraded(message or _why_failed(obj))
    if phase == "Running":
        return (
            _running(obj, message) if long_running else progressing(message or "waiting for the pod to end")
        )
    return Health("Unknown", message or f"the pod's phase is {phase or 'not known'}")


def _running(obj: Manifest, message: str) -> Health:
    if conditions(obj).get("Ready", NO_CONDITION).status == "True":
        return healthy(message)
    for container in items(obj, "status", "containerStatuses"):
        last = dig(container, "lastState", "terminated")
        if isinstance(last, dict):
            ended = text(last, "reason") or f"exit code {number(last, 'exitCode')}"
            return degraded(message or f"container {text(container, 'name')} was restarted: {ended}")
    return progressing(message or "waiting for the containers to be ready")


def _containers(obj: Manifest) -> list[Manifest]:
    return items(obj, "status", "initContainerStatuses") + items(obj, "status", "containerStatuses")


def _waiting_in_vain(obj: Manifest) -> list[str]:
    found = []
    for container in _containers(obj):
        reason, message = (text(container, "state", "waiting", key) for key in ("reason", "message"))
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            found.append(f"container {text(container, 'name')}: {message or reason}")
    return found


def _why_pending(obj: Manifest) -> str:
    scheduled = conditions(obj).get("PodScheduled", NO_CONDITION)
    if scheduled.status == "False":
        return scheduled.message or scheduled.reason
    return "waiting for the containers to start"


def _why_failed(obj: Manifest) -> str:
    for container in _containers(obj):
        name, end = text(container, "name"), dig(container, "state", "terminated")
        if message := text(end, "message"):
            return message
        if text(end, "reason") == "OOMKilled":
            return f"container {name} was OOMKilled"
        if code := number(end, "exitCode"):
            return f"container {name} failed with exit code {code}"
    return text(obj, "status", "reason") or "the pod failed"
