"""What the hall asks and tells: the state of a plan's approval, the claim that uses it up, its end (8.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

import hub.services.approvals.requests as requests
import hub.services.approvals.telling as telling
import hub.services.audit as audit
import hub.services.statements as statements
from clusters.core.plan import ApprovalFact
from hub.core.approvals import Demand, Happening, after
from hub.models import Application, ApprovalRequest, SyncOperation
from hub.models.operation import UNFINISHED
from hub.services.actors import SYSTEM
from hub.services.approvals.policies import demand_of

State = ApprovalRequest.State
_REFUSED = (State.REJECTED, State.CANCELLED, State.EXPIRED)
_ANY = "SELECT 1 FROM hub_approvalrequest WHERE application_id = %s"


def fact(
    app: Application, operation: SyncOperation, plan: Mapping[str, Any], demand: Demand, *, automated: bool
) -> ApprovalFact:
    """How the approval of this plan stands for this operation. `plan` is its summary, with `digest`.

    An approved one is checked here as it will be when it is claimed: votes counted again, times, policies.
    """
    digest = str(plan["digest"])
    mine = ApprovalRequest.objects.filter(application=app, operation=operation.id).order_by("-number").first()
    if mine is not None:
        return _used_by_me(mine, plan)
    row = ApprovalRequest.objects.filter(application=app, digest=digest).order_by("-number").first()
    if row is not None and row.state in requests.OPEN:
        return _open(row.number, digest, operation)
    if row is not None and row.state in _REFUSED and (automated or row.asked_for == operation.id):
        return ApprovalFact(row.state, digest, requests.refusal_sentence(row))  # type: ignore[arg-type]
    return ApprovalFact("missing", digest, f"0 of {sum(line.count for line in demand.require)} votes")


def _used_by_me(row: ApprovalRequest, plan: Mapping[str, Any]) -> ApprovalFact:
    """Retries are covered as long as they do nothing that was not approved: no other commit, prune or hook."""
    approved = row.plan
    same = all(approved.get(key) == plan.get(key) for key in ("manifests", "shas", "cluster"))
    prunes = {entry["key"] for entry in plan.get("prune") or ()} - {
        e["key"] for e in approved.get("prune") or ()
    }
    runs = _runs(plan) - _runs(approved)
    if same and not prunes and not runs:
        return ApprovalFact("approved", str(plan["digest"]), f"approval {row.number}")
    beyond = ", ".join(sorted(prunes | runs)[:5]) or "another revision"
    return ApprovalFact("cancelled", str(plan["digest"]), f"approval {row.number} does not cover {beyond}")


def _runs(plan: Mapping[str, Any]) -> set[str]:
    return {
        f"{row['key']} {row.get('phase', '')}"
        for row in plan.get("hooks") or ()
        if row.get("decision") == "run"
    }


@transaction.atomic
def _open(number: int, digest: str, operation: SyncOperation) -> ApprovalFact:
    """The execution check of 8.4 on an open request, under its lock."""
    row = requests.locked(number)
    assert row is not None
    if row.asked_for != operation.id and row.state in requests.OPEN:
        # Its operation was superseded by this one, which has the same plan: the question is handed on with its votes.
        row.asked_for = operation.id
        row.save(update_fields=["asked_for"])
    now = timezone.now()
    demand = demand_of(row)
    app = row.application
    if app is not None and row.project != app.project.name:
        # Other people decide there: they are asked themselves.
        requests.supersede(number, None, f"the application moved to project {app.project.name}")
        return ApprovalFact("missing", digest)
    if row.state in requests.OPEN and row.expires_at <= now:
        requests.expire(row, "its time has ended")
    elif row.state == State.APPROVED and row.use_by is not None and row.use_by <= now and not row.break_glass:
        requests.expire(row, "nobody used it in time")
    if row.state in _REFUSED:
        return ApprovalFact(row.state, digest, requests.refusal_sentence(row))  # type: ignore[arg-type]
    if row.state not in requests.OPEN or demand is None:
        return ApprovalFact("missing", digest)
    if row.break_glass:
        return ApprovalFact("approved", digest, row.outcome)
    votes = requests.tally_of(row, demand)
    change = after(row.state, Happening("recheck", reached=votes.reached))
    lost = "; ".join(f"the vote of {name} fell ({why})" for name, why in votes.fallen)
    if change is not None and change.new_round:
        _back_to_pending(row, demand, lost or "the policies ask for more now")
    state: Literal["approved", "pending"] = "approved" if row.state == State.APPROVED else "pending"
    return ApprovalFact(state, digest, f"{votes.text}; {lost}" if lost else votes.text)


def _back_to_pending(row: ApprovalRequest, demand: Demand, why: str) -> None:
    requests.new_round(row)
    votes = requests.tally_of(row, demand)
    audit.record(
        SYSTEM,
        "reopen approval",
        resource="approval",
        name=str(row),
        project=row.project,
        reason=why,
        after={"round": row.round},
    )
    telling.tell(
        row,
        "approval-requested",
        telling.requested_key(row),
        f"{telling.title(row)} needs consent again: {why}",
        severity="warning",
        demand=demand,
        tally=votes,
    )


@transaction.atomic
def claim(app: Application, operation: SyncOperation, digest: str) -> bool:
    """Use the approval of this plan up: one conditional UPDATE; False when it is not there to be used any more.

    True also when this operation claimed it before.
    """
    if ApprovalRequest.objects.filter(application=app, operation=operation.id).exists():
        return True
    now = timezone.now()
    same = SyncOperation.objects.select_for_update().filter(id=operation.id, phase__in=UNFINISHED)
    if not same.values_list("id", flat=True):
        # Superseded meanwhile: what takes its place asks for itself.
        return False
    free = Q(state=State.APPROVED) | (Q(state=State.PENDING) & ~Q(break_glass={}))
    open_rows = ApprovalRequest.objects.filter(free, application=app, digest=digest, expires_at__gt=now)
    row = open_rows.select_for_update().first()
    if row is None:
        return False
    demand = demand_of(row)
    if not row.break_glass and (demand is None or not requests.tally_of(row, demand).reached):
        return False
    in_time = Q(use_by__isnull=True) | Q(use_by__gt=now) | ~Q(break_glass={})
    hit = open_rows.filter(in_time, number=row.number, state=row.state).update(
        state=State.EXECUTING, operation=operation.id, executing_at=now
    )
    if not hit:
        return False
    row.refresh_from_db()
    requests.close(row, SYSTEM, "execute", "approval-approved")
    return True


def ended(operation: SyncOperation) -> bool:
    """The operation is over: its approval is done or failed; one that still waited for it is cancelled.

    What waited for a superseded operation is left to its successor, which supersedes it or takes it over; what it left
    behind at its own end is the question no more, unless it was a dry run. Returns whether its Application has requests
    at all, open or not.
    """
    if not statements.exists(_ANY, [statements.key(operation.application_id)]):
        return False
    _close(operation)
    return True


@transaction.atomic
def _close(operation: SyncOperation) -> None:
    mine = Q(operation=operation.id, state=State.EXECUTING)
    if operation.phase != SyncOperation.Phase.SUPERSEDED and not operation.request.get("dry_run"):
        waits = SyncOperation.objects.filter(id=OuterRef("asked_for"), phase__in=UNFINISHED)
        others = ~Exists(waits.exclude(id=operation.id))
        mine |= Q(others, application=operation.application_id, state__in=requests.OPEN)
    for number in ApprovalRequest.objects.filter(mine).values_list("number", flat=True):
        row = requests.locked(number)
        if row is not None and row.state == State.EXECUTING:
            _used_up(row, operation)
        elif row is not None and row.state in requests.OPEN and row.asked_for == operation.id:
            row.state, row.ended_at = State.CANCELLED, timezone.now()
            row.outcome = f"The operation ended: {operation.message}"[:500]
            row.save(update_fields=["state", "ended_at", "outcome"])
            requests.close(row, SYSTEM, "cancel", "approval-cancelled")
        elif row is not None:
            requests.supersede(number, None, f"operation {operation.number} took its place")


def _used_up(row: ApprovalRequest, operation: SyncOperation) -> None:
    change = after(row.state, Happening("end", ok=operation.phase == SyncOperation.Phase.SUCCEEDED))
    assert change is not None
    row.state, row.ended_at = State(change.to), timezone.now()
    row.outcome = (row.outcome or operation.message)[:500]
    row.save(update_fields=["state", "ended_at", "outcome"])


def used_by(operation: SyncOperation) -> ApprovalRequest | None:
    """The approval that this operation used up."""
    return ApprovalRequest.objects.filter(operation=operation.id).order_by("-number").first()


def thread_of(operation: SyncOperation) -> dict[str, Any]:
    """The part `approval` of an operation's events, so that its result goes where its card is; empty without one."""
    mine = Q(operation=operation.id) | Q(asked_for=operation.id)
    row = ApprovalRequest.objects.filter(mine).order_by("-number").first()
    return telling.view(row, None) if row is not None else {}


def void(app: Application, why: str) -> None:
    """Another plan begins that needs no consent: what was asked before is not the question any more."""
    for number in ApprovalRequest.objects.filter(application=app, state__in=requests.OPEN).values_list(
        "number", flat=True
    ):
        requests.supersede(number, None, why)


def close_for_deleted(app: Application) -> None:
    """The application goes; call in the transaction that removes its row."""
    void(app, "the application was deleted")


def overrides_windows(operation: SyncOperation) -> bool:
    """Whether a broken glass lets this operation run in a closed window, because every policy lists windows (8.6)."""
    mine = Q(operation=operation.id) | Q(asked_for=operation.id, state__in=requests.OPEN)
    return ApprovalRequest.objects.filter(mine, break_glass__windows=True).exists()
