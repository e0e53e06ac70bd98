"""Fields that may not change once an object exists, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.sandbox.answers import Cause, forbidden_field, invalid_value
from clusters.sandbox.validation import CLAIM_TEXT, POD_TEXT, STATEFUL_SET_MAY, STATEFUL_SET_TEXT

Manifest = dict[str, Any]
IMMUTABLE = "field is immutable"


def _selector(old: Manifest, new: Manifest) -> list[Cause]:
    if old["spec"].get("selector") == new["spec"].get("selector"):
        return []
    return [invalid_value("spec.selector", new["spec"].get("selector"), IMMUTABLE)]


def _stateful_set(old: Manifest, new: Manifest) -> list[Cause]:
    before = {key: value for key, value in old["spec"].items() if key not in STATEFUL_SET_MAY}
    after = {key: value for key, value in new["spec"].items() if key not in STATEFUL_SET_MAY}
    return [] if before == after else [forbidden_field("spec", STATEFUL_SET_TEXT)]


def _job(old: Manifest, new: Manifest) -> list[Cause]:
    causes = []
    for field in ("completions", "selector", "template", "completionMode"):
        if old["spec"].get(field) != new["spec"].get(field):
            causes.append(invalid_value(f"spec.{field}", new["spec"].get(field), IMMUTABLE))
    return causes


def _service(old: Manifest, new: Manifest) -> list[Cause]:
    before, after = old["spec"], new["spec"]
    if before.get("type") == "ExternalName" or after.get("type") == "ExternalName":
        return []
    held, wanted = before.get("clusterIPs") or [], after.get("clusterIPs") or []
    if held and wanted[:1] != held[:1]:
        shown = "[" + ",".join(f'"{ip}"' for ip in wanted) + "]"
        return [Cause("spec.clusterIPs[0]", f"Invalid value: {shown}: may not change once set")]
    return []


def _config(old: Manifest, new: Manifest) -> list[Cause]:
    if not old.get("immutable"):
        if old.get("type") != new.get("type"):
            return [invalid_value("type", new.get("type"), IMMUTABLE)]
        return []
    causes = []
    for field in ("immutable", "data", "binaryData"):
        if old.get(field) != new.get(field):
            causes.append(forbidden_field(field, "field is immutable when `immutable` is set"))
    return causes


def _role_binding(old: Manifest, new: Manifest) -> list[Cause]:
    if old.get("roleRef") == new.get("roleRef"):
        return []
    held = new.get("roleRef") or {}
    shown = {"APIGroup": held.get("apiGroup", ""), "Kind": held.get("kind", ""), "Name": held.get("name", "")}
    return [invalid_value("roleRef", shown, "cannot change roleRef")]


def _claim(old: Manifest, new: Manifest) -> list[Cause]:
    def fixed(obj: Manifest) -> Manifest:
        spec = {k: v for k, v in obj["spec"].items() if k not in ("volumeAttributesClassName", "volumeName")}
        resources = dict(spec.get("resources") or {})
        if (old.get("status") or {}).get("phase") == "Bound":
            resources.pop("requests", None)
        return {**spec, "resources": resources}

    return [] if fixed(old) == fixed(new) else [forbidden_field("spec", CLAIM_TEXT)]


def _pod(old: Manifest, new: Manifest) -> list[Cause]:
    def fixed(obj: Manifest) -> Manifest:
        may = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")
        spec = {k: v for k, v in obj["spec"].items() if k not in may}
        for field in ("containers", "initContainers"):
            spec[field] = [{k: v for k, v in c.items() if k != "image"} for c in spec.get(field) or ()]
        return spec

    return [] if fixed(old) == fixed(new) else [forbidden_field("spec", POD_TEXT)]


def _storage_class(old: Manifest, new: Manifest) -> list[Cause]:
    fields = ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode")
    changed = [field for field in fields if old.get(field) != new.get(field)]
    return [forbidden_field(field, "updates to " + field + " are forbidden.") for field in changed]


def _crd(old: Manifest, new: Manifest) -> list[Cause]:
    causes = []
    for path in (("group",), ("scope",), ("names", "plural"), ("names", "kind")):
        before: Any = old["spec"]
        after: Any = new["spec"]
        for step in path:
            before, after = before.get(step), after.get(step)
        if before != after:
            causes.append(invalid_value("spec." + ".".join(path), after, IMMUTABLE))
    return causes


RULES: dict[tuple[str, str], Callable[[Manifest, Manifest], list[Cause]]] = {
    ("apps", "Deployment"): _selector,
    ("apps", "ReplicaSet"): _selector,
    ("apps", "DaemonSet"): _selector,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("", "Service"): _service,
    ("", "ConfigMap"): _config,
    ("", "Secret"): _config,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("rbac.authorization.k8s.io", "RoleBinding"): _role_binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _role_binding,
    ("storage.k8s.io", "StorageClass"): _storage_class,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
}
