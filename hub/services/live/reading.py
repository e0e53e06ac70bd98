"""What people read of a live object: its body without secrets, its Events, the log of a container."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

import hub.services.audit as audit
from clusters.core.diff import Masker
from clusters.core.manifests import LAST_APPLIED_ANNOTATION, Manifest, ResourceKey
from clusters.services import EventFeed, Log, LogRequest, events_of
from hub.errors import HubError
from hub.models import Application
from hub.services.actors import Actor
from hub.services.live.finding import Found, find

MOST_MESSAGE = 1000


def shown(found: Found) -> dict[str, Any]:
    """The object with masks for secret values (C4), without managedFields and the last-applied annotation."""
    return {
        **found.key._asdict(),
        "wanted": found.wanted,
        "managed": found.managed,
        "object": _clean(found.obj),
    }


def _clean(obj: Manifest) -> Manifest:
    masked = Masker(settings.HUB_SENSITIVE_ANNOTATIONS).object(obj)
    metadata = {name: value for name, value in masked["metadata"].items() if name != "managedFields"}
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED_ANNOTATION in annotations:
        metadata["annotations"] = {k: v for k, v in annotations.items() if k != LAST_APPLIED_ANNOTATION}
    return {**masked, "metadata": metadata}


def events(app: Application, found: Found) -> list[dict[str, Any]]:
    """Kubernetes Events about this very object, oldest first. Raises ClusterError."""
    return [_event(event) for event in events_of(app.cluster.connection(), found.obj)]


def open_events(app: Application, key: ResourceKey) -> EventFeed:
    """The same as server-sent events that go on; `open()` it before the answer begins. Raises NotFound, ClusterError."""
    return EventFeed(app.cluster.connection(), find(app, key).obj, _as_message)


def _as_message(event: Manifest) -> bytes:
    return b"event: kubernetes-event\ndata: " + json.dumps(_event(event)).encode() + b"\n\n"


def _event(event: Manifest) -> dict[str, Any]:
    return {
        "type": event.get("type") or "",
        "reason": event.get("reason") or "",
        "message": str(event.get("message") or event.get("note") or "")[:MOST_MESSAGE],
        "count": event.get("count") or 1,
        "first_seen": event.get("firstTimestamp") or event.get("eventTime"),
        "last_seen": event.get("lastTimestamp") or event.get("eventTime"),
        "source": (event.get("source") or {}).get("component") or event.get("reportingComponent") or "",
    }


def open_log(actor: Actor, app: Application, asked: LogRequest) -> Log:
    """The log of a Pod in the Application's tree; `open()` it before the answer begins. Who reads a log is in the audit
    (AU2). Raises NotFound for any other object, HubError `unknown_container`, ClusterError."""
    pod = find(app, ResourceKey("", "Pod", asked.pod.namespace, asked.pod.name))
    if not pod.managed:
        raise HubError("not_managed", f"{pod.key} is not managed by this application", status=409)
    names = _containers(pod.obj)
    if asked.container and asked.container not in names:
        raise HubError(
            "unknown_container",
            "the pod has no such container",
            f"it has: {', '.join(names)}",
            status=422,
        )
    details = {"container": asked.container, "follow": asked.follow, "previous": asked.previous}
    words: dict[str, Any] = {
        "resource": "object",
        "name": f"{app.name} {pod.key}",
        "project": app.project.name,
    }
    audit.record(actor, "read log", **words, after=details)
    return Log(app.cluster.connection(), asked)


def _containers(pod: Manifest) -> list[str]:
    spec = pod.get("spec") or {}
    lists = ("initContainers", "containers", "ephemeralContainers")
    return [str(each.get("name")) for name in lists for each in spec.get(name) or ()]
