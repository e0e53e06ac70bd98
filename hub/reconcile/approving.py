"""Consent in the hall: a plan that a policy matches waits, is made anew while it waits, and is claimed once (8.4).

Self-heals and dry runs are never asked about. What was approved is what is applied: the pass that would start plans
again from live and Git, and only an equal digest, counted votes and matching policies let it claim the approval.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

import hub.reconcile.pinning as pinning
import hub.reconcile.planning as planning
import hub.source as source
from clusters.core.manifests import ResourceKey
from clusters.core.plan import ApprovalFact, Progress, Step, Wait, build_plan, describe, plan_digest
from hub.core.approvals import Demand
from hub.core.sources import Resolution
from hub.errors import SourceError
from hub.models import SourceState, SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.judging import Picture
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work
from hub.services import approvals

MOST_CHANGES, MOST_PRUNES = 200, 2000
UNASKED = {SyncOperation.Kind.SELF_HEAL}
AGAIN_S = 1.0


def fact(frame: Frame, work: Work) -> ApprovalFact | None:
    """The state of the Approval that this plan needs, None when it needs none or has begun to write."""
    demand = _demand(frame, work)
    if demand is None or work.progress is None or work.progress.writing:
        return None
    automated = work.operation.initiator.get("kind") == "automation"
    found = approvals.fact(frame.app, work.operation, _summary(frame, work), demand, automated=automated)
    work.approved = found.state == "approved"
    return found


def _demand(frame: Frame, work: Work) -> Demand | None:
    """What the policies ask of this plan; read once in a pass and plan."""
    plan = work.plan
    if plan is None or plan.dry_run or plan.kind in UNASKED or work.operation.terminate_requested:
        return None
    held = frame.caches.get("approval")
    if held is None or held[0] != work.operation.plan_digest:
        demand = None
        if approvals.any_policy():
            demand = approvals.demand_for(frame.app, plan.kind, _summary(frame, work))
        held = frame.caches["approval"] = (work.operation.plan_digest, demand)
    found: Demand | None = held[1]
    return found


def guards_prunes(frame: Frame, keys: Collection[ResourceKey]) -> bool:
    """Whether a policy asks for consent before these go. A heal restores what was applied last, and deletes nothing that
    people want to be asked about (sync-semantics.md 12 rule 14)."""
    prune = [{"key": str(key), "uid": ""} for key in sorted(keys)]
    if not prune or not approvals.any_policy():
        return False
    plan = {"changes": [], "change_count": 0, "prune": prune, "prune_count": len(prune)}
    plan["namespaces"] = sorted({key.namespace for key in keys} - {""})
    return approvals.demand_for(frame.app, "prune", {**plan, "hooks": [], "hook_count": 0}) is not None


def refresh(frame: Frame, work: Work, newest: Desired, seen: Seen, picture: Picture) -> None:
    """Plan again what needs consent and has not begun, whatever it waits for. Another plan replaces it, and so its
    request; an approved one starts from the fresh plan. A sync follows the newest commit, unless it names revisions; other kinds keep theirs."""
    operation = work.operation
    if work.progress is None or work.progress.writing or _demand(frame, work) is None:
        return
    if approvals.used_by(operation) is not None:
        return
    approved = getattr(fact(frame, work), "state", "") == "approved"
    held = (work.plan, work.progress, operation.plan, operation.plan_digest)
    if work.replan is not None:
        work.replan(seen)
    else:
        _plan_again(frame, work, newest, seen, picture)
    if operation.plan_digest == held[3] and not approved:
        # Still the plan that people are asked about: its dry run need not be repeated.
        work.plan, work.progress, operation.plan, operation.plan_digest = held


def _plan_again(frame: Frame, work: Work, newest: Desired, seen: Seen, picture: Picture) -> None:
    operation = work.operation
    follows = operation.kind == SyncOperation.Kind.SYNC and not operation.request.get("revisions")
    if follows and newest.loaded and newest.problem is None:
        work.desired = newest
    desired = work.desired
    assert desired is not None
    operation.manifest_digest, operation.revisions = desired.digest, list(desired.revisions)
    request = planning.plan_request(frame, operation, desired)
    work.plan = build_plan(request, planning.plan_facts(frame, desired, seen, picture, operation))
    work.progress = Progress.begin(timezone.now())
    operation.plan, operation.plan_digest = None, plan_digest(work.plan)


def confirms(work: Work) -> bool:
    """Whether an Approval confirms the prunes of this plan: exactly those objects were approved (8.2)."""
    if work.plan is None or not any(task.confirm for task in work.plan.tasks):
        return False
    return work.approved or approvals.used_by(work.operation) is not None


def request(frame: Frame, work: Work, wait: Wait) -> None:
    """Ask for the Approval that the operation waits for, once per plan."""
    demand = _demand(frame, work)
    if wait.code != "approval" or demand is None:
        return
    held = fact(frame, work)
    if held is None or held.state != "missing":
        return
    authors, complete = _authors(frame, work)
    operation = work.operation
    row = approvals.open_request(
        frame.app,
        approvals.Ask(
            operation=operation.id,
            kind=operation.kind,
            digest=operation.plan_digest,
            plan=_summary(frame, work),
            demand=demand,
            requester=operation.initiator,
            reason=str(operation.request.get("reason", "")),
            authors=authors,
            authors_complete=complete,
        ),
    )
    # The card is told at the end of this pass, not at the next tick.
    frame.result.events.append(f"ap/{row.number}")


def claim(frame: Frame, work: Work, step: Step, waited: str) -> Wait | None:
    """The first Step that writes uses the Approval up; a Wait when it is not there to be used any more.

    `waited`: what the operation waited for until now.
    """
    if step.name == "dry_run" or work.progress is None or work.progress.writing:
        return None
    if _demand(frame, work) is None:
        if waited == "approval":
            approvals.void(frame.app, "no policy asks for it any more")
        return None
    digest = work.operation.plan_digest
    if approvals.claim(frame.app, work.operation, digest):
        return None
    again = timezone.now() + timedelta(seconds=AGAIN_S)
    return Wait(f"approval of plan {digest[:12]} changed meanwhile", again, "approval")


def _summary(frame: Frame, work: Work) -> dict[str, Any]:
    """What people are asked about, frozen with the request: kept by digest for the pass."""
    held = frame.caches.get("approval_plan")
    if held is None or held["digest"] != work.operation.plan_digest:
        held = frame.caches["approval_plan"] = _described(frame, work)
    found: dict[str, Any] = held
    return found


def _described(frame: Frame, work: Work) -> dict[str, Any]:
    plan, desired = work.plan, work.desired
    assert plan is not None
    assert desired is not None
    shown = describe(plan)
    rows = [row for batch in shown["batches"] if batch["phase"] != "SyncFail" for row in batch["tasks"]]
    changes = [
        {"key": row["key"], "action": row["action"]}
        for row in rows
        if row["action"] not in {"unchanged", "prune", "run_hook"}
    ]
    hooks = [
        {name: row[name] for name in ("key", "decision", "phase", "reason")}
        for row in shown["hooks"]
        if row["phase"] != "SyncFail"
    ]
    return {
        "digest": work.operation.plan_digest,
        "kind": plan.kind,
        "pinned": pinning.moves(frame, desired),
        "namespace": plan.namespace,
        "namespaces": sorted(
            {task.key.namespace for task in plan.tasks if task.active and not task.in_place} - {""}
        ),
        "cluster": str(frame.app.cluster_id),
        "manifests": desired.digest,
        "shas": list(desired.revisions),
        "revisions": [
            {
                "repo": str(entry.get("repoURL", "")),
                "path": str(entry.get("path", "")),
                "ref": str(entry.get("targetRevision", "")),
                "sha": sha,
                "short": sha[:7],
            }
            for entry, sha in zip(frame.app.sources, desired.revisions, strict=False)
        ],
        "changes": changes[:MOST_CHANGES],
        "change_count": len(changes),
        "prune": [{"key": row["key"], "uid": row["uid"]} for row in shown["prune"][:MOST_PRUNES]],
        "prune_count": len(shown["prune"]),
        "hooks": hooks,
        "hook_count": len([row for row in hooks if row["decision"] == "run"]),
    }


def _authors(frame: Frame, work: Work) -> tuple[frozenset[str], bool]:
    """Who wrote or committed what is planned and not deployed, and whether all of the history was there (8.3)."""
    assert work.desired is not None
    deployed = frame.app.synced_revisions or []
    states = list(frame.app.source_states.select_related("repository__project").order_by("index"))
    found: set[str] = set()
    complete = True
    for state, new in zip(states, work.desired.revisions, strict=False):
        old = deployed[state.index] if state.index < len(deployed) else ""
        if old == new:
            continue
        try:
            known = _written(state, old, new)
        except (SourceError, source.RefMoved, source.MirrorCorrupt):
            known, complete = _alone(state, new), False
        # Of a first deployment only the planned commit is looked at, and the card says so.
        complete = complete and bool(old)
        found |= known
    return frozenset(found), complete


def _written(state: SourceState, old: str, new: str) -> frozenset[str]:
    return source.authors_between(_mirror(state, new), old, new)


def _alone(state: SourceState, new: str) -> frozenset[str]:
    """The authors of the planned commit itself, when what lies before it is missing."""
    try:
        return source.authors_between(_mirror(state, new), "", new)
    except (SourceError, source.RefMoved, source.MirrorCorrupt):
        return frozenset()


def _mirror(state: SourceState, sha: str) -> source.Mirror:
    if state.repository is None:
        raise SourceError("RepositoryUnavailable", "the repository of this source is not registered any more")
    wanted = [Resolution(sha, name=state.ref_name, kind="commit")]
    return source.ensure(state.repository.access(), wanted, root=settings.HUB_MIRROR_DIR)
