"""An Application in the shape that imported triggers and templates read: Argo CD's (notifications.md 2).

Built only when somebody subscribed to an imported trigger, and for the last view of a deleted one. Absent things are
absent keys, never null. Lists are cut, what is wrong first: an event has a size.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q

import hub.services.images as images
import hub.services.results as results
from hub.core.sources.spec import TOOLS
from hub.models import Application, Project, ResourceStatus, SyncOperation
from hub.models.operation import UNFINISHED

PHASES = {"Queued": "Running", "Superseded": "Succeeded"}
CONDITIONS = {
    "InvalidSpec": "InvalidSpecError",
    "SharedResource": "SharedResourceWarning",
    "OrphanedResource": "OrphanedResourceWarning",
}
RESULTS = {"Unchanged": "Synced", "SharedSkipped": "Synced", "Kept": "PruneSkipped"}
POLICY = {"prune": "prune", "self_heal": "selfHeal", "allow_empty": "allowEmpty", "enabled": "enabled"}
WROTE = Q(request__dry_run__isnull=True) | Q(request__dry_run=False)
MOST_RESOURCES, MOST_HISTORY, MOST_IMAGES = 200, 10, 50


def shapes(app: Application) -> dict[str, Any]:
    """The parts of a mapping that only imported triggers and templates read."""
    return {
        "application": application_view(app),
        "project_view": project_view(app.project),
        "source_details": _details(app.sources[0] if app.sources else {}),
    }


def _details(source: dict[str, Any]) -> dict[str, Any]:
    """What `repo.GetAppDetails` answers from: the tool of the first source and its settings."""
    tool = next((name for name in TOOLS if source.get(name)), "directory")
    found: dict[str, Any] = {"type": tool.capitalize(), tool: source.get(tool) or {}}
    if tool == "helm":
        found["helm"] = {"name": found["helm"].get("releaseName", ""), **found["helm"]}
    return found


def application_view(app: Application) -> dict[str, Any]:
    """metadata, spec and status as Argo CD writes them (argo-cd docs/operator-manual/application.yaml)."""
    several = len(app.sources) > 1
    sources: dict[str, Any] = (
        {"sources": app.sources} if several else {"source": app.sources[0] if app.sources else {}}
    )
    spec: dict[str, Any] = {
        "project": app.project.name,
        "destination": {
            "server": app.cluster.server,
            "name": app.cluster.name,
            "namespace": app.destination_namespace,
        },
        **sources,
    }
    if policy := _policy(app.sync_policy or {}):
        spec["syncPolicy"] = policy
    metadata = {
        "name": app.name,
        "namespace": "argocd",
        "uid": str(app.id),
        "labels": app.labels,
        "annotations": app.annotations,
        "creationTimestamp": app.created_at.isoformat(),
    }
    if app.deletion_requested_at:
        metadata["deletionTimestamp"] = app.deletion_requested_at.isoformat()
    return {"metadata": metadata, "spec": spec, "status": _status(app, sources, several)}


def _status(app: Application, sources: dict[str, Any], several: bool) -> dict[str, Any]:
    held = (app.memory or {}).get("state") or {}
    health = {
        "status": app.health_status,
        "message": app.health_message,
        "lastTransitionTime": held.get("health_since"),
    }
    status: dict[str, Any] = {
        "sync": {"status": app.sync_status, **_revision(app.revisions, several)},
        "health": _present(health),
        "conditions": [
            _present(
                {
                    "type": CONDITIONS.get(condition["type"], condition["type"]),
                    "message": condition.get("message", ""),
                    "lastTransitionTime": condition.get("since"),
                }
            )
            for condition in app.conditions
        ],
        "summary": {"images": list(images.of(app.synced_digest or app.manifest_digest)[:MOST_IMAGES])},
        "resources": _resources(app),
        "history": _history(app, sources, several),
    }
    if app.status_at:
        status["reconciledAt"] = status["observedAt"] = app.status_at.isoformat()
    # A deletion and a dry run are no syncs: nobody was told "synced" of them.
    operation = (
        app.operations.exclude(phase=SyncOperation.Phase.SUPERSEDED)
        .exclude(kind=SyncOperation.Kind.DELETE)
        .filter(WROTE)
        .defer("plan", "progress")
        .order_by("-number")
        .first()
    )
    if operation is not None and (operation.started_at or operation.finished_at):
        status["operationState"] = _operation(operation, sources, several)
    return status


def _present(values: dict[str, Any]) -> dict[str, Any]:
    """Absent things are absent keys."""
    return {key: value for key, value in values.items() if value not in (None, "")}


def _revision(shas: list[str], several: bool) -> dict[str, Any]:
    return {"revisions": shas} if several else {"revision": (shas or [""])[0]}


def _policy(given: dict[str, Any]) -> dict[str, Any]:
    automated = given.get("automated")
    made: dict[str, Any] = {}
    if automated is not None:
        made["automated"] = {POLICY[key]: value for key, value in automated.items() if key in POLICY}
    if given.get("sync_options"):
        made["syncOptions"] = given["sync_options"]
    return made


def _resources(app: Application) -> list[dict[str, Any]]:
    """What is wrong first: not in sync, then not well."""
    rows = ResourceStatus.objects.filter(application=app.id, is_hook=False).only(
        "group", "version", "kind", "namespace", "name", "status", "health", "health_message", "wave"
    )
    ordered = sorted(rows.order_by("id"), key=lambda row: (row.status == "Synced", row.health == "Healthy"))
    found = []
    for row in ordered[:MOST_RESOURCES]:
        shown = _present(
            {
                "group": row.group,
                "version": row.version,
                "kind": row.kind,
                "namespace": row.namespace,
                "name": row.name,
                "status": row.status,
            }
        )
        if row.health:
            shown["health"] = _present({"status": row.health, "message": row.health_message})
        if row.wave:
            shown["syncWave"] = row.wave
        found.append(shown)
    return found


def _history(app: Application, sources: dict[str, Any], several: bool) -> list[dict[str, Any]]:
    """The newest deployments, oldest first; a selective sync is none."""
    rows = app.operations.filter(
        phase=SyncOperation.Phase.SUCCEEDED,
        kind__in=[SyncOperation.Kind.SYNC, SyncOperation.Kind.ROLLBACK],
        finished_at__isnull=False,
    ).filter(WROTE)
    newest = rows.only("number", "revisions", "started_at", "finished_at", "initiator", "application")
    return [
        {
            "id": row.number,
            **_revision(row.revisions, several),
            **sources,
            **({"deployStartedAt": row.started_at.isoformat()} if row.started_at else {}),
            "deployedAt": row.finished_at.isoformat() if row.finished_at else "",
            "initiatedBy": _initiated(row.initiator),
        }
        for row in reversed(list(newest.order_by("-number")[:MOST_HISTORY]))
    ]


def _initiated(by: dict[str, Any]) -> dict[str, Any]:
    return {"automated": True} if by.get("kind") == "automation" else {"username": by.get("name", "")}


def _operation(operation: SyncOperation, sources: dict[str, Any], several: bool) -> dict[str, Any]:
    revision = _revision(operation.revisions, several)
    # Failed first: a template that lists what went wrong must find it.
    rows = sorted(results.reached(operation), key=lambda row: row["state"] not in ("Failed", "Error"))
    done = [row for row in rows if row["code"] != "HookSkipped"]
    found: dict[str, Any] = {
        "phase": PHASES.get(operation.phase, operation.phase),
        "message": operation.message,
        # One that failed before its first step, for a revision nobody knows, began when it was asked for.
        "startedAt": (operation.started_at or operation.created_at).isoformat(),
        "retryCount": operation.attempt - 1,
        "operation": {
            "initiatedBy": _initiated(operation.initiator),
            "sync": {**revision, "prune": bool(operation.request.get("prune"))},
        },
        "syncResult": {
            **revision,
            **sources,
            "resources": [
                _present(
                    {
                        "group": row["group"],
                        "kind": row["kind"],
                        "namespace": row["namespace"],
                        "name": row["name"],
                        "status": RESULTS.get(row["code"], row["code"]),
                        "message": row["message"],
                        "hookPhase": row["state"] if row.get("hook") else "",
                        "syncPhase": row["phase"],
                    }
                )
                for row in done[:MOST_RESOURCES]
            ],
        },
    }
    if operation.finished_at and operation.phase not in UNFINISHED:
        found["finishedAt"] = operation.finished_at.isoformat()
    return found


def project_view(project: Project) -> dict[str, Any]:
    """The AppProject side: what templates read of it."""
    return {
        "metadata": {"name": project.name, "labels": project.labels, "annotations": project.annotations},
        "spec": {"description": project.description},
    }
