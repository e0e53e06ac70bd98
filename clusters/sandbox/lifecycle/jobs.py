"""Jobs: pods that run to completion, and the conditions that tell how it went. CronJobs are not run."""

from __future__ import annotations

from typing import Any

import clusters.sandbox.lifecycle.pods as pods
from clusters.sandbox.lifecycle.tools import Reconcile, Tools

Manifest = dict[str, Any]
FIRST_RETRY = 1.0


def job(tools: Tools, obj: Manifest) -> None:
    """Start the pods a Job needs, count those that ended, and end the Job."""
    served = tools.kind("batch/v1", "Job")
    metadata, spec = obj["metadata"], obj["spec"]
    status = dict(obj.get("status") or {})
    held = {c["type"]: c for c in status.get("conditions") or ()}
    if held.keys() & {"Complete", "Failed"}:
        _expire(tools, obj)
        return
    if metadata.get("deletionTimestamp"):
        return
    owned = tools.owned(obj, "pods")
    phases = [(p.get("status") or {}).get("phase") for p in owned]
    succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
    active = [p for p in owned if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    if spec.get("suspend"):
        _suspend(tools, obj, active)
        return
    if "startTime" not in status:
        _deadline(tools, obj)
    wanted = spec.get("completions") or spec.get("parallelism") or 1
    ended = _ending(tools, obj, succeeded, failed, wanted)
    if ended is None:
        missing = min(spec.get("parallelism", 1), wanted - succeeded) - len(active)
        active += _started(tools, obj, missing, failed)
    ready = sum(pods.is_ready(p) for p in active)
    counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
    fresh: Manifest = {"startTime": status.get("startTime") or tools.b.now(), "uncountedTerminatedPods": {}}
    fresh |= {field: value for field, value in counts.items() if value}
    fresh |= {"ready": ready, "terminating": 0}
    if ended is None:
        conditions = [c for c in status.get("conditions") or () if c["type"] != "Suspended"]
        tools.set_status(served, obj, {**fresh, **({"conditions": conditions} if conditions else {})})
        return
    _end(tools, obj, active, fresh, ended)


def _ending(
    tools: Tools, obj: Manifest, succeeded: int, failed: int, wanted: int
) -> tuple[str, str, str] | None:
    """(condition, reason, message) of the end, if it has come."""
    spec = obj["spec"]
    if succeeded >= wanted:
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if failed > spec.get("backoffLimit", 6):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if (obj["metadata"]["uid"], "deadline over") in tools.b.stages:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _started(tools: Tools, obj: Manifest, missing: int, failed: int) -> list[Manifest]:
    """New pods; after a failure only once its pause is over."""
    uid = obj["metadata"]["uid"]
    if failed and missing > 0 and (uid, f"retry {failed} over") not in tools.b.stages:
        _timer(tools, obj, f"retry {failed}", FIRST_RETRY * 2 ** (failed - 1))
        return []
    made = []
    for _ in range(missing):
        reference = tools.owner_reference(obj)
        body = pods.of_template(obj["spec"]["template"], f"{obj['metadata']['name']}-", reference)
        pod = tools.create(tools.kind("v1", "Pod"), obj["metadata"]["namespace"], body)
        if pod is not None:
            made.append(pod)
    return made


def _timer(tools: Tools, obj: Manifest, stage: str, wait: float) -> None:
    uid = obj["metadata"]["uid"]
    if (uid, stage) in tools.b.stages:
        return
    tools.b.stages.add((uid, stage))

    def over() -> None:
        tools.b.stages.add((uid, f"{stage} over"))
        held = tools.b.store.by_uid(uid)
        if held is not None and not tools.b.closed:
            job(tools, held[2])

    tools.b.later(wait, over)


def _deadline(tools: Tools, obj: Manifest) -> None:
    wait = obj["spec"].get("activeDeadlineSeconds")
    if wait is not None:
        _timer(tools, obj, "deadline", float(wait))


def _suspend(tools: Tools, obj: Manifest, active: list[Manifest]) -> None:
    for pod in active:
        tools.delete(tools.kind("v1", "Pod"), pod)
    held = {c["type"]: c for c in (obj.get("status") or {}).get("conditions") or ()}
    condition = held.get("Suspended") or _condition(tools, "Suspended", "JobSuspended", "Job suspended")
    status = {"conditions": [condition], "uncountedTerminatedPods": {}, "ready": 0, "terminating": 0}
    tools.set_status(tools.kind("batch/v1", "Job"), obj, status)


def _end(
    tools: Tools, obj: Manifest, active: list[Manifest], status: Manifest, end: tuple[str, str, str]
) -> None:
    """First the condition that announces the end, then the end itself, as two writes."""
    served = tools.kind("batch/v1", "Job")
    final, reason, message = end
    announced = "SuccessCriteriaMet" if final == "Complete" else "FailureTarget"
    for pod in active:
        tools.delete(tools.kind("v1", "Pod"), pod)
    status.pop("active", None)
    status["ready"] = 0
    first = _condition(tools, announced, reason, message)
    tools.set_status(served, obj, {**status, "conditions": [first]})
    last = {**status, "conditions": [first, _condition(tools, final, reason, message)]}
    if final == "Complete":
        last["completionTime"] = tools.b.now()
    tools.set_status(served, obj, last)


def _condition(tools: Tools, sort: str, reason: str, message: str) -> Manifest:
    now = tools.b.now()
    times = {"lastProbeTime": now, "lastTransitionTime": now}
    return {"type": sort, "status": "True", "reason": reason, "message": message, **times}


def _expire(tools: Tools, obj: Manifest) -> None:
    """ttlSecondsAfterFinished: the Job is deleted, its pods with it."""
    wait = obj["spec"].get("ttlSecondsAfterFinished")
    uid = obj["metadata"]["uid"]
    if wait is None or (uid, "ttl") in tools.b.stages:
        return
    tools.b.stages.add((uid, "ttl"))

    def over() -> None:
        held = tools.b.store.by_uid(uid)
        if held is not None and not tools.b.closed and not held[2]["metadata"].get("deletionTimestamp"):
            tools.delete(tools.kind("batch/v1", "Job"), held[2], "Foreground")

    tools.b.later(float(wait), over)


RULES: dict[tuple[str, str], Reconcile] = {("batch", "jobs"): job}
