"""What people do with a request: vote, take back, cancel, break the glass, review. Each refused try is audited (8.3).

A refusal is stored before it is raised, so that it survives: call these outside of a transaction that a refusal
would roll back, or catch ApprovalRefused inside of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

import hub.services.approvals.people as people
import hub.services.approvals.requests as requests
import hub.services.approvals.telling as telling
import hub.services.audit as audit
import hub.services.looks as looks
import hub.services.rights as rights
from hub.core.approvals import Demand, Happening, Refusal, Tally, after, refused, still_open
from hub.core.approvals.votes import ineligible
from hub.errors import HubError
from hub.models import ApprovalRequest, User, Vote
from hub.services.actors import Actor
from hub.services.approvals.policies import demand_of
from hub.services.documents import InvalidDocument
from hub.services.looks import LEVEL_USER

State = ApprovalRequest.State
NOT_FOUND = Refusal("not_found", "this approval does not exist, or you may not see it")
_STATUS = {"not_found": 404, "stale": 409, "closed": 409, "expired": 409, "not_yours": 409}
REVIEW_WORKING_DAYS = 3
# Here even the vote that stands is worth nothing: whoever repeats it is told.
_VOID = (State.SUPERSEDED, State.EXPIRED, State.CANCELLED)
PROOF_LIVES = timedelta(minutes=10)


class ApprovalRefused(HubError):
    """A try that did not count. `code` is one of notifications.md 8.3; the attempt is in the audit already."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code, refusal.message, status=_STATUS.get(refusal.code, 403))


@dataclass(frozen=True)
class Decided:
    """The request after it, and whether this call changed anything (the same vote again does not)."""

    request: ApprovalRequest
    changed: bool
    text: str


def decide(
    actor: Actor, user: User, number: int, *, decision: str, digest: str, reason: str = "", chat: str = ""
) -> Decided:
    """One vote on the plan with this digest. No network inside. Raises ApprovalRefused, InvalidDocument."""
    if decision not in Vote.Decision.values:
        raise InvalidDocument({"decision": ["must be approve or reject"]})
    if decision == "reject" and not reason.strip():
        raise InvalidDocument({"reason": ["a rejection needs a reason"]}, code="reason_needed")
    return _acted(
        actor, decision, number, lambda row: _decide(actor, user, row, decision, digest, reason, chat)
    )


def withdraw(actor: Actor, user: User, number: int, *, why: str = "withdrawn") -> Decided:
    """Take one's own vote back while nothing has been executed. Raises ApprovalRefused."""
    return _acted(actor, "withdraw", number, lambda row: _withdraw(actor, user, row, why))


def cancel(actor: Actor, user: User, number: int, *, reason: str = "") -> Decided:
    """By who asked for the operation, or by who may sync the application (access-and-api.md AC2)."""
    return _acted(actor, "cancel", number, lambda row: _cancel(actor, user, row, reason))


def break_glass(
    actor: Actor, user: User, number: int, *, digest: str, reason: str, ticket: str, proof_at: datetime | None
) -> Decided:
    """Skip quorums by one person's own permission; the plan check stays. `proof_at`: when that person last proved
    who they are; only a signed-in session has it, never a token or a chat (8.6)."""
    missing = {
        name: ["is required"] for name, text in (("reason", reason), ("ticket", ticket)) if not text.strip()
    }
    if missing:
        raise InvalidDocument(missing)

    def act(row: ApprovalRequest) -> Decided | Refusal:
        return _break_glass(actor, user, row, digest, (reason, ticket), proof_at)

    return _acted(actor, "break glass", number, act)


def review(actor: Actor, user: User, number: int, *, text: str) -> Decided:
    """The look of another person at a broken glass. Raises ApprovalRefused, InvalidDocument."""
    if not text.strip():
        raise InvalidDocument({"text": ["is required"]})
    return _acted(actor, "review", number, lambda row: _review(actor, user, row, text))


def note_refused(actor: Actor, action: str, refusal: Refusal, row: ApprovalRequest | None = None) -> None:
    """The audit line of a try that did not count."""
    audit.record(
        actor,
        action,
        resource="approval",
        name=str(row) if row is not None else "",
        project=row.project if row is not None else "",
        outcome="denied",
        code=refusal.code,
        reason=refusal.message,
        level=3,
    )


def _acted(
    actor: Actor, action: str, number: int, act: Callable[[ApprovalRequest], Decided | Refusal]
) -> Decided:
    """Lock, act, audit a refusal in the same transaction, and only then raise it."""
    with transaction.atomic():
        row = requests.locked(number)
        outcome = act(row) if row is not None and row.application is not None else NOT_FOUND
        if isinstance(outcome, Refusal):
            note_refused(actor, action, outcome, row)
    if isinstance(outcome, Refusal):
        raise ApprovalRefused(outcome)
    return outcome


def _demand(row: ApprovalRequest) -> Demand | Refusal:
    demand = demand_of(row)
    return demand or Refusal("closed", f"no policy asks for approval {row.number} any more")


def _decide(
    actor: Actor, user: User, row: ApprovalRequest, decision: str, digest: str, reason: str, chat: str
) -> Decided | Refusal:
    assert row.application is not None
    demand = _demand(row)
    if isinstance(demand, Refusal):
        return demand
    voter = people.voter(user, row.application.project)
    held = row.votes.filter(user=user, ended_at__isnull=True).first()
    again = held is not None and held.decision == decision and held.digest == digest == row.digest
    if again and row.state not in _VOID:
        return Decided(row, False, f"you have voted already: {requests.tally_of(row, demand).text}")
    against = refused(voter, requests.question(row, demand), digest, timezone.now())
    if against is not None:
        return against
    if demand.step_up and actor.via == "slack":
        return Refusal("step_up", f"this policy asks you to vote in the hub: {telling.link_of(row)}")
    if held is not None:
        Vote.objects.filter(id=held.id).update(ended_at=timezone.now(), ended_why="changed")
    vote = Vote.objects.create(
        request=row,
        user=user,
        decision=decision,
        reason=reason[:500],
        digest=digest,
        round=row.round,
        via=actor.via,
        chat=chat[:200],
        at=timezone.now(),
    )
    _audit(actor, decision, row, reason)
    return _rejected(actor, user, row, reason) if decision == "reject" else _approved(user, row, demand, vote)


def _rejected(actor: Actor, user: User, row: ApprovalRequest, reason: str) -> Decided:
    row.state, row.ended_at = State.REJECTED, timezone.now()
    row.outcome = f"Rejected by {user.username}: {reason.strip()}"[:500]
    row.save(update_fields=["state", "ended_at", "outcome"])
    requests.close(row, actor, "reject", "approval-rejected", "warning")
    _look(row)
    return Decided(row, True, row.outcome)


def _approved(user: User, row: ApprovalRequest, demand: Demand, vote: Vote) -> Decided:
    votes = requests.tally_of(row, demand)
    before = row.state
    change = after(before, Happening("approve", reached=votes.reached or before == State.APPROVED))
    assert change is not None
    text = f"{user.username} approved, {votes.text}"
    newly = change.to == "approved" and before != State.APPROVED
    if newly:
        _now_approved(row, demand)
    _tell_vote(row, vote, "on", text, demand, votes)
    if newly:
        key = f"ap/{row.number}/approved/{row.round}"
        summary = f"{telling.title(row)} is approved"
        telling.tell(row, "approval-approved", key, summary, severity="success", demand=demand, tally=votes)
        _look(row)
    return Decided(row, True, text)


def _now_approved(row: ApprovalRequest, demand: Demand) -> None:
    now = timezone.now()
    row.state, row.approved_at = State.APPROVED, now
    row.use_by = now + timedelta(seconds=demand.use_within_s) if requests.windows_open(row, now) else None
    row.save(update_fields=["state", "approved_at", "use_by"])


def _withdraw(actor: Actor, user: User, row: ApprovalRequest, why: str) -> Decided | Refusal:
    if row.state not in requests.OPEN:
        return Refusal("closed", f"approval {row.number} is {row.state}")
    vote = row.votes.filter(user=user, ended_at__isnull=True).first()
    if vote is None:
        return Refusal("not_yours", "you have no vote here to take back")
    Vote.objects.filter(id=vote.id).update(ended_at=timezone.now(), ended_why=why[:64])
    _audit(actor, "withdraw", row, why)
    demand = demand_of(row)
    if demand is None:
        # No policy asks now; should one ask again, this vote is gone all the same.
        return Decided(row, True, f"{user.username} withdrew the vote")
    votes = requests.tally_of(row, demand)
    change = after(row.state, Happening("withdraw", reached=votes.reached))
    assert change is not None
    if change.new_round:
        requests.new_round(row)
    text = f"{user.username} withdrew the vote, {votes.text}"
    _tell_vote(row, vote, "off", text, demand, votes)
    _look(row)
    return Decided(row, True, text)


def _cancel(actor: Actor, user: User, row: ApprovalRequest, reason: str) -> Decided | Refusal:
    assert row.application is not None
    asked = row.requester.get("kind") == "user" and row.requester.get("id") == str(user.pk)
    if not user.is_active or not (asked or rights.may(user, "sync", row.application.project)):
        return Refusal("no_permission", "only who asked, or who may sync the application, may cancel")
    if row.state not in requests.OPEN:
        return Refusal("closed", f"approval {row.number} is {row.state}")
    row.state, row.ended_at = State.CANCELLED, timezone.now()
    row.outcome = f"Cancelled by {user.username}{': ' + reason if reason else ''}"[:500]
    row.save(update_fields=["state", "ended_at", "outcome"])
    requests.close(row, actor, "cancel", "approval-cancelled")
    _look(row)
    return Decided(row, True, row.outcome)


def _break_glass(
    actor: Actor,
    user: User,
    row: ApprovalRequest,
    digest: str,
    why: tuple[str, str],
    proof_at: datetime | None,
) -> Decided | Refusal:
    assert row.application is not None
    demand = _demand(row)
    if isinstance(demand, Refusal):
        return demand
    if proof_at is None or actor.via not in ("api", "admin", "web"):
        return Refusal("session_needed", "breaking the glass needs a person at a signed-in session")
    now = timezone.now()
    if now - proof_at > PROOF_LIVES:
        return Refusal("proof_needed", "your sign-in is older than ten minutes: give your password again")
    voter = people.voter(user, row.application.project)
    if not voter.active or not all(voter.subjects & set(names) for names in demand.break_glass):
        return Refusal("no_permission", "the policies do not let you break the glass")
    if row.state not in requests.OPEN:
        return Refusal("closed", f"approval {row.number} is {row.state}")
    if row.break_glass:
        return Refusal("closed", f"{row.break_glass['by']} broke the glass already")
    if digest != row.digest:
        return Refusal("stale", f"approval {row.number} is about another plan; read it again")
    reason, ticket = why
    row.break_glass = {
        "by": user.username,
        "user": str(user.pk),
        "reason": reason[:500],
        "ticket": ticket[:200],
        "at": now.isoformat(),
        "proof_at": proof_at.isoformat(),
        "windows": demand.break_glass_windows,
        "policies": list(demand.policies),
        "review_due": _working_days(now, REVIEW_WORKING_DAYS).isoformat(),
    }
    row.outcome = f"Glass broken by {user.username}: {reason} ({ticket})"[:500]
    row.save(update_fields=["break_glass", "outcome"])
    _audit(actor, "break glass", row, row.outcome, policies=list(demand.policies))
    key = f"ap/{row.number}/break-glass"
    telling.tell(
        row, "break-glass", key, f"{telling.title(row)}: {row.outcome}", severity="critical", demand=demand
    )
    _look(row)
    return Decided(row, True, row.outcome)


def _working_days(start: datetime, count: int) -> datetime:
    """So many working days later; Saturdays and Sundays are none."""
    day = start
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def _review(actor: Actor, user: User, row: ApprovalRequest, text: str) -> Decided | Refusal:
    assert row.application is not None
    demand = demand_of(row)
    if not row.break_glass or row.break_glass.get("reviewed_by"):
        return Refusal("closed", f"approval {row.number} has nothing to review")
    if row.break_glass.get("user") == str(user.pk):
        return Refusal("self", "somebody else must review what you did")
    if not rights.may(user, "sync", row.application.project):
        if demand is None:
            return Refusal("no_permission", "only who may sync the application may review this")
        against = ineligible(people.voter(user, row.application.project), requests.question(row, demand))
        if against is not None and against.code in ("inactive", "no_permission", "not_member"):
            return against
    row.break_glass = {**row.break_glass, "reviewed_by": user.username, "review": text[:500]}
    row.save(update_fields=["break_glass"])
    _audit(actor, "review", row, text)
    key = f"ap/{row.number}/review"
    telling.tell(row, "post-review", key, f"{telling.title(row)}: reviewed by {user.username}")
    return Decided(row, True, "reviewed")


def _audit(actor: Actor, action: str, row: ApprovalRequest, reason: str, **more: object) -> None:
    audit.record(
        actor,
        action,
        resource="approval",
        name=str(row),
        project=row.project,
        reason=reason,
        after={"digest": row.digest, "round": row.round, **more},
        level=3,
    )


def _tell_vote(
    row: ApprovalRequest, vote: Vote, change: str, text: str, demand: Demand, votes: Tally
) -> None:
    missing = still_open(votes)
    summary = f"{telling.title(row)}: {text}{', needs ' + missing if missing else ''}"
    telling.tell(
        row,
        "approval-voted",
        f"ap/{row.number}/vote/{vote.pk}/{change}",
        summary,
        demand=demand,
        tally=votes,
    )


def _look(row: ApprovalRequest) -> None:
    if row.application is not None:
        looks.ask([row.application.id], level=LEVEL_USER)
