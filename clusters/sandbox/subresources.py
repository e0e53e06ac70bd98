"""Endpoints below an object (`scale`, `token`, `eviction`, `log`) and the reviews that store nothing."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from typing import Any

import orjson

import clusters.sandbox.deletes as deletes
import clusters.sandbox.patches as patches
import clusters.sandbox.writes as writes
from clusters.sandbox.answers import ApiError
from clusters.sandbox.backend import Backend, Options
from clusters.sandbox.convert import to_served
from clusters.sandbox.faults import Asked
from clusters.sandbox.registry import Served

Manifest = dict[str, Any]
REVIEWS = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authentication.k8s.io", "tokenreviews"),
}


def scale_of(obj: Manifest) -> Manifest:
    """The Scale of an object."""
    metadata = {
        key: obj["metadata"][key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if key in obj["metadata"]
    }
    status: Manifest = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    selector = (obj.get("spec") or {}).get("selector") or {}
    if isinstance(selector, dict) and selector.get("matchLabels"):
        status["selector"] = ",".join(f"{k}={v}" for k, v in sorted(selector["matchLabels"].items()))
    replicas = (obj.get("spec") or {}).get("replicas", 0)
    spec = {"replicas": replicas} if replicas else {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def write_scale(
    b: Backend, served: Served, namespace: str, name: str, sort: str, body: Any, options: Options
) -> Manifest:
    """PUT or PATCH of `/scale`: `sort` is update, json, merge, strategic or apply. Raises ApiError 404, 409, 422."""
    live = b.get(served, namespace, name)
    shown = to_served(live, served)
    held = scale_of(shown)
    if sort == "json":
        wanted = patches.json_patch(held, body)
    elif sort == "update":
        wanted = body
    else:
        wanted = patches.merge_patch(held, body)
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        raise ApiError(422, "spec.replicas: Invalid value: must be greater than or equal to 0")
    metadata = dict(shown["metadata"])
    given = (wanted.get("metadata") or {}).get("resourceVersion")
    if given:
        metadata["resourceVersion"] = given
    new = {**shown, "metadata": metadata, "spec": {**(shown.get("spec") or {}), "replicas": replicas}}
    return scale_of(writes.changed(b, served, live, new, options, "scale"))


def token(b: Backend, namespace: str, name: str, body: Manifest) -> Manifest:
    """A TokenRequest for a ServiceAccount; the token is good for this cluster from now on."""
    account = b.store.get("", "serviceaccounts", namespace, name)
    if account is None:
        raise ApiError(404, f'serviceaccounts "{name}" not found')
    seconds = int((body.get("spec") or {}).get("expirationSeconds") or 3600)
    user = f"system:serviceaccount:{namespace}:{name}"
    made = _web_token(user, seconds)
    b.tokens[made] = user
    status = {"token": made, "expirationTimestamp": b.after(seconds)}
    spec = {
        "audiences": ["https://kubernetes.default.svc"],
        "expirationSeconds": seconds,
        "boundObjectRef": None,
    }
    spec |= body.get("spec") or {}
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": b.now()}
    base = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata}
    return {**base, "spec": spec, "status": status}


def _web_token(user: str, seconds: int) -> str:
    """Something that reads like a JSON web token; its signature is random."""
    now = int(datetime.now(UTC).timestamp())
    claims = {"sub": user, "iat": now, "exp": now + seconds, "iss": "https://kubernetes.default.svc"}
    parts = [orjson.dumps({"alg": "none"}), orjson.dumps(claims), secrets.token_bytes(32)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def evict(b: Backend, served: Served, namespace: str, name: str, body: Manifest) -> Manifest:
    """An Eviction: the pod is deleted; budgets are not asked."""
    options = deletes.DeleteOptions.of(body.get("deleteOptions") or {}, {})
    deletes.delete(b, served, namespace, name, options)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def log(b: Backend, served: Served, namespace: str, name: str) -> bytes:
    """The log of a pod: its annotation `sim/log`, or one line."""
    pod = b.get(served, namespace, name)
    text: str = (pod["metadata"].get("annotations") or {}).get("sim/log", f"simulated pod {namespace}/{name}")
    return text.encode() + b"\n"


def review(b: Backend, served: Served, body: Manifest, user: str) -> Manifest:
    """Answer a review: everything is allowed, but for what a `status` fault of code 403 refuses for good."""
    spec = body.get("spec") or {}
    if served.resource == "selfsubjectreviews":
        groups = ["system:authenticated"]
        status: Manifest = {"userInfo": {"username": user, "groups": groups}}
    elif served.resource == "tokenreviews":
        known = b.tokens.get(spec.get("token", ""))
        status = {"authenticated": known is not None, "user": {"username": known or ""}}
    elif served.resource == "selfsubjectrulesreviews":
        rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        other = {"verbs": ["*"], "nonResourceURLs": ["*"]}
        status = {"resourceRules": [rule], "nonResourceRules": [other], "incomplete": False}
    else:
        status = _allowed(b, spec.get("resourceAttributes") or {})
    metadata = {**(body.get("metadata") or {}), "creationTimestamp": None}
    return {
        "kind": served.kind,
        "apiVersion": served.api_version,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _allowed(b: Backend, wanted: Manifest) -> Manifest:
    asked = Asked(
        wanted.get("verb", ""),
        wanted.get("group", ""),
        wanted.get("resource", ""),
        wanted.get("namespace", ""),
        wanted.get("name", ""),
    )
    if any(f.sort == "status" and f.code == 403 and f.times < 0 for f in b.faults.active):
        refusal = b.faults.refusal(asked)
        if refusal is not None and refusal.code == 403:
            return {"allowed": False, "reason": refusal.message}
    return {"allowed": True, "reason": "the sandbox allows everything"}


def parse(raw: bytes) -> Any:
    """A JSON body. Raises ApiError 400."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as broken:
        raise ApiError(
            400, f"the object provided is unrecognized (must be of type json): {broken}"
        ) from broken
