"""StatefulSets and DaemonSets."""

from __future__ import annotations

from typing import Any

import clusters.sandbox.lifecycle.pods as pods
from clusters.sandbox.lifecycle.basics import NODE
from clusters.sandbox.lifecycle.tools import Reconcile, Tools
from clusters.sandbox.lifecycle.workloads import template_hash

Manifest = dict[str, Any]
REVISION = "controller-revision-hash"


def stateful_set(tools: Tools, obj: Manifest) -> None:
    """Pods with names that stay, one after the other, and their claims."""
    metadata, spec = obj["metadata"], obj["spec"]
    revision = f"{metadata['name']}-{template_hash(spec['template'])}"
    owned = {p["metadata"]["name"]: p for p in tools.owned(obj, "pods")}
    if not metadata.get("deletionTimestamp"):
        _scale_set(tools, obj, owned, revision)
        _update_set(tools, obj, owned, revision)
    current = [p for p in tools.owned(obj, "pods") if not p["metadata"].get("deletionTimestamp")]
    updated = [p for p in current if p["metadata"]["labels"].get(REVISION) == revision]
    ready = sum(pods.is_ready(p) for p in current)
    held = obj.get("status") or {}
    settled = len(updated) == len(current) == spec["replicas"] and ready == len(current)
    before = revision if settled else held.get("currentRevision") or revision
    status = {
        "observedGeneration": metadata["generation"],
        "replicas": len(current),
        "availableReplicas": ready,
        "currentRevision": before,
        "updateRevision": revision,
        "collisionCount": 0,
    }
    behind = [p for p in current if p["metadata"]["labels"].get(REVISION) == before]
    counts = {"readyReplicas": ready, "updatedReplicas": len(updated), "currentReplicas": len(behind)}
    status |= {field: value for field, value in counts.items() if value}
    tools.set_status(tools.kind("apps/v1", "StatefulSet"), obj, status)


def _names(obj: Manifest) -> list[str]:
    start = (obj["spec"].get("ordinals") or {}).get("start", 0)
    return [f"{obj['metadata']['name']}-{start + i}" for i in range(obj["spec"]["replicas"])]


def _scale_set(tools: Tools, obj: Manifest, owned: dict[str, Manifest], revision: str) -> None:
    names = _names(obj)
    ordered = obj["spec"].get("podManagementPolicy") != "Parallel"
    kind = tools.kind("v1", "Pod")
    for name in names:
        pod = owned.get(name)
        if pod is None:
            _claims(tools, obj, name)
            reference = tools.owner_reference(obj)
            labels = {REVISION: revision, "statefulset.kubernetes.io/pod-name": name}
            labels["apps.kubernetes.io/pod-index"] = name.rpartition("-")[2]
            body = pods.of_template(obj["spec"]["template"], name, reference, **labels)
            tools.create(kind, obj["metadata"]["namespace"], body)
        if ordered and (pod is None or not pods.is_ready(pod)):
            break
    extra = sorted((name for name in owned if name not in names), key=lambda n: -int(n.rpartition("-")[2]))
    for name in extra[:1] if ordered else extra:
        if not owned[name]["metadata"].get("deletionTimestamp"):
            tools.delete(kind, owned[name])


def _update_set(tools: Tools, obj: Manifest, owned: dict[str, Manifest], revision: str) -> None:
    """Replace one pod of an older revision, the highest first, once all others are ready."""
    strategy = obj["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    start = (obj["spec"].get("ordinals") or {}).get("start", 0)
    for name in reversed(_names(obj)):
        pod = owned.get(name)
        if pod is None or pod["metadata"].get("deletionTimestamp"):
            return
        if int(name.rpartition("-")[2]) < start + partition:
            return
        if pod["metadata"]["labels"].get(REVISION) != revision:
            tools.delete(tools.kind("v1", "Pod"), pod)
            return
        if not pods.is_ready(pod):
            return


def _claims(tools: Tools, obj: Manifest, pod: str) -> None:
    kind = tools.kind("v1", "PersistentVolumeClaim")
    for template in obj["spec"].get("volumeClaimTemplates") or ():
        name = f"{template['metadata']['name']}-{pod}"
        namespace = obj["metadata"]["namespace"]
        if tools.get(kind, (namespace, name)) is None:
            labels = (obj["spec"]["selector"].get("matchLabels")) or {}
            metadata = {"name": name, "labels": {**(template["metadata"].get("labels") or {}), **labels}}
            body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
            tools.create(kind, namespace, {**body, "spec": template["spec"]})


def daemon_set(tools: Tools, obj: Manifest) -> None:
    """One pod on every node; the sandbox has one node unless more are created."""
    metadata, spec = obj["metadata"], obj["spec"]
    nodes = [name for _, name in tools.b.store.table("", "nodes").objects] or [NODE]
    revision = template_hash(spec["template"])
    kind = tools.kind("v1", "Pod")
    owned = [p for p in tools.owned(obj, "pods") if not p["metadata"].get("deletionTimestamp")]
    by_node = {p["spec"].get("nodeName", ""): p for p in owned}
    if not metadata.get("deletionTimestamp"):
        for node in nodes:
            if node not in by_node:
                reference = tools.owner_reference(obj)
                body = pods.of_template(
                    spec["template"], f"{metadata['name']}-", reference, **{REVISION: revision}
                )
                body["spec"] = {**body["spec"], "nodeName": node}
                tools.create(kind, metadata["namespace"], body)
        stale = [p for p in owned if p["metadata"]["labels"].get(REVISION) != revision]
        rolling = (spec.get("updateStrategy") or {}).get("type") != "OnDelete"
        if stale and rolling and all(pods.is_ready(p) for p in owned if p not in stale):
            tools.delete(kind, stale[0])
    current = [p for p in tools.owned(obj, "pods") if not p["metadata"].get("deletionTimestamp")]
    ready = sum(pods.is_ready(p) for p in current)
    updated = sum(p["metadata"]["labels"].get(REVISION) == revision for p in current)
    status = {
        "currentNumberScheduled": len(current),
        "numberMisscheduled": 0,
        "desiredNumberScheduled": len(nodes),
        "numberReady": ready,
        "observedGeneration": metadata["generation"],
    }
    counts = {
        "updatedNumberScheduled": updated,
        "numberAvailable": ready,
        "numberUnavailable": len(nodes) - ready,
    }
    status |= {field: value for field, value in counts.items() if value}
    tools.set_status(tools.kind("apps/v1", "DaemonSet"), obj, status)


RULES: dict[tuple[str, str], Reconcile] = {
    ("apps", "statefulsets"): stateful_set,
    ("apps", "daemonsets"): daemon_set,
}
