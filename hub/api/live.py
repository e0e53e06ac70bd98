"""Live objects of an Application: tree, one object, its actions and Events (access-and-api.md 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.nudging as nudging
from clusters.core.manifests import ResourceKey
from hub.api.applications import find
from hub.api.docs import documented
from hub.api.door import Door, document_of, flag
from hub.api.lists import bad
from hub.api.requests import actor
from hub.api.shapes import live as shapes
from hub.services import live
from hub.services.documents import InvalidDocument

KEY = {
    "group": "API group, empty for the core group",
    "kind": "kind, required",
    "namespace": "namespace, empty for cluster-scoped objects",
    "name": "name, required",
}
PROPAGATION = {"foreground": "Foreground", "background": "Background", "orphan": "Orphan"}


def key_of(query: Mapping[str, str]) -> ResourceKey:
    """The object that the query names. Raises HubError `bad_parameter`."""
    parts = [query.get(name, "") for name in KEY]
    for name, value in zip(KEY, parts, strict=True):
        if not value and name in {"kind", "name"}:
            raise bad(name, "is needed", "?group=apps&kind=Deployment&namespace=shop&name=api")
        if len(value) > 253:
            raise bad(name, "is too long")
    return ResourceKey(*parts)


class Tree(Door):
    @documented(
        "What grew from its resources; from 500 nodes on crowds are folded",
        answer=shapes.Tree,
        also={"orphans": "true: also objects of the namespace that no application owns"},
    )
    def get(self, request: Request, name: str) -> Response:
        app = find(request, name)
        return Response(live.tree(app, with_orphans=flag(request, "orphans")))


class Resource(Door):
    @documented(
        "One live object of the application or its tree, Secrets masked", answer=shapes.Live, also=KEY
    )
    def get(self, request: Request, name: str) -> Response:
        app = find(request, name)
        return Response(live.shown(live.find(app, key_of(request.query_params))))

    @documented(
        "Delete one live object of the application or its tree",
        answer=shapes.Done,
        status=202,
        also={
            **KEY,
            "uid": "uid of the object that was seen, required",
            "propagation": "foreground (default), background or orphan",
        },
    )
    def delete(self, request: Request, name: str) -> Response:
        app = find(request, name, "delete")
        asked = request.query_params.get("propagation", "foreground")
        if asked not in PROPAGATION:
            raise bad("propagation", f"must be one of {', '.join(PROPAGATION)}")
        found = live.find(app, key_of(request.query_params))
        uid = request.query_params.get("uid", "")
        done = live.delete(actor(request), app, found, uid=uid, propagation=PROPAGATION[asked])  # type: ignore[arg-type]
        nudging.look([app.id])
        return Response(_done(done), status=202)


class Actions(Door):
    @documented("What can be done to a live object", answer=shapes.Actions, also=KEY)
    def get(self, request: Request, name: str) -> Response:
        found = live.find(find(request, name), key_of(request.query_params))
        return Response({"items": [_action(each) for each in live.actions(found)]})

    @documented(
        "Restart, scale, pause, resume, promote ... a live object",
        body=shapes.ActionRequest,
        answer=shapes.Done,
        status=202,
        also=KEY,
    )
    def post(self, request: Request, name: str) -> Response:
        app = find(request, name, "sync")
        body = document_of(request)
        verb, parameters, uid = body.get("action"), body.get("parameters", {}), body.get("uid", "")
        errors: dict[str, list[str]] = {
            field: ["is not a field; known are action, parameters, uid"]
            for field in set(body) - {"action", "parameters", "uid"}
        }
        if not isinstance(verb, str) or not verb:
            errors["action"] = ["is needed, a text"]
        if not isinstance(parameters, dict):
            errors["parameters"] = ["must be a map"]
        if not isinstance(uid, str):
            errors["uid"] = ["must be a text"]
        if errors:
            raise InvalidDocument(errors)
        found = live.find(app, key_of(request.query_params))
        done = live.act(actor(request), app, found, str(verb), parameters, uid=str(uid))
        nudging.look([app.id])
        return Response(_done(done), status=202)


class KubernetesEvents(Door):
    @documented("Kubernetes Events about one live object", answer=shapes.KubernetesEvents, also=KEY)
    def get(self, request: Request, name: str) -> Response:
        app = find(request, name)
        return Response({"items": live.events(app, live.find(app, key_of(request.query_params)))})


def _action(each: Any) -> dict[str, Any]:
    return {
        "name": each.name,
        "title": each.title,
        "disabled": each.disabled,
        "parameters": [
            {"name": p.name, "default": p.default, "minimum": p.minimum, "maximum": p.maximum}
            for p in each.parameters
        ],
    }


def _done(done: live.Done) -> dict[str, Any]:
    return {"objects": [key._asdict() for key in done.keys], "warnings": list(done.warnings)}
