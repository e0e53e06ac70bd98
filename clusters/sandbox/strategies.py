"""What a server does to an object of a kind when it creates or changes it: allocations, protection, generation."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from clusters.sandbox.registry import Served
from clusters.sandbox.store import Store

Manifest = dict[str, Any]
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
PLACEHOLDER_IP = "10.96.0.0"
WITH_GENERATION = {
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apps",
    "batch",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "policy",
    "scheduling.k8s.io",
}
CORE_WITH_GENERATION = {"Pod", "ReplicationController"}


def random_suffix() -> str:
    """Five letters for generateName."""
    return "".join(secrets.choice(LETTERS) for _ in range(5))


def has_generation(served: Served) -> bool:
    if served.custom or served.group in WITH_GENERATION:
        return True
    return served.group == "" and served.kind in CORE_WITH_GENERATION


def spec_changed(served: Served, old: Manifest, new: Manifest) -> bool:
    """Whether a change raises the generation: everything outside metadata and (with its subresource) status."""
    out = ("metadata", "status") if served.has_status else ("metadata",)
    keys = (old.keys() | new.keys()) - set(out)
    return any(old.get(key) != new.get(key) for key in keys)


class Addresses:
    """Service addresses and node ports of one cluster."""

    def __init__(self) -> None:
        self.next_ip = 10
        self.next_port = 30000

    def ip(self) -> str:
        self.next_ip += 1
        return f"10.96.{self.next_ip // 250 % 250}.{self.next_ip % 250 + 1}"

    def port(self) -> int:
        self.next_port = 30000 + (self.next_port - 30000 + 1) % 2768
        return self.next_port


def _service(obj: Manifest, addresses: Addresses, dry_run: bool) -> None:
    spec = obj["spec"]
    kind = spec.get("type")
    if kind == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = (spec.get("clusterIPs") or [None])[0] or (
            PLACEHOLDER_IP if dry_run else addresses.ip()
        )
    spec["clusterIPs"] = spec.get("clusterIPs") or [spec["clusterIP"]]
    if spec["clusterIP"] == "None" and not spec.get("selector"):
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if kind in ("NodePort", "LoadBalancer"):
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port["nodePort"] = addresses.port()


def _job(obj: Manifest, _addresses: Addresses, _dry_run: bool) -> None:
    spec = obj["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for key, value in (("controller-uid", uid), ("job-name", name)):
        labels.setdefault(f"batch.kubernetes.io/{key}", value)
        labels.setdefault(key, value)
    if not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _volume(obj: Manifest, _addresses: Addresses, _dry_run: bool) -> None:
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if "kubernetes.io/pv-protection" not in finalizers:
        finalizers.append("kubernetes.io/pv-protection")
    obj["status"]["lastPhaseTransitionTime"] = obj["metadata"]["creationTimestamp"]


def _protected(finalizer: str) -> Callable[[Manifest, Addresses, bool], None]:
    def protect(obj: Manifest, _addresses: Addresses, _dry_run: bool) -> None:
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)

    return protect


def _namespace(obj: Manifest, _addresses: Addresses, _dry_run: bool) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]


ON_CREATE: dict[tuple[str, str], Callable[[Manifest, Addresses, bool], None]] = {
    ("", "Service"): _service,
    ("batch", "Job"): _job,
    ("", "PersistentVolumeClaim"): _protected("kubernetes.io/pvc-protection"),
    ("", "PersistentVolume"): _volume,
    ("", "Namespace"): _namespace,
}


def on_update(served: Served, old: Manifest, new: Manifest, addresses: Addresses) -> None:
    """Values a server gave at creation and keeps when a PUT leaves them out; `new` is the caller's own copy."""
    key = (served.group, served.kind)
    if key == ("", "Service"):
        spec, held = new["spec"], old["spec"]
        if spec.get("type") == "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(field, None)
            return
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(field) and held.get(field):
                spec[field] = held[field]
        if spec.get("clusterIP") != held.get("clusterIP") and spec.get("clusterIPs") == held.get(
            "clusterIPs"
        ):
            spec["clusterIPs"] = [spec["clusterIP"]]
        if spec.get("type") == "ClusterIP":
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
        _keep_node_ports(spec, held)
        _service(new, addresses, False)
    elif key == ("batch", "Job") and not new["spec"].get("manualSelector"):
        new["spec"].setdefault("selector", old["spec"].get("selector"))
    elif key == ("", "PersistentVolumeClaim") and old["spec"].get("volumeName"):
        new["spec"].setdefault("volumeName", old["spec"]["volumeName"])
        if old["spec"].get("storageClassName") is not None:
            new["spec"].setdefault("storageClassName", old["spec"]["storageClassName"])


def _keep_node_ports(spec: Manifest, held: Manifest) -> None:
    if spec.get("type") not in ("NodePort", "LoadBalancer"):
        return
    known = {(p.get("port"), p.get("protocol")): p.get("nodePort") for p in held.get("ports") or ()}
    for port in spec.get("ports") or ():
        if not port.get("nodePort") and known.get((port.get("port"), port.get("protocol"))):
            port["nodePort"] = known[port.get("port"), port.get("protocol")]


CHANGES_ON_UPDATE = {("", "Service"), ("batch", "Job"), ("", "PersistentVolumeClaim")}


def default_storage_class(store: Store) -> str | None:
    """The name of the StorageClass that is marked as default, if any."""
    for (_, name), obj in store.table("storage.k8s.io", "storageclasses").objects.items():
        annotations = obj["metadata"].get("annotations") or {}
        if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
            return name
    return None
