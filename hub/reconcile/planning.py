"""What a plan is made from: the request as its row says it, and what this pass knows (sync-semantics.md 2, 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import hub.reconcile.fencing as fencing
import hub.reconcile.sourcing as sourcing
import hub.reconcile.spaces as spaces
from clusters.core.hooks import HookSuccess
from clusters.core.manifests import ResourceKey, canonical_json
from clusters.core.plan import PlanFacts, PlanRequest, SyncOptions, parse_sync_options
from clusters.core.plan.model import OperationKind
from hub.core.plans import limited, maxima, protected_kinds, prune_budget
from hub.models import Application, ResourceStatus, SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.judging import Picture
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired


def options_of(app: Application, operation: SyncOperation | None = None) -> SyncOptions:
    """The sync options of the Application, with those of one request on top, within the maxima of its Project."""
    texts = list((app.sync_policy or {}).get("sync_options") or [])
    if operation is not None:
        texts += operation.request.get("sync_options") or []
    return limited(parse_sync_options(texts)[0], app.project.rules)


def plan_request(frame: Frame, operation: SyncOperation, desired: Desired) -> PlanRequest:
    """Who asks for what, from the operation's row and the Application's policy."""
    app, asked = frame.app, operation.request
    keys = frozenset(ResourceKey(*key) for key in asked.get("keys") or ())
    return PlanRequest(
        operation=str(operation.id),
        application=app.name,
        hub_id=frame.hub_id,
        namespace=app.destination_namespace,
        started_at=operation.started_at or frame.now,
        kind=cast(OperationKind, operation.kind),
        attempt=operation.attempt,
        revisions=desired.revisions,
        options=options_of(app, operation),
        prune=bool(asked.get("prune")),
        dry_run=bool(asked.get("dry_run")),
        force=bool(asked.get("force")),
        apply_all=bool(asked.get("apply_all")),
        skip_hooks=bool(asked.get("skip_hooks")) or asked.get("strategy") == "apply",
        run_all_hooks=bool(asked.get("run_all_hooks")),
        resources=tuple(_chosen(row) for row in asked.get("resources") or ()),
        labels=tuple(f"{name}={value}" for name, value in (asked.get("labels") or {}).items()),
        keys=keys,
        longest_hook=maxima(app.project.rules).get("hook_timeout", 0.0),
        may_empty=bool(((app.sync_policy or {}).get("automated") or {}).get("allow_empty")),
        namespace_metadata=spaces.wanted(frame, desired),
        namespace_manager=spaces.manager(frame),
        namespace_stale=spaces.is_stale(frame, desired),
        migration_manager=str(
            app.annotations.get("argocd.argoproj.io/client-side-apply-migration-manager", "")
        ),
        identity={
            "app_uid": str(app.id),
            "cluster_uid": app.cluster.uid or str(app.cluster_id),
            "sources": [
                [entry.get("repoURL", ""), revision, entry.get("path", "")]
                for entry, revision in zip(app.sources, desired.revisions, strict=False)
            ],
            "manifest_digest": desired.digest,
        },
    )


def _chosen(row: Mapping[str, str]) -> str:
    """Without a namespace it is meant in every one, and a cluster-scoped object has none."""
    place = f"{row['namespace']}/" if row.get("namespace") else ""
    return f"{row.get('group', '')}:{row['kind']}:{place}{row['name']}"


def plan_facts(
    frame: Frame, desired: Desired, seen: Seen, picture: Picture, operation: SyncOperation
) -> PlanFacts:
    """What is known when the plan is made."""
    rules = frame.app.project.rules
    return PlanFacts(
        desired=desired.manifests,
        live=seen.live,
        discovery=seen.discovery,
        living=lambda name: Application.objects.filter(name=name).exists(),
        violations=fencing.violations(frame, desired, seen.discovery),
        invalid=[(ResourceKey("", item.label, "", ""), item.message) for item in desired.parts.invalid],
        incomplete=frozenset(seen.incomplete),
        # Judged against the newest set; what another Revision wants differently is not in place for it.
        in_place=frozenset(
            key for key in picture.in_place if desired.hashes.get(key) == frame.rows[key].desired_hash
        ),
        hooks={name: HookSuccess(*value) for name, value in hook_memory(frame).items()},
        hook_choices=hook_choices(operation),
        installed=installed_at(frame) == destination(frame.app),
        confirmed_prunes=_confirmed_prunes(operation),
        adopted=frozenset(key for key, row in frame.rows.items() if row.adopted),
        files=sourcing.files_of(frame, desired),
        completed={
            key: f"completed {_clock(frame.rows[key])}, removed by its TTL"
            for key, verdict in picture.verdicts.items()
            if verdict.reason == "completed"
        },
        protected_kinds=protected_kinds(rules),
        budget=prune_budget(rules),
    )


def hook_memory(frame: Frame) -> dict[str, list[Any]]:
    """What is known of former successes of hooks; those of another destination are none here (12 rule 6)."""
    held: dict[str, list[Any]] = frame.memory.get("hooks") or {}
    here = destination(frame.app)
    return held if frame.memory.get("hooks_at", here) == here else {}


def destination(app: Application) -> list[str]:
    return [str(app.cluster_id), app.destination_namespace]


def installed_at(frame: Frame) -> list[str]:
    """Where a full sync of this Application succeeded before, empty when none did (3.8)."""
    usual = destination(frame.app) if frame.app.synced_digest else []
    found: list[str] = frame.memory.get("installed") or usual
    return found


def _clock(row: ResourceStatus) -> str:
    return f"{row.completed_at:%H:%M}" if row.completed_at else "earlier"


def hook_choices(operation: SyncOperation) -> dict[str, str]:
    """Hook source -> run or skip, as people answered the open questions (12 rules 6, 9)."""
    return {
        source: entry["choice"]
        for entry in operation.confirmed
        if entry.get("choice") in {"run", "skip"}
        for source in entry.get("sources", ())
    }


def _confirmed_prunes(operation: SyncOperation) -> dict[ResourceKey, str]:
    return {ResourceKey(*row["key"]): row["uid"] for row in operation.request.get("confirmed_prunes") or ()}


def identity(app: Application, digest: str) -> str:
    """What one attempt was for: Revision, sources, destination, options (9.1 gate 8)."""
    parts = [digest, app.sources, str(app.cluster_id), app.destination_namespace, app.sync_policy]
    return hashlib.sha256(canonical_json(parts)).hexdigest()[:32]
