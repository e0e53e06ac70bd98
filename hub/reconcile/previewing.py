"""Previews: what an operation would do, without writing anything (sync-semantics.md 12 rule 19, access-and-api.md AP8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hub.reconcile.deleting as deleting
import hub.reconcile.judging as judging
import hub.reconcile.looking as looking
import hub.reconcile.planning as planning
import hub.reconcile.sourcing as sourcing
from clusters.core.plan import build_plan, describe
from hub.errors import HubError
from hub.models import Application, SyncOperation
from hub.reconcile.frame import Frame
from hub.services import leases


def preview(
    app: Application, values: dict[str, Any], *, kind: str = SyncOperation.Kind.SYNC
) -> dict[str, Any]:
    """The plan of a request at its revisions (or the newest known): steps, hooks and why, prunes, masked diff, digest.

    Reads the cluster and the repository, writes nothing but rendered manifests by digest. Raises HubError
    `cluster_unreachable`, or SourceError.
    """
    app = Application.objects.select_related("project", "cluster").get(id=app.id)
    frame = Frame.open(leases.Lease(app))
    catalogue = looking.catalogue(frame)
    if catalogue.problem is not None:
        raise HubError("cluster_unreachable", catalogue.problem.message, permanent=False, status=503)
    if values.get("revisions"):
        digest, revisions = sourcing.render_at(frame, list(values["revisions"]))
    else:
        digest, revisions = app.manifest_digest, list(app.revisions)
    desired = sourcing.load(frame, digest, catalogue, tuple(revisions))
    if not desired.loaded:
        raise HubError(
            "nothing_rendered", f"{app.name} has not been rendered yet", "refresh it first", status=409
        )
    operation = SyncOperation(
        application=app, number=0, kind=kind, request=values, initiator={"kind": "user"}
    )
    seen = looking.look(frame, desired, None)
    if seen.problem is not None:
        raise HubError("cluster_unreachable", seen.problem.message, permanent=False, status=503)
    looking.look_for(frame, seen, {key for key in desired.classes if key.name})
    picture = judging.judge(frame, desired, seen)
    plan = build_plan(
        planning.plan_request(frame, operation, desired),
        planning.plan_facts(frame, desired, seen, picture, operation),
    )
    return {**describe(plan), "diff": _diff(frame, picture)}


def preview_deletion(app: Application, mode: str, crds: Sequence[str] = ()) -> dict[str, Any]:
    """What a deletion would delete, what it would keep and why; a detach keeps everything (10.1, 10.3).

    `not_seen` says what could not be read: nothing is known of that.
    """
    app = Application.objects.select_related("project", "cluster").get(id=app.id)
    frame = Frame.open(leases.Lease(app))
    catalogue = looking.catalogue(frame)
    desired = deleting.desired_of(frame, catalogue)
    seen = looking.look(frame, desired, None)
    unseen = seen.problem.message if seen.problem else looking.unlisted(frame, desired, seen)
    operation = SyncOperation(
        application=app, number=0, kind=SyncOperation.Kind.DELETE, request={"crds": crds}
    )
    plan = deleting.planned(frame, operation, desired, seen)
    going = [str(task.key) for task in plan.tasks if task.phase == "Delete" and task.action == "prune"]
    kept = [{"key": str(task.key), "reason": task.reason} for task in plan.tasks if task.code == "Kept"]
    if mode == Application.OnDelete.DETACH:
        kept = [*({"key": key, "reason": "detached: it stays"} for key in going), *kept]
        going = []
    hooks = [str(task.key) for task in plan.tasks if task.hook and mode == Application.OnDelete.CASCADE]
    asks = [str(task.key) for task in plan.tasks if task.confirm and str(task.key) in going]
    return {
        "mode": mode,
        "delete": going,
        "keep": kept,
        "hooks": hooks,
        "confirm": asks,
        "not_seen": unseen,
    }


def _diff(frame: Frame, picture: judging.Picture) -> list[dict[str, Any]]:
    return [
        {
            "group": key.group,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "status": verdict.status,
            "reason": verdict.reason,
            "lines": frame.rows[key].drift if key in frame.rows else [],
        }
        for key, verdict in sorted(picture.verdicts.items())
        if verdict.status != "Synced"
    ]
