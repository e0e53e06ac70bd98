"""Previews: what an operation would do, without writing anything (sync-semantics.md 12 rule 19, access-and-api.md AP8)."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from clusters.core.plan import build_plan, describe
from hub import render, source
from hub.core.manifest_sets import join
from hub.core.sources import parse_sources
from hub.errors import HubError, SourceError
from hub.models import Application, SyncOperation
from hub.reconcile import judging, looking, operating, sourcing
from hub.reconcile.frame import Frame
from hub.reconcile.sourcing import Desired
from hub.services import leases


def preview(app: Application, values: dict[str, Any]) -> dict[str, Any]:
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
        digest, revisions = _render_at(frame, list(values["revisions"]))
    else:
        digest, revisions = app.manifest_digest, list(app.revisions)
    desired = sourcing.load(frame, digest, catalogue, tuple(revisions))
    if not desired.loaded:
        raise HubError(
            "nothing_rendered", f"{app.name} has not been rendered yet", "refresh it first", status=409
        )
    operation = SyncOperation(application=app, number=0, request=values, initiator={"kind": "user"})
    seen = looking.look(frame, desired, None)
    if seen.problem is not None:
        raise HubError("cluster_unreachable", seen.problem.message, permanent=False, status=503)
    looking.look_for(frame, seen, {key for key in desired.classes if key.name})
    picture = judging.judge(frame, desired, seen)
    plan = build_plan(
        operating.plan_request(frame, operation, desired),
        operating.plan_facts(frame, desired, seen, picture, operation),
    )
    return {**describe(plan), "diff": _diff(frame, picture, desired)}


def _diff(frame: Frame, picture: judging.Picture, desired: Desired) -> list[dict[str, Any]]:
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


def _render_at(frame: Frame, revisions: list[str]) -> tuple[str, list[str]]:
    """Render every source at the asked revision (a branch, tag or commit) without moving the Application."""
    states = list(frame.app.source_states.select_related("repository__project").order_by("index"))
    entries = parse_sources({"sources": frame.app.sources}, allow_file=settings.HUB_ALLOW_LOOPBACK)
    if len(revisions) != len(entries) or len(states) != len(entries):
        raise HubError("invalid_revisions", f"{len(entries)} revisions are needed, one per source")
    sets, shas = [], []
    for state, entry, revision in zip(states, entries, revisions, strict=True):
        if state.repository is None:
            raise SourceError("SourceNotPermitted", f"repository {entry.repo_url} is not registered")
        found = source.obtain(
            state.repository.access(),
            [source.Wanted(revision, entry.tag_prefix)],
            root=settings.HUB_MIRROR_DIR,
        )
        sha = found.resolutions[0].sha
        rendered = render.render(
            found.mirror.tree(sha),
            entry,
            application=render.ApplicationFacts(
                frame.app.name, frame.app.destination_namespace, frame.app.project.name
            ),
            cluster=render.ClusterFacts(frame.app.cluster.version),
            options=render.RenderOptions(frame.mask_key, settings.HUB_SOURCE_LIMITS),
        )
        sets.append(rendered.manifests)
        shas.append(sha)
    return sourcing.keep(sets[0] if len(sets) == 1 else join(sets, frame.mask_key)), shas
