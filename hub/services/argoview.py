"""An Application in the shape that imported triggers and templates read: Argo CD's (notifications.md 2).

Built only when somebody subscribed to an imported trigger. Absent things are absent keys, never null.
"""

from __future__ import annotations

from typing import Any

from hub.models import Application, Project, SyncOperation
from hub.models.operation import UNFINISHED

PHASES = {"Queued": "Running", "Superseded": "Succeeded"}
CONDITIONS = {"InvalidSpec": "InvalidSpecError", "SharedResource": "SharedResourceWarning"}


def shapes(app: Application) -> dict[str, Any]:
    """The two parts of a mapping that imported triggers and templates read."""
    return {"application": application_view(app), "project_view": project_view(app.project)}


def application_view(app: Application) -> dict[str, Any]:
    """metadata, spec and status as Argo CD writes them (argo-cd docs/operator-manual/application.yaml)."""
    operation = app.operations.exclude(phase=SyncOperation.Phase.SUPERSEDED).order_by("-number").first()
    several = len(app.sources) > 1
    spec: dict[str, Any] = {
        "project": app.project.name,
        "destination": {
            "server": app.cluster.server,
            "name": app.cluster.name,
            "namespace": app.destination_namespace,
        },
        **({"sources": app.sources} if several else {"source": app.sources[0] if app.sources else {}}),
    }
    automated = (app.sync_policy or {}).get("automated")
    if automated is not None:
        spec["syncPolicy"] = {"automated": automated}
    revision = {"revisions": app.revisions} if several else {"revision": (app.revisions or [""])[0]}
    status: dict[str, Any] = {
        "sync": {"status": app.sync_status, **revision},
        "health": {"status": app.health_status},
        "conditions": [
            {
                "type": CONDITIONS.get(condition["type"], condition["type"]),
                "message": condition.get("message", ""),
                "lastTransitionTime": condition.get("since", ""),
            }
            for condition in app.conditions
        ],
        "summary": {"images": []},
    }
    if app.status_at:
        status["reconciledAt"] = status["observedAt"] = app.status_at.isoformat()
    if operation is not None and operation.started_at:
        status["operationState"] = _operation(operation, several)
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
    return {"metadata": metadata, "spec": spec, "status": status}


def _operation(operation: SyncOperation, several: bool) -> dict[str, Any]:
    revision = (
        {"revisions": operation.revisions} if several else {"revision": (operation.revisions or [""])[0]}
    )
    by = operation.initiator
    human = {"username": by.get("name", "")} if by.get("kind") == "user" else {"automated": True}
    found: dict[str, Any] = {
        "phase": PHASES.get(operation.phase, operation.phase),
        "message": operation.message,
        "startedAt": operation.started_at.isoformat() if operation.started_at else "",
        "retryCount": operation.attempt - 1,
        "operation": {
            "initiatedBy": human,
            "sync": {**revision, "prune": bool(operation.request.get("prune"))},
        },
        "syncResult": {
            **revision,
            "resources": [
                {
                    "group": row["group"],
                    "kind": row["kind"],
                    "namespace": row["namespace"],
                    "name": row["name"],
                    "status": row["code"],
                    "message": row["message"],
                    "hookPhase": row["state"] if row.get("hook") else "",
                    "syncPhase": row["phase"],
                }
                for row in operation.results
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
