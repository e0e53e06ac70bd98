"""What every cluster does: namespaces come and go, custom kinds get established, aggregated APIs are available."""

from __future__ import annotations

from typing import Any

import clusters.sandbox.deletes as deletes
from clusters.sandbox.answers import ApiError
from clusters.sandbox.backend import Options
from clusters.sandbox.deletes import CRD_CLEANUP
from clusters.sandbox.lifecycle.tools import Reconcile, Tools
from clusters.sandbox.writes import create

Manifest = dict[str, Any]
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
NODE = "sandbox-0"


def found_cluster(tools: Tools) -> None:
    """The objects a fresh cluster has: namespaces, a node, the service `kubernetes`, cluster-admin."""
    options = Options(manager="kube-apiserver")
    namespace = tools.kind("v1", "Namespace")
    if tools.get(namespace, ("", "default")) is not None:
        return
    for name in NAMESPACES:
        create(
            tools.b,
            namespace,
            "",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            options,
        )
    port = {"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes"},
        "spec": {"ports": [port]},
    }
    create(tools.b, tools.kind("v1", "Service"), "default", service, options)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "cluster-admin"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
    create(tools.b, tools.kind("rbac.authorization.k8s.io/v1", "ClusterRole"), "", role, options)
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}}
    made = create(tools.b, tools.kind("v1", "Node"), "", node, options)
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": tools.b.now()}
    capacity = {"cpu": "1k", "memory": "1Ti", "pods": "1M"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
    tools.set_status(tools.kind("v1", "Node"), made, status, "kubelet")


def namespace(tools: Tools, obj: Manifest) -> None:
    """A living namespace has a ServiceAccount and the root certificates; a dying one is emptied."""
    name = obj["metadata"]["name"]
    if obj["metadata"].get("deletionTimestamp"):
        _empty(tools, obj, name)
        return
    account = tools.kind("v1", "ServiceAccount")
    if tools.get(account, (name, "default")) is None:
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        tools.create(account, name, body)
    config = tools.kind("v1", "ConfigMap")
    if tools.get(config, (name, "kube-root-ca.crt")) is None:
        metadata = {"name": "kube-root-ca.crt"}
        data = {"ca.crt": "no certificate: the sandbox speaks plain HTTP\n"}
        tools.create(
            config, name, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )


def _empty(tools: Tools, obj: Manifest, name: str) -> None:
    left = False
    for table in list(tools.b.store.tables.values()):
        served = tools.b.registry.stored(table.group, table.resource)
        if served is None or not served.namespaced:
            continue
        for place in [place for place in table.objects if place[0] == name]:
            held = table.objects.get(place)
            if held is not None and not held["metadata"].get("deletionTimestamp"):
                try:
                    deletes.delete(tools.b, served, *place, deletes.DeleteOptions("Background"))
                except ApiError:
                    left = True
            left = left or place in table.objects
    if not left:
        table = tools.b.store.table("", "namespaces")
        emptied = {**obj, "spec": {}}
        gone = not obj["metadata"].get("finalizers")
        if gone or (obj.get("spec") or {}).get("finalizers"):
            tools.b.store.write(table, ("", name), emptied, gone=gone)


def custom_definition(tools: Tools, crd: Manifest) -> None:
    """Accept the names of a new kind and serve it; a deleted one takes its objects along."""
    served = tools.kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    metadata = crd["metadata"]
    if metadata.get("deletionTimestamp"):
        _clean_up(tools, crd)
        return
    status = crd.get("status") or {}
    known = {c["type"]: c for c in status.get("conditions") or ()}
    stored = [v["name"] for v in crd["spec"]["versions"] if v.get("storage")]
    versions = list(dict.fromkeys([*(status.get("storedVersions") or ()), *stored]))
    if "Established" not in known:
        now = tools.b.now()
        conditions = [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
        ]
        names = crd["spec"]["names"]
        fresh = {**status, "conditions": conditions, "acceptedNames": names, "storedVersions": versions}
        tools.set_status(served, crd, fresh, "kube-apiserver")
    elif versions != status.get("storedVersions"):
        tools.set_status(served, crd, {**status, "storedVersions": versions}, "kube-apiserver")
    held = tools.get(served, ("", metadata["name"]))
    if held is not None and CRD_CLEANUP not in (held["metadata"].get("finalizers") or ()):
        finalizers = [*(held["metadata"].get("finalizers") or ()), CRD_CLEANUP]
        marked = {**held, "metadata": {**held["metadata"], "finalizers": finalizers}}
        tools.b.store.write(
            tools.b.store.table(served.group, served.resource), ("", metadata["name"]), marked
        )


def _condition(sort: str, reason: str, message: str, now: str) -> Manifest:
    return {"type": sort, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}


def _clean_up(tools: Tools, crd: Manifest) -> None:
    group, resource = crd["spec"]["group"], crd["spec"]["names"]["plural"]
    table = tools.b.store.table(group, resource)
    kind = tools.b.registry.stored(group, resource)
    for place in list(table.objects):
        if kind is not None and place in table.objects:
            deletes.delete(tools.b, kind, *place, deletes.DeleteOptions("Background"))
    finalizers = crd["metadata"].get("finalizers") or []
    if table.objects:
        tools.b.later(0.05, lambda: _again(tools, crd["metadata"]["name"]))
    elif CRD_CLEANUP in finalizers:
        left = [name for name in finalizers if name != CRD_CLEANUP]
        out = {**crd, "metadata": {**crd["metadata"], "finalizers": left}}
        own = tools.b.store.table("apiextensions.k8s.io", "customresourcedefinitions")
        tools.b.store.write(own, ("", crd["metadata"]["name"]), out, gone=not left)


def _again(tools: Tools, name: str) -> None:
    crd = tools.b.store.get("apiextensions.k8s.io", "customresourcedefinitions", "", name)
    if crd is not None:
        custom_definition(tools, crd)


def api_service(tools: Tools, obj: Manifest) -> None:
    """Every aggregated API is available."""
    conditions = [
        _condition("Available", "Passed", "all checks passed", obj["metadata"]["creationTimestamp"])
    ]
    served = tools.kind("apiregistration.k8s.io/v1", "APIService")
    tools.set_status(served, obj, {"conditions": conditions}, "kube-apiserver")


def restore_account(tools: Tools, obj: Manifest) -> None:
    """The default ServiceAccount and the root certificates come back when they are deleted."""
    held = tools.b.store.get("", "namespaces", "", obj["metadata"]["namespace"])
    if held is not None:
        namespace(tools, held)


RULES: dict[tuple[str, str], Reconcile] = {
    ("", "namespaces"): namespace,
    ("apiextensions.k8s.io", "customresourcedefinitions"): custom_definition,
    ("apiregistration.k8s.io", "apiservices"): api_service,
}
REMOVALS: dict[tuple[str, str], Reconcile] = {
    ("", "serviceaccounts"): restore_account,
    ("", "configmaps"): restore_account,
}
