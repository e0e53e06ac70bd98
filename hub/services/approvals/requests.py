"""The life of a request: opened, superseded, expired; what its votes come to now."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

import hub.services.approvals.people as people
import hub.services.approvals.telling as telling
import hub.services.audit as audit
import hub.services.looks as looks
from hub.core.approvals import Demand, Happening, Question, Standing, Tally, after, still_open, tally
from hub.core.windows import WindowTarget, decide_windows, read_windows
from hub.models import Application, ApprovalRequest
from hub.services.actors import SYSTEM, Actor
from hub.services.approvals.policies import demand_of
from hub.services.looks import LEVEL_KNOWN

State = ApprovalRequest.State
OPEN = (State.PENDING, State.APPROVED)


@dataclass(frozen=True)
class Ask:
    """One plan that needs consent, from the pass that made it."""

    operation: uuid.UUID
    kind: str
    digest: str
    plan: Mapping[str, Any]
    demand: Demand
    requester: Mapping[str, Any]
    reason: str = ""
    authors: frozenset[str] = frozenset()
    authors_complete: bool = True


def locked(number: int) -> ApprovalRequest | None:
    """The row under lock; call inside a transaction."""
    return (
        ApprovalRequest.objects.select_for_update(of=("self",))
        .select_related("application__project", "application__cluster")
        .filter(number=number)
        .first()
    )


@transaction.atomic
def open_request(app: Application, ask: Ask) -> ApprovalRequest:
    """Store a request for this plan. The open one with the same digest is returned, another one is superseded."""
    now = timezone.now()
    held = ApprovalRequest.objects.select_for_update().filter(application=app, state__in=OPEN).first()
    if held is not None and held.digest == ask.digest:
        return held
    if held is not None:
        _supersede_row(held, now)
    row = ApprovalRequest.objects.create(
        application=app,
        app_name=app.name,
        project=app.project.name,
        kind=ask.kind,
        digest=ask.digest,
        plan=dict(ask.plan),
        requester=dict(ask.requester),
        reason=ask.reason[:500],
        authors=sorted(ask.authors),
        authors_complete=ask.authors_complete,
        policies=list(ask.demand.policies),
        asked_for=ask.operation,
        created_at=now,
        expires_at=now + timedelta(seconds=ask.demand.ttl_s),
    )
    if held is not None:
        supersede(held.number, row)
    votes = tally_of(row, ask.demand)
    audit.record(
        SYSTEM,
        "request approval",
        resource="approval",
        name=str(row),
        project=row.project,
        reason=row.reason,
        after={"digest": row.digest, "policies": row.policies, "requester": row.requester.get("name", "")},
        level=2,
    )
    telling.tell(
        row,
        "approval-requested",
        telling.requested_key(row),
        f"{telling.title(row)} needs {still_open(votes)}",
        severity="warning",
        demand=ask.demand,
        tally=votes,
    )
    return row


def _supersede_row(held: ApprovalRequest, now: datetime) -> None:
    """Free the place of the one open request; `supersede` then says by which one."""
    ApprovalRequest.objects.filter(number=held.number, state__in=OPEN).update(
        state=State.SUPERSEDED, ended_at=now, outcome=""
    )


@transaction.atomic
def supersede(number: int, successor: ApprovalRequest | None, why: str = "") -> None:
    """Its plan is not the plan any more: the card says which one is, its buttons do nothing."""
    row = locked(number)
    if row is None or (row.state not in OPEN and (row.state != State.SUPERSEDED or row.outcome)):
        return
    row.state, row.ended_at = State.SUPERSEDED, timezone.now()
    row.superseded_by = successor
    by = f"Superseded by approval {successor.number}: the plan changed" if successor else "Superseded"
    row.outcome = f"{by}{': ' + why if why else ''}"[:500]
    row.save(update_fields=["state", "ended_at", "superseded_by", "outcome"])
    close(row, SYSTEM, "supersede", "approval-superseded")


def close(row: ApprovalRequest, actor: Actor, action: str, event: str, severity: str = "info") -> None:
    """What every end has: an audit line, and an event that rewrites the card without buttons."""
    audit.record(
        actor,
        f"{action} approval",
        resource="approval",
        name=str(row),
        project=row.project,
        reason=row.outcome,
        after={"digest": row.digest, "state": row.state},
        level=3 if actor.kind == "user" else 1,
    )
    telling.tell(
        row,
        event,
        f"ap/{row.number}/{row.state}/{row.round}",
        f"{telling.title(row)}: {row.outcome or row.state}",
        severity=severity,
    )


def question(row: ApprovalRequest, demand: Demand) -> Question:
    """The request as the core judges votes on it."""
    requester = row.requester if row.requester.get("kind") == "user" else {}
    return Question(
        number=row.number,
        state=row.state,
        digest=row.digest,
        demand=demand,
        requester=str(requester.get("id") or ""),
        authors=frozenset(row.authors),
        expires_at=row.expires_at,
        successor=row.superseded_by_id,
    )


def standing(row: ApprovalRequest) -> list[Standing]:
    """The standing approve votes with what their people are now."""
    if row.application is None:
        return []
    votes = row.votes.filter(ended_at__isnull=True, decision="approve").select_related("user")
    return [Standing(people.voter(vote.user, row.application.project), vote.digest) for vote in votes]


def tally_of(row: ApprovalRequest, demand: Demand) -> Tally:
    """What the votes come to now."""
    return tally(question(row, demand), standing(row))


def new_round(row: ApprovalRequest) -> None:
    """Fresh buttons: those of earlier rounds are worth nothing. The time to live is not extended."""
    row.round += 1
    row.state, row.approved_at, row.use_by = State.PENDING, None, None
    row.save(update_fields=["round", "state", "approved_at", "use_by"])


def windows_open(row: ApprovalRequest, now: datetime) -> bool:
    """Whether the Project's windows would let the operation begin."""
    app = row.application
    if app is None:
        return False
    windows = read_windows(app.project.rules.get("windows"))[0]
    target = WindowTarget(app.name, app.destination_namespace, app.cluster.name, app.cluster.server)
    manual = row.requester.get("kind") != "automation"
    return decide_windows(windows, target, now, manual=manual, started_at=None).allowed


def expire_due() -> list[uuid.UUID]:
    """End what time has ended, and start the time of use where windows have opened. Returns applications to look at."""
    now = timezone.now()
    asked = []
    due = Q(state__in=OPEN, expires_at__lte=now) | Q(state=State.APPROVED)
    for number in ApprovalRequest.objects.filter(due).values_list("number", flat=True)[:500]:
        asked += _tend(number, now)
    return looks.ask(asked, level=LEVEL_KNOWN)


@transaction.atomic
def _tend(number: int, now: datetime) -> list[uuid.UUID]:
    row = locked(number)
    if row is None or row.state not in OPEN:
        return []
    if row.expires_at > now and row.state == State.APPROVED:
        is_open = windows_open(row, now)
        if not is_open and row.use_by is not None:
            row.use_by = None
            row.save(update_fields=["use_by"])
        elif is_open and row.use_by is None:
            demand = demand_of(row)
            row.use_by = now + timedelta(seconds=demand.use_within_s if demand else 0.0)
            row.save(update_fields=["use_by"])
    late = row.expires_at <= now
    unused = row.state == State.APPROVED and row.use_by is not None and row.use_by <= now
    if not late and not unused:
        return []
    expire(row, "nobody used it in time" if unused and not late else "its time has ended")
    return [row.application.id] if row.application is not None else []


def expire(row: ApprovalRequest, why: str) -> None:
    """The row is locked and open."""
    change = after(row.state, Happening("expire"))
    if change is None:
        return
    row.state, row.ended_at, row.outcome = change.to, timezone.now(), f"Expired: {why}"
    row.save(update_fields=["state", "ended_at", "outcome"])
    close(row, SYSTEM, "expire", "approval-expired", "warning")


def refusal_sentence(row: ApprovalRequest) -> str:
    """Why an operation that waited for this one ends."""
    return f"approval {row.number} was {row.state}: {row.outcome}"
