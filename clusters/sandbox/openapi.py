"""As much of OpenAPI v3 as clients need to leave the checks to the server: which kinds take `fieldValidation`.

kubectl asks before apply, create, replace and edit, and without an answer refuses to go on. There are no schemas here.
"""

from __future__ import annotations

from typing import Any

from clusters.sandbox.registry import Registry, Served

Body = dict[str, Any]
_PATCHES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")


def index(registry: Registry) -> Body:
    """`/openapi/v3`: the document of each group and version."""
    places = sorted({_place(served) for served in registry.all()})
    query = f"?hash={registry.digest}"
    return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}{query}"} for place in places}}


def document(registry: Registry, place: str) -> Body | None:
    """`/openapi/v3/<place>`, or None when nothing is served there."""
    paths = {_path(served): _operations(served) for served in registry.all() if _place(served) == place}
    title = {"title": "Kubernetes", "version": "sandbox"}
    return {"openapi": "3.0.0", "info": title, "paths": paths, "components": {}} if paths else None


def _place(served: Served) -> str:
    return f"apis/{served.group}/{served.version}" if served.group else f"api/{served.version}"


def _path(served: Served) -> str:
    space = "namespaces/{namespace}/" if served.namespaced else ""
    return f"/{_place(served)}/{space}{served.resource}/{{name}}"


def _operations(served: Served) -> Body:
    if "patch" not in served.verbs:
        return {}
    validation = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    kind = {"group": served.group, "version": served.version, "kind": served.kind}
    patch = {
        "parameters": [validation],
        "requestBody": {"content": {name: {} for name in _PATCHES}},
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": kind,
    }
    return {"patch": patch}
