"""Deployments and ReplicaSets: a rollout of pods, with the conditions people watch."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

import clusters.sandbox.lifecycle.pods as pods
from clusters.sandbox.lifecycle.tools import Reconcile, Tools

Manifest = dict[str, Any]
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


def template_hash(template: Manifest) -> str:
    """Ten letters that stand for a pod template."""
    raw = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(raw).hexdigest()[:10].translate(str.maketrans("013ae", "zxwvt"))


def replica_set(tools: Tools, obj: Manifest) -> None:
    """Make or delete pods until there are as many as wanted, and count them."""
    served = tools.kind("apps/v1", "ReplicaSet")
    metadata, spec = obj["metadata"], obj["spec"]
    pod_kind = tools.kind("v1", "Pod")
    owned = [p for p in tools.owned(obj, "pods") if not p["metadata"].get("deletionTimestamp")]
    active = [p for p in owned if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    wanted = spec.get("replicas", 1)
    if not metadata.get("deletionTimestamp"):
        reference = tools.owner_reference(obj)
        for _ in range(wanted - len(active)):
            pod = pods.of_template(spec["template"], f"{metadata['name']}-", reference)
            made = tools.create(pod_kind, metadata["namespace"], pod)
            if made is None:
                break
            active.append(made)
        for pod in sorted(active, key=pods.is_ready)[: max(0, len(active) - wanted)]:
            tools.delete(pod_kind, pod)
            active.remove(pod)
    ready = sum(pods.is_ready(p) for p in active)
    status: Manifest = {"replicas": len(active), "observedGeneration": metadata.get("generation", 1)}
    if active:
        status["fullyLabeledReplicas"] = len(active)
    if ready:
        status |= {"readyReplicas": ready, "availableReplicas": ready}
    tools.set_status(served, obj, status)


def deployment(tools: Tools, obj: Manifest) -> None:
    """Bring the newest ReplicaSet up and the others down; say how far it is."""
    metadata, spec = obj["metadata"], obj["spec"]
    if metadata.get("deletionTimestamp"):
        return
    sets = tools.owned(obj, "replicasets")
    name = template_hash(spec["template"])
    newest = next((s for s in sets if s["metadata"]["labels"].get(HASH) == name), None)
    if newest is None and not spec.get("paused"):
        newest = _new_set(tools, obj, name, sets)
        if newest is None:
            return
        sets = [*sets, newest]
    if not spec.get("paused"):
        _roll(tools, obj, newest, sets)
    _report(tools, obj, name)


def _new_set(tools: Tools, obj: Manifest, name: str, others: list[Manifest]) -> Manifest | None:
    metadata, spec = obj["metadata"], obj["spec"]
    held = spec["template"].get("metadata") or {}
    labels = {**(held.get("labels") or {}), HASH: name}
    template = {**spec["template"], "metadata": {**held, "labels": labels}}
    revision = max([int(_revision(s)) for s in others], default=0) + 1
    marks = {k: v for k, v in (metadata.get("annotations") or {}).items() if "last-applied" not in k}
    marks |= {"deployment.kubernetes.io/desired-replicas": str(spec["replicas"]), REVISION: str(revision)}
    selector = {
        **spec["selector"],
        "matchLabels": {**(spec["selector"].get("matchLabels") or {}), HASH: name},
    }
    start = 0 if spec["strategy"].get("type") == "Recreate" and others else spec["replicas"]
    body = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{name}",
            "labels": labels,
            "annotations": marks,
            "ownerReferences": [tools.owner_reference(obj)],
        },
        "spec": {"replicas": start, "selector": selector, "template": template},
    }
    made = tools.create(tools.kind("apps/v1", "ReplicaSet"), metadata["namespace"], body)
    if made is not None:
        marked = {**(metadata.get("annotations") or {}), REVISION: str(revision)}
        tools.change(
            tools.kind("apps/v1", "Deployment"), {**obj, "metadata": {**metadata, "annotations": marked}}
        )
    return made


def _revision(replica_set: Manifest) -> str:
    return str((replica_set["metadata"].get("annotations") or {}).get(REVISION, "0"))


def _count(obj: Manifest, field: str) -> int:
    return int((obj.get("status") or {}).get(field) or 0)


def _roll(tools: Tools, obj: Manifest, newest: Manifest | None, sets: list[Manifest]) -> None:
    wanted = obj["spec"]["replicas"]
    old = [s for s in sets if newest is not None and s["metadata"]["uid"] != newest["metadata"]["uid"]]
    if newest is None:
        return
    recreate = obj["spec"]["strategy"].get("type") == "Recreate"
    if recreate and any(s["spec"]["replicas"] or _count(s, "replicas") for s in old):
        for held in old:
            _scale(tools, held, 0)
        return
    _scale(tools, newest, wanted)
    available = _count(newest, "availableReplicas")
    for held in old:
        keep = max(0, min(held["spec"]["replicas"], wanted - available))
        _scale(tools, held, keep)
        if keep == 0 and _count(held, "replicas") == 0:
            _forget_oldest(tools, obj, old)


def _forget_oldest(tools: Tools, obj: Manifest, old: list[Manifest]) -> None:
    limit = obj["spec"].get("revisionHistoryLimit", 10)
    empty = sorted((s for s in old if not s["spec"]["replicas"]), key=lambda s: int(_revision(s)))
    for held in empty[: max(0, len(empty) - limit)]:
        tools.delete(tools.kind("apps/v1", "ReplicaSet"), held)


def _scale(tools: Tools, replica_set: Manifest, replicas: int) -> None:
    if replica_set["spec"]["replicas"] != replicas:
        scaled = {**replica_set, "spec": {**replica_set["spec"], "replicas": replicas}}
        tools.change(tools.kind("apps/v1", "ReplicaSet"), scaled)


def _report(tools: Tools, obj: Manifest, name: str) -> None:
    """Write the status of a Deployment."""
    served = tools.kind("apps/v1", "Deployment")
    sets = tools.owned(obj, "replicasets")
    newest = next((s for s in sets if s["metadata"]["labels"].get(HASH) == name), None)
    totals = {f: sum(_count(s, f) for s in sets) for f in ("replicas", "readyReplicas", "availableReplicas")}
    updated = _count(newest, "replicas") if newest else 0
    wanted = obj["spec"]["replicas"]
    missing = max(0, max(totals["replicas"], wanted) - totals["availableReplicas"])
    numbers = {**totals, "updatedReplicas": updated, "unavailableReplicas": missing}
    done = updated == wanted == totals["availableReplicas"] == totals["replicas"]
    status: Manifest = {"observedGeneration": obj["metadata"]["generation"]}
    status |= {field: value for field, value in numbers.items() if value}
    held = {c["type"]: c for c in (obj.get("status") or {}).get("conditions") or ()}
    status["conditions"] = _conditions(tools, obj, held, numbers, newest, done)
    tools.set_status(served, obj, status)


def _conditions(
    tools: Tools, obj: Manifest, held: Manifest, numbers: Manifest, newest: Manifest | None, done: bool
) -> list[Manifest]:
    now = tools.b.now()
    wanted = obj["spec"]["replicas"]
    enough = (
        numbers["availableReplicas"] >= wanted - max(1, wanted // 4)
        if wanted > 1
        else not (wanted and not numbers["availableReplicas"])
    )
    reason, text = (
        ("MinimumReplicasAvailable", "has") if enough else ("MinimumReplicasUnavailable", "does not have")
    )
    available = _condition("Available", enough, reason, f"Deployment {text} minimum availability.", now)
    set_name = newest["metadata"]["name"] if newest else ""
    if done:
        text = f'ReplicaSet "{set_name}" has successfully progressed.'
        progress = _condition("Progressing", True, "NewReplicaSetAvailable", text, now)
    elif obj["spec"].get("paused"):
        progress = _condition("Progressing", None, "DeploymentPaused", "Deployment is paused", now)
    elif _is_late(tools, obj, set_name):
        text = f'ReplicaSet "{set_name}" has timed out progressing.'
        progress = _condition("Progressing", False, "ProgressDeadlineExceeded", text, now)
    else:
        text = f'ReplicaSet "{set_name}" is progressing.'
        progress = _condition("Progressing", True, "ReplicaSetUpdated", text, now)
    return [_kept(held.get(c["type"]), c) for c in (available, progress)]


def _is_late(tools: Tools, obj: Manifest, set_name: str) -> bool:
    """Whether the rollout to this ReplicaSet has gone on for longer than progressDeadlineSeconds."""
    key = (obj["metadata"]["uid"], f"rollout {set_name}")
    late = (obj["metadata"]["uid"], f"late {set_name}")
    if key not in tools.b.stages:
        tools.b.stages.add(key)

        def check() -> None:
            tools.b.stages.add(late)
            held = tools.b.store.by_uid(key[0])
            if held is not None and not tools.b.closed:
                deployment(tools, held[2])

        tools.b.later(float(obj["spec"].get("progressDeadlineSeconds", 600)), check)
    return late in tools.b.stages


def _condition(sort: str, status: bool | None, reason: str, message: str, now: str) -> Manifest:
    word = "Unknown" if status is None else str(status)
    times = {"lastUpdateTime": now, "lastTransitionTime": now}
    return {"type": sort, "status": word, "reason": reason, "message": message, **times}


def _kept(old: Manifest | None, new: Manifest) -> Manifest:
    """`new` with the times of `old` where it says the same."""
    if old is None:
        return new
    if all(old.get(k) == new[k] for k in ("status", "reason", "message")):
        return old
    changed = old["status"] != new["status"]
    return new if changed else {**new, "lastTransitionTime": old["lastTransitionTime"]}


RULES: dict[tuple[str, str], Reconcile] = {
    ("apps", "deployments"): deployment,
    ("apps", "replicasets"): replica_set,
}
