"""Storing Events as the plain mappings that notifications receive (notifications.md 2)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

import hub.services.statements as statements
from guard.redact import redact
from hub.core.events import Event as Happened
from hub.core.switches import is_automated
from hub.models import Application, Event, HubIdentity
from notifications.core.namespaces import repo_url_to_https

MOST_CHANGES = 200
_PERIODS = {"drift", "health", "unknown", "auto-sync"}
_VIA = {"tick": "schedule", "admin": "web"}
_RESULTS = {"sync-started", "sync-succeeded", "sync-failed", "deployed", "rollback"}


@functools.lru_cache(maxsize=1)
def hub_id() -> str:
    """The id this hub writes into clusters; it never changes after the first migration."""
    return HubIdentity.objects.values_list("id", flat=True).get()


@functools.lru_cache(maxsize=1)
def mask_key() -> bytes:
    """The key of the HMACs that stand for Secret values."""
    return bytes.fromhex(HubIdentity.objects.get().mask_key.reveal())


def link(path: str) -> str:
    return settings.HUB_URL.rstrip("/") + path


def commit_page(repo: str, sha: str) -> str:
    """Where the host of the repository shows a commit; empty for a repository without web pages."""
    try:
        return f"{repo_url_to_https(repo).removesuffix('.git')}/commit/{sha}" if sha else ""
    except ValueError:
        return ""


def _links(app: Application, operation: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "app": link(f"/admin/hub/application/{app.id}/change/"),
        "diff": link(f"/api/v1/applications/{app.name}/diff"),
    }
    if operation.get("id"):
        found["operation"] = link(f"/admin/hub/syncoperation/{operation['id']}/change/")
    return found


def store(app: Application, happened: Sequence[Happened], context: Mapping[str, Any]) -> list[str]:
    """Insert events of one application inside the caller's transaction; keys that exist are left alone.

    `context` holds what the pass knows: operation, revisions, previous_revisions, changes, health, sync, images.
    Returns the keys, for the nudge after commit.
    """
    now = timezone.now()
    rows = []
    for offset, event in enumerate(happened, start=1):
        seq = app.event_seq + offset
        rows.append(
            Event(
                key=event.key[:255],
                name=event.name,
                seq=seq,
                application=app.id,
                project=app.project.name,
                severity=event.severity,
                summary=redact(event.summary, limit=500),
                data=mapping(app, event, context, seq, now),
                occurred_at=now,
            )
        )
    if rows:
        app.event_seq += len(rows)
        statements.insert(rows, unique=["key"])
    return [row.key for row in rows]


def mapping(
    app: Application, event: Happened, context: Mapping[str, Any], seq: int, now: datetime
) -> dict[str, Any]:
    """The mapping of one event: every key always present, absent things as empty values."""
    # The operation of the same pass that heals drift is another story.
    changes = list(context.get("changes") or ()) if event.name != "drift-detected" else []
    # What stayed as it was is only counted, unless it is what a message about health must name.
    told = [one for one in changes if one.get("action") != "unchanged" or one.get("health") == "Degraded"]
    held = (app.memory or {}).get("state") or {}
    drifted = list(context.get("drifted") or ()) if event.name == "drift-detected" else []
    return {
        "id": event.key,
        "key": event.key,
        "name": event.name,
        "seq": seq,
        "occurred_at": now.isoformat(),
        "severity": event.severity,
        "summary": redact(event.summary, limit=500),
        **basis(app),
        "revisions": list(context.get("revisions") or ()),
        "previous_revisions": list(context.get("previous_revisions") or ()),
        "operation": context.get("operation") or {},
        "initiator": _initiator(
            context.get("initiator") or (context.get("operation") or {}).get("initiator") or {}
        ),
        "reason": event.reason,
        "changes": told[:MOST_CHANGES],
        "changes_omitted": max(len(told) - MOST_CHANGES, 0),
        "changes_total": len(changes),
        "health": {
            "status": app.health_status,
            "message": app.health_message,
            "since": held.get("health_since", ""),
        },
        "sync": {"status": app.sync_status, "counts": app.counts, "since": held.get("sync_since", "")},
        "drift": _drift(event),
        "detail": dict(event.data) | ({"resources": drifted} if drifted else {}),
        "episode": _episode(event),
        "images": list(context.get("images") or ()),
        "resolves": event.ends,
        **_approval(event, context),
        # The row is gone when this is told, so nothing can be built from it then.
        **(context.get("last_view") or {}),
        "links": _links(app, context.get("operation") or {}),
    }


def _drift(event: Happened) -> dict[str, Any]:
    if event.name == "self-heal-fight":
        return {"reason": event.reason, "fight": dict(event.data)}
    return {"reason": event.reason, **event.data} if event.name.startswith("drift-") else {}


def _initiator(given: Mapping[str, Any]) -> dict[str, Any]:
    """Who caused it, by the words of events: the admin pages are the web, the tick is the schedule."""
    via = str(given.get("via") or "tick")
    return {"kind": "automation", "name": "hub", **given, "via": _VIA.get(via, via)}


def store_apart(
    name: str,
    key: str,
    severity: str,
    summary: str,
    now: datetime,
    *,
    project: str = "",
    cluster: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
    resolves: str = "",
    links: Mapping[str, str] | None = None,
) -> None:
    """Insert an event that belongs to no application, inside the caller's transaction; a key that exists stays."""
    summary = redact(summary, limit=500)
    lists: dict[str, list[Any]] = {
        one: [] for one in ("revisions", "previous_revisions", "changes", "images")
    }
    maps: dict[str, dict[str, Any]] = {one: {} for one in ("operation", "health", "sync", "drift")}
    data = {
        "id": key,
        "key": key,
        "name": name,
        "seq": 0,
        "occurred_at": now.isoformat(),
        "severity": severity,
        "summary": summary,
        "project": {"name": project, "labels": {}},
        "cluster": dict(cluster or {}),
        "initiator": _initiator({}),
        "reason": "",
        "changes_total": 0,
        "detail": dict(detail or {}),
        "resolves": resolves,
        "links": dict(links or {}),
        **lists,
        **maps,
    }
    row = Event(
        key=key, name=name, project=project, severity=severity, summary=summary, data=data, occurred_at=now
    )
    Event.objects.bulk_create([row], ignore_conflicts=True)


def _approval(event: Happened, context: Mapping[str, Any]) -> dict[str, Any]:
    """What came of an operation goes where its Approval was asked; drift and health have threads of their own."""
    return {"approval": context["approval"]} if context.get("approval") and event.name in _RESULTS else {}


def basis(app: Application) -> dict[str, Any]:
    """What every mapping says of the application, its project and its cluster."""
    return {
        "app": app_view(app),
        "project": {
            "name": app.project.name,
            "description": app.project.description,
            "labels": app.project.labels,
            "annotations": app.project.annotations,
        },
        "cluster": {
            "name": app.cluster.name,
            "server": app.cluster.server,
            "labels": app.cluster.labels,
            "state": app.cluster.state,
        },
    }


def _episode(event: Happened) -> int:
    """The number of the open period, which is the third part of the key of such a period."""
    _, kind, number, *_ = [*event.key.split("/"), "", ""]
    return int(number) if kind in _PERIODS and number.isdecimal() else 0


def app_view(app: Application) -> dict[str, Any]:
    automated = (app.sync_policy or {}).get("automated") or {}
    return {
        "name": app.name,
        "namespace": "",
        "uid": str(app.id),
        "created_at": app.created_at.isoformat() if app.created_at else "",
        "project": app.project.name,
        "labels": app.labels,
        "annotations": app.annotations,
        "destination_namespace": app.destination_namespace,
        "auto_sync": {
            "enabled": is_automated(app.sync_policy),
            "prune": bool(automated.get("prune")),
            "self_heal": bool(automated.get("self_heal")),
        },
        "url": link(f"/admin/hub/application/{app.id}/change/"),
    }


def undispatched(limit: int = 200, after: int = 0) -> list[Event]:
    """Events that notifications have not seen yet, in the order they were written, from the one behind `after`."""
    return list(Event.objects.filter(dispatched_at__isnull=True, id__gt=after).order_by("id")[:limit])


def mark_dispatched(ids: Iterable[int]) -> None:
    Event.objects.filter(id__in=list(ids), dispatched_at__isnull=True).update(dispatched_at=timezone.now())
