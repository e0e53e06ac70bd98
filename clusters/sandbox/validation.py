"""What a server refuses with 422: names, required fields, fields that may not change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from clusters.sandbox.answers import Cause, forbidden_field, invalid_value, required
from clusters.sandbox.registry import Served
from clusters.sandbox.schema import KEYED_LIST, LISTS, MAP, STRUCT, Node
from clusters.sandbox.selectors import of_selector

Manifest = dict[str, Any]
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
KEY_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
DNS_LABELS = {("", "Namespace"), ("", "Service")}
FREE_NAMES = {"rbac.authorization.k8s.io"}
MEBIBYTE = 1024 * 1024
STATEFUL_SET_MAY = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
STATEFUL_SET_TEXT = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
CLAIM_TEXT = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
POD_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def metadata_causes(served: Served, metadata: Manifest) -> list[Cause]:
    """Names, labels and annotations."""
    causes = []
    name = metadata.get("name", "")
    dns_label = (served.group, served.kind) in DNS_LABELS
    if served.group in FREE_NAMES:
        if "/" in name or "%" in name or name in (".", ".."):
            causes.append(invalid_value("metadata.name", name, "may not contain '/'"))
    elif dns_label and (len(name) > 63 or not LABEL.fullmatch(name)):
        causes.append(invalid_value("metadata.name", name, LABEL_TEXT))
    elif not dns_label and (len(name) > 253 or not SUBDOMAIN.fullmatch(name)):
        causes.append(invalid_value("metadata.name", name, SUBDOMAIN_TEXT))
    for key, value in (metadata.get("labels") or {}).items():
        if not LABEL_KEY.fullmatch(key):
            causes.append(invalid_value("metadata.labels", key, KEY_TEXT))
        if not isinstance(value, str) or len(value) > 63 or not LABEL_VALUE.fullmatch(value):
            causes.append(invalid_value("metadata.labels", value, VALUE_TEXT))
    annotations = metadata.get("annotations")
    if annotations and sum(len(k) + len(v) for k, v in annotations.items()) > 256 * 1024:
        text = "Too long: may not be more than 262144 bytes"
        causes.append(Cause("metadata.annotations", text, "FieldValueTooLong"))
    return causes


def required_causes(value: Any, node: Node, path: str) -> list[Cause]:
    """Keys of keyed lists that are missing, anywhere in `value`."""
    causes: list[Cause] = []
    if isinstance(value, dict) and node.kind in (STRUCT, MAP):
        for name, item in value.items():
            field = node.fields.get(name) or node.element
            if field is not None and isinstance(item, (dict, list)):
                causes += required_causes(item, field, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and node.kind in LISTS and node.element is not None:
        for index, item in enumerate(value):
            if not isinstance(item, (dict, list)):
                break
            here = f"{path}[{index}]"
            if node.kind == KEYED_LIST:
                held = item if isinstance(item, dict) else {}
                missing = [key for key in _demanded(node) if held.get(key) in (None, "")]
                causes += [required(f"{here}.{key}") for key in missing]
            causes += required_causes(item, node.element, here)
    return causes


def _demanded(node: Node) -> list[str]:
    inner = node.element
    return [key for key in node.keys if inner is not None and key in inner.required]


def _workload(obj: Manifest) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes = []
    selector = spec.get("selector")
    labels: dict[str, str] = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if selector is None:
        causes.append(required("spec.selector"))
    elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
        causes.append(invalid_value("spec.selector", {}, "empty selector is invalid for deployment"))
    if selector is None or not of_selector(selector)(labels):
        shown = "{" + ",".join(f'"{k}":"{v}"' for k, v in labels.items()) + "}"
        text = f"Invalid value: {shown if labels else 'null'}: `selector` does not match template `labels`"
        causes.append(Cause("spec.template.metadata.labels", text))
    return causes + _containers(spec.get("template") or {}, "spec.template.spec")


def _containers(holder: Manifest, path: str) -> list[Cause]:
    containers: list[Manifest] = (holder.get("spec") or {}).get("containers") or []
    if not containers:
        return [required(f"{path}.containers")]
    causes = []
    for index, container in enumerate(containers):
        if not container.get("image"):
            causes.append(required(f"{path}.containers[{index}].image"))
    return causes


def _deployment(obj: Manifest) -> list[Cause]:
    strategy = obj["spec"].get("strategy") or {}
    causes = _workload(obj)
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        text = "may not be specified when strategy `type` is 'Recreate'"
        causes.append(forbidden_field("spec.strategy.rollingUpdate", text))
    return causes


def _stateful_set(obj: Manifest) -> list[Cause]:
    strategy = obj["spec"].get("updateStrategy") or {}
    causes = _workload(obj)
    if strategy.get("type") == "OnDelete" and strategy.get("rollingUpdate") is not None:
        held = strategy["rollingUpdate"]
        shown = {"Partition": held.get("partition"), "MaxUnavailable": held.get("maxUnavailable")}
        text = "only allowed for updateStrategy 'RollingUpdate'"
        causes.append(invalid_value("spec.updateStrategy.rollingUpdate", shown, text))
    return causes


def _job(obj: Manifest) -> list[Cause]:
    template = (obj.get("spec") or {}).get("template") or {}
    causes = _containers(template, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        causes.append(required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'))
    return causes


def _pod(obj: Manifest) -> list[Cause]:
    return _containers(obj, "spec")


def _service(obj: Manifest) -> list[Cause]:
    spec = obj["spec"]
    causes = []
    ports = spec.get("ports")
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    for index, port in enumerate(ports or ()):
        target = port.get("targetPort")
        if len(ports) > 1 and not port.get("name"):
            causes.append(required(f"spec.ports[{index}].name"))
        if isinstance(target, str) and not re.search("[a-z]", target):
            text = "must contain at least one letter (a-z)"
            causes.append(invalid_value(f"spec.ports[{index}].targetPort", target, text))
        if not 0 < (port.get("port") or 0) < 65536:
            text = "must be between 1 and 65535, inclusive"
            causes.append(invalid_value(f"spec.ports[{index}].port", port.get("port"), text))
            if isinstance(target, int) and not 0 < target < 65536:
                causes.append(invalid_value(f"spec.ports[{index}].targetPort", target, text))
    return causes


def _config(obj: Manifest) -> list[Cause]:
    causes = []
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            size += len(value.encode()) if isinstance(value, str) else 0
            if len(key) > 253 or not CONFIG_KEY.fullmatch(key):
                text = CONFIG_KEY_TEXT
                causes.append(invalid_value(f"{field}[{key}]", key, text))
    limit = MEBIBYTE if obj["kind"] == "ConfigMap" else MEBIBYTE * 4 // 3
    if size > limit:
        field = "[]" if obj["kind"] == "ConfigMap" else "data"
        causes.append(Cause(field, f"Too long: may not be more than {MEBIBYTE} bytes", "FieldValueTooLong"))
    return causes


def _ingress(obj: Manifest) -> list[Cause]:
    spec = obj.get("spec") or {}
    if spec.get("rules") or spec.get("defaultBackend"):
        return []
    return [invalid_value("spec", None, "either `defaultBackend` or `rules` must be specified")]


def _autoscaler(obj: Manifest) -> list[Cause]:
    spec = obj["spec"]
    causes = []
    target = spec.get("scaleTargetRef") or {}
    for key in ("kind", "name"):
        if not target.get(key):
            causes.append(required(f"spec.scaleTargetRef.{key}"))
    if not spec.get("maxReplicas"):
        causes.append(required("spec.maxReplicas", "must be set and greater than 0"))
    return causes


def _claim(obj: Manifest) -> list[Cause]:
    causes = []
    if not obj["spec"].get("accessModes"):
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    if not ((obj["spec"].get("resources") or {}).get("requests") or {}).get("storage"):
        causes.append(required("spec.resources[storage]"))
    return causes


def _crd(obj: Manifest) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes = []
    names = spec.get("names") or {}
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if obj["metadata"].get("name") != wanted:
        text = 'must be spec.names.plural+"."+spec.group'
        causes.append(invalid_value("metadata.name", obj["metadata"].get("name"), text))
    for field in ("group", "scope"):
        if not spec.get(field):
            causes.append(required(f"spec.{field}"))
    if not spec.get("versions"):
        causes.append(required("spec.versions"))
    for index, version in enumerate(spec.get("versions") or ()):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            causes.append(required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required"))
    return causes


VALIDATORS: dict[tuple[str, str], Callable[[Manifest], list[Cause]]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("", "ConfigMap"): _config,
    ("", "Secret"): _config,
    ("", "PersistentVolumeClaim"): _claim,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
}
