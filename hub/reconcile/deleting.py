"""The end of an Application: detach, or a deletion operation in reverse wave order (sync-semantics.md 10).

The manifests are those of the last successful sync that the hub kept, so a dead Git host never blocks a deletion.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

import hub.reconcile.consent as consent
import hub.reconcile.fencing as fencing
import hub.reconcile.looking as looking
import hub.reconcile.planning as planning
import hub.reconcile.sharing as sharing
import hub.reconcile.sourcing as sourcing
import hub.reconcile.work as works
from clusters.core.plan import Progress, SyncPlan, plan_digest
from clusters.core.plan.deletion import (
    DeletionFacts,
    DeletionRequest,
    build_deletion,
    detach_step,
    done_hooks,
)
from clusters.services import carry_out
from hub.core.dependencies import dependencies_of
from hub.core.events import Event as Happened
from hub.core.plans import governs, prune_budget
from hub.models import Application, SyncOperation
from hub.models.operation import UNFINISHED
from hub.reconcile.frame import Catalogue, Frame
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work
from hub.services import approvals, argoview, events, leases, looks, operations

MOST_ROUNDS = 5
_PROPAGATION: dict[str, Literal["", "Foreground", "Background"]] = {
    "foreground": "Foreground",
    "background": "Background",
}
Kind = SyncOperation.Kind


def wanted(frame: Frame, operation: SyncOperation | None) -> bool:
    """Deletion was asked for, and nothing else runs any more (10.2 item 1)."""
    if not frame.app.deletion_requested_at:
        return False
    return operation is None or operation.kind == Kind.DELETE or operation.phase == SyncOperation.Phase.QUEUED


def begun(operation: SyncOperation | None) -> bool:
    """Whether this is a deletion that has been planned: it goes on, whatever would have held it before."""
    return operation is not None and operation.kind == Kind.DELETE and bool(operation.plan)


def desired_of(frame: Frame, catalogue: Catalogue, operation: SyncOperation | None = None) -> Desired:
    """What was synced last, so that Git is not needed; after a failed attempt the newest, so that a fix there works."""
    app = frame.app
    digest, revisions = app.synced_digest or app.manifest_digest, app.synced_revisions or app.revisions
    if operation is not None and operation.kind == Kind.DELETE and operation.manifest_digest:
        if operation.retry_at is None:
            digest, revisions = operation.manifest_digest, operation.revisions
        else:
            newest = sourcing.bring_up(frame, catalogue)
            if newest.loaded and newest.problem is None:
                return newest
    return sourcing.load(frame, digest, catalogue, tuple(revisions))


def detach(frame: Frame, catalogue: Catalogue) -> bool:
    """Take our marks off everything; True when nothing carries them and the row may go."""
    if governs(frame.app.project.rules, "detach"):
        window = consent.decide(frame, frame.now, manual=True)
        if not window.allowed:
            frame.condition("DeletionError", f"cannot detach: blocked by {window.reason}", "window")
            return False
    desired = desired_of(frame, catalogue)
    for _ in range(MOST_ROUNDS):
        seen = looking.look(frame, desired, None)
        reason = seen.problem.message if seen.problem else looking.unlisted(frame, desired, seen)
        if reason:
            hint = (
                "; of a cluster that is gone for good an administrator removes the record"
                if seen.problem
                else ""
            )
            frame.condition("DeletionError", f"cannot detach: {reason}{hint}", "cluster_unreachable")
            return False
        step = detach_step(frame.app.name, frame.hub_id, seen.live)
        if step is None:
            return True
        frame.lease.check()
        failed = [outcome for outcome in carry_out(frame.connection, step) if not outcome.ok]
        if failed:
            first = failed[0]
            frame.condition("DeletionError", f"cannot detach {first.action.key}: {first.message}", first.code)
            return False
    return False


def dependents(frame: Frame) -> list[str]:
    """Applications that depend on this one and are being deleted, too: they go first (12 rule 13)."""
    going = Application.objects.filter(deletion_requested_at__isnull=False).exclude(id=frame.app.id)
    rows = going.values_list("name", "sync_policy", "annotations").order_by("name")
    return [
        name
        for name, policy, annotations in rows
        if any(each.application == frame.app.name for each in dependencies_of(policy, annotations or {}))
    ]


def wait_for(frame: Frame, names: list[str]) -> None:
    """Nothing is deleted yet, and the Application says for whom it waits."""
    frame.condition(
        "DeletionError",
        f"waiting for the deletion of {', '.join(names[:5])}, which depends on it",
        "dependents",
    )


def work_of(frame: Frame, operation: SyncOperation | None, desired: Desired) -> Work:
    """The deletion that is under way, or a new one; a queued sync that never began gives way."""
    if operation is not None and operation.kind != Kind.DELETE:
        operation.message = "superseded by the deletion of the application"
        operations.close_superseded(operation, frame.lease)
        operation = None
    if operation is None:
        asked = frame.app.operations.filter(kind=Kind.DELETE).order_by("-number")
        operation = asked.filter(phase__in=UNFINISHED).first()
    if operation is not None:
        work = works.read(operation)
        work.desired = desired
    else:
        work = Work(_again(frame, asked.first()), desired=desired)
    work.replan = lambda seen: plan(frame, work, seen)
    return work


def _again(frame: Frame, ended: SyncOperation | None) -> SyncOperation:
    """One that was ended by hand, or refused, is followed by another as long as the Application is to go."""
    return SyncOperation(
        application=frame.app,
        number=frame.app.operation_seq + 1,
        kind=Kind.DELETE,
        phase=SyncOperation.Phase.RUNNING,
        initiator=frame.app.deletion_requested_by or {"kind": "user", "name": "deletion", "via": "api"},
        request=ended.request if ended else {"retry": {"limit": -1}},
        started_at=timezone.now(),
    )


def plan(frame: Frame, work: Work, seen: Seen) -> None:
    """Plan one attempt; hooks that succeeded in an earlier one do not run again."""
    operation, desired = work.operation, work.desired
    assert desired is not None
    work.plan = planned(frame, operation, desired, seen)
    now = timezone.now()
    work.progress = (
        work.progress.next_attempt(now)
        if work.progress is not None and operation.attempt > 1
        else Progress.begin(now)
    )
    operation.manifest_digest, operation.revisions = desired.digest, list(desired.revisions)
    operation.plan, operation.plan_digest = None, plan_digest(work.plan)
    operation.phase, operation.retry_at = SyncOperation.Phase.RUNNING, None


def planned(frame: Frame, operation: SyncOperation, desired: Desired, seen: Seen) -> SyncPlan:
    """What this deletion would do now."""
    app, chosen = frame.app, planning.hook_choices(operation)
    request = DeletionRequest(
        operation=str(operation.id),
        application=app.name,
        hub_id=frame.hub_id,
        namespace=app.destination_namespace,
        started_at=operation.started_at or frame.now,
        attempt=operation.attempt,
        revisions=desired.revisions,
        # It is tried until it succeeds, however long that takes (10.2).
        options=replace(planning.options_of(app), operation_timeout=0.0),
        propagation=_PROPAGATION.get(str(operation.request.get("propagation")), ""),
        crds=frozenset(operation.request.get("crds") or ()),
        identity={
            "app_uid": str(app.id),
            "cluster_uid": app.cluster.uid or str(app.cluster_id),
            "manifest_digest": desired.digest,
        },
    )
    facts = DeletionFacts(
        live=seen.live,
        desired=desired.manifests,
        violations=fencing.violations(frame, desired, seen.discovery),
        wanted_by=sharing.wanted_by_others(frame),
        done_hooks=frozenset(frame.memory.get("deletion_hooks") or ()),
        skipped_hooks=frozenset(name for name, choice in chosen.items() if choice == "skip"),
        budget=prune_budget(app.project.rules),
    )
    return build_deletion(request, facts)


def remember(frame: Frame, work: Work) -> None:
    """Deletion hooks of this attempt that need not run again."""
    if work.plan is not None and work.progress is not None:
        frame.memory["deletion_hooks"] = sorted(done_hooks(work.plan, work.progress))


def refused(work: Work) -> bool:
    """Whether people did not consent to this deletion (notifications.md 8.4)."""
    return work.ended and str(work.operation.wait.get("code", "")).startswith("approval_")


def withdraw(frame: Frame) -> None:
    """The Application stays: nobody is asked again until a person asks for the deletion again."""
    mine = Application.objects.filter(id=frame.app.id, fence=frame.lease.fence)
    # Who asked again meanwhile is not refused.
    mine.filter(deletion_requested_at=frame.app.deletion_requested_at).update(
        deletion_requested_at=None, deletion_requested_by={}, generation=F("generation") + 1
    )
    frame.app.deletion_requested_at = None
    frame.memory["again"] = True


def archive(frame: Frame) -> None:
    """The row goes, with the event `deleted` that carries its whole last view, in one transaction."""
    app = frame.app
    asked = app.deletion_requested_by
    by = f" by {asked['name']}" if asked else ""
    told = Happened("deleted", f"{app.id}/deleted", "info", f"{app.name} was deleted{by} ({app.on_delete})")
    with transaction.atomic():
        approvals.close_for_deleted(app)
        frame.result.events = events.store(
            app, [told], {"initiator": asked, "last_view": argoview.shapes(app)}
        )
        # Whoever waited for this one to go first looks at once.
        named = [each.application for each in dependencies_of(app.sync_policy, app.annotations)]
        waiting = Application.objects.filter(name__in=named, deletion_requested_at__isnull=False)
        looks.ask(waiting.values_list("id", flat=True), level=1)
        sharing.ask_heirs(frame)
        gone, _ = Application.objects.filter(id=app.id, fence=frame.lease.fence).delete()
        if not gone:
            raise leases.LeaseLost(str(app.id))
    leases.keeper.drop(frame.lease)
