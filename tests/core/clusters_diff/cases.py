"""Objects for the tests, and the managedFields a server would list for an apply of them."""

from __future__ import annotations

import copy
from typing import Any

import orjson

from clusters.core.diff.schema import type_of
from clusters.core.diff.types import Type

KEY = b"hub-key"


def deployment(**spec: Any) -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "nginx:1.25",
        "args": ["-v"],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "ports": [{"containerPort": 80, "name": "http"}],
        "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}},
    }
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def secret(**values: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "shop"},
        "data": values,
    }


def config_map(**values: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "shop"},
        "data": values,
    }


def fields_of(value: Any, schema: Type) -> dict[str, Any]:
    """The fieldsV1 tree of an applied value, by the shipped list types."""
    if isinstance(value, dict) and schema.form != "atomic":
        return {f"f:{name}": fields_of(item, schema.field(name)) for name, item in value.items()}
    if isinstance(value, list) and schema.form == "keyed":
        tree = {}
        for item in value:
            keys = {name: item.get(name, schema.key_defaults.get(name)) for name in schema.keys}
            tree["k:" + orjson.dumps(keys).decode()] = {".": {}, **fields_of(item, schema.item)}
        return tree
    if isinstance(value, list) and schema.form == "set":
        return {"v:" + orjson.dumps(item).decode(): {} for item in value}
    return {}


def managed(
    manifest: dict[str, Any], manager: str = "gitops-hub", operation: str = "Apply"
) -> dict[str, Any]:
    tree = fields_of(manifest, type_of(manifest))
    for name in ("f:apiVersion", "f:kind"):
        tree.pop(name, None)
    for name in ("f:name", "f:namespace"):
        tree.get("f:metadata", {}).pop(name, None)
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": tree}


def answer_of(manifest: dict[str, Any], version: str = "10") -> dict[str, Any]:
    """What the server answers to an apply of a new object: ids, defaults, managedFields."""
    live = copy.deepcopy(manifest)
    live["metadata"].update(
        uid="u1", resourceVersion=version, generation=1, managedFields=[managed(manifest)]
    )
    if manifest["kind"] == "Deployment":
        live["spec"].setdefault("strategy", {"type": "RollingUpdate"})
        pod = live["spec"]["template"]["spec"]
        pod.setdefault("restartPolicy", "Always")
        for container in pod["containers"]:
            for port in container.get("ports", ()):
                port.setdefault("protocol", "TCP")
            limits = container.get("resources", {}).get("limits", {})
            shorter = {"1000m": "1", "1024Mi": "1Gi"}
            for name, value in limits.items():
                limits[name] = shorter.get(value, value)
    return live


def edited(live: dict[str, Any], version: str = "11") -> dict[str, Any]:
    """A copy with another resourceVersion, to be changed by the test."""
    result = copy.deepcopy(live)
    result["metadata"]["resourceVersion"] = version
    return result
