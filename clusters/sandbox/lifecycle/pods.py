"""Pods: they start, become ready, end and go, as their annotations say."""

from __future__ import annotations

import re
from typing import Any

from clusters.sandbox.lifecycle.basics import NODE
from clusters.sandbox.lifecycle.tools import Reconcile, Tools

Manifest = dict[str, Any]
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
KUBELET = "kubelet"


def seconds(text: str | None, default: float = 0.0) -> float:
    """`3s`, `500ms`, `1m` as seconds; what cannot be read is the default."""
    match = DURATION.fullmatch(text or "")
    return float(match.group(1)) * UNITS[match.group(2)] if match else default


def marks_of(pod: Manifest) -> dict[str, str]:
    found: dict[str, str] = pod["metadata"].get("annotations") or {}
    return found


def pod(tools: Tools, obj: Manifest) -> None:
    """Look at a pod: has it to start, to end, to go?"""
    metadata = obj["metadata"]
    served = tools.kind("v1", "Pod")
    marks = marks_of(obj)
    if metadata.get("deletionTimestamp"):
        _once(tools, obj, "gone", seconds(marks.get("sim/gone-after")), lambda now: _vanish(tools, now))
        return
    status = obj.get("status") or {}
    if not status.get("podIP"):
        wait = seconds(marks.get("sim/ready-after"), tools.b.ready_after)
        _once(tools, obj, "started", wait, lambda now: _start(tools, now))
    elif status.get("phase") == "Running" and obj["spec"].get("restartPolicy") in ("Never", "OnFailure"):
        wait = seconds(marks.get("sim/ends-after"))
        _once(
            tools, obj, "ended", wait, lambda now: tools.set_status(served, now, _ended(tools, now), KUBELET)
        )


def _once(tools: Tools, obj: Manifest, stage: str, wait: float, work: Any) -> None:
    """Do `work` with the pod after `wait` seconds, once for each stage of this pod."""
    key = (obj["metadata"]["uid"], stage)
    if key in tools.b.stages:
        return
    tools.b.stages.add(key)
    place = (obj["metadata"]["namespace"], obj["metadata"]["name"])

    def then() -> None:
        now = tools.get(tools.kind("v1", "Pod"), place)
        if now is not None and now["metadata"]["uid"] == key[0] and not tools.b.closed:
            work(now)

    tools.b.later(wait, then)


def _vanish(tools: Tools, obj: Manifest) -> None:
    """The kubelet has stopped a deleted pod: it goes, unless a finalizer keeps it."""
    place = (obj["metadata"]["namespace"], obj["metadata"]["name"])
    metadata = {**obj["metadata"], "deletionGracePeriodSeconds": 0}
    table = tools.b.store.table("", "pods")
    gone = not metadata.get("finalizers")
    for stage in ("started", "ended", "gone"):
        tools.b.stages.discard((metadata["uid"], stage))
    if gone or obj["metadata"].get("deletionGracePeriodSeconds"):
        tools.b.store.write(table, place, {**obj, "metadata": metadata}, gone=gone)


def _start(tools: Tools, obj: Manifest) -> None:
    """The pod is bound to a node and runs (or waits)."""
    marks = marks_of(obj)
    metadata = obj["metadata"]
    waiting = marks.get("sim/waiting", "")
    ready = not waiting and marks.get("sim/not-ready") != "true"
    if tools.b.faults.active and tools.b.faults.unready(metadata["namespace"], metadata["name"]):
        ready = False
    now = tools.b.now()
    word = "True" if ready else "False"
    state: Manifest = {"running": {"startedAt": now}}
    if waiting:
        state = {"waiting": {"reason": waiting, "message": "simulated"}}
    statuses = [
        {
            "name": c["name"],
            "image": c.get("image", ""),
            "imageID": "",
            "ready": ready,
            "restartCount": 0,
            "started": not waiting,
            "state": state,
            "lastState": {},
        }
        for c in obj["spec"].get("containers") or ()
    ]
    flags = (("Initialized", "True"), ("Ready", word), ("ContainersReady", word), ("PodScheduled", "True"))
    conditions = [{"type": sort, "status": value, "lastTransitionTime": now} for sort, value in flags]
    tools.b.addresses.next_ip += 1
    number = tools.b.addresses.next_ip
    status = {
        **(obj.get("status") or {}),
        "phase": "Pending" if waiting else "Running",
        "startTime": now,
        "hostIP": "10.0.0.1",
        "podIP": f"10.244.{number // 250 % 250}.{number % 250 + 1}",
        "conditions": conditions,
        "containerStatuses": statuses,
    }
    bound = {**obj, "spec": {**obj["spec"], "nodeName": obj["spec"].get("nodeName") or NODE}}
    table = tools.b.store.table("", "pods")
    tools.b.store.write(table, (metadata["namespace"], metadata["name"]), {**bound, "status": status})


def _ended(tools: Tools, obj: Manifest) -> Manifest:
    """The status of a pod whose containers have ended."""
    marks = marks_of(obj)
    code = int(marks.get("sim/exit-code", "0") or 0)
    now = tools.b.now()
    ended = {
        "exitCode": code,
        "reason": "Completed" if code == 0 else "Error",
        "startedAt": obj["status"].get("startTime", now),
        "finishedAt": now,
    }
    if marks.get("sim/message"):
        ended["message"] = marks["sim/message"]
    statuses = [
        {**s, "ready": False, "state": {"terminated": ended}}
        for s in obj["status"].get("containerStatuses") or ()
    ]
    reason = "PodCompleted" if code == 0 else "PodFailed"
    conditions = [
        {**c, "status": "False", "reason": reason, "lastTransitionTime": now} if "Ready" in c["type"] else c
        for c in obj["status"].get("conditions") or ()
    ]
    phase = "Succeeded" if code == 0 else "Failed"
    return {**obj["status"], "phase": phase, "conditions": conditions, "containerStatuses": statuses}


def is_ready(obj: Manifest) -> bool:
    """Whether a pod counts as ready."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def of_template(template: Manifest, name: str, reference: Manifest, **labels: str) -> Manifest:
    """A pod for a controller: `name` ending in `-` is a generateName."""
    held = template.get("metadata") or {}
    metadata: Manifest = {
        "generateName" if name.endswith("-") else "name": name,
        "ownerReferences": [reference],
    }
    metadata["labels"] = {**(held.get("labels") or {}), **labels}
    if held.get("annotations"):
        metadata["annotations"] = dict(held["annotations"])
    if held.get("finalizers"):
        metadata["finalizers"] = list(held["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


RULES: dict[tuple[str, str], Reconcile] = {("", "pods"): pod}
