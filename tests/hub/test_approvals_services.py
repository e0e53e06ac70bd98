"""Votes, quorums, ends: every transition with its audit line and its event (notifications.md 8)."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from hub.errors import HubError
from hub.models import (
    Application,
    ApprovalPolicy,
    ApprovalRequest,
    AuditEvent,
    Event,
    SyncOperation,
    Vote,
)
from hub.services import accounts, approvals
from hub.services.actors import SYSTEM
from hub.services.documents import InvalidDocument
from tests.hub import approvals as rows
from tests.hub import factories
from tests.hub.approvals import DIGEST, Cast, audited, lead, opened, person, policy, vote

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    made = Cast()
    policy()
    return made


def _events() -> list[str]:
    return list(Event.objects.order_by("id").values_list("name", flat=True))


def _operation(cast: Cast, **more: object) -> SyncOperation:
    return SyncOperation.objects.create(
        application=cast.app, number=SyncOperation.objects.count() + 1, phase="Running", **more
    )


def _fact(cast: Cast, operation: SyncOperation, digest: str = DIGEST, automated: bool = True):  # type: ignore[no-untyped-def]
    plan = {**rows.PLAN, "digest": digest}
    demand = approvals.demand_for(cast.app, "sync", plan)
    assert demand is not None
    return approvals.fact(cast.app, operation, plan, demand, automated=automated)


def test_two_of_two_leads_approve_and_the_claim_uses_it_up(cast: Cast) -> None:
    row = opened(cast.app)
    assert vote(cast.dan, row.number) == ""
    row.refresh_from_db()
    assert row.state == "pending"
    assert vote(cast.erin, row.number) == ""
    row.refresh_from_db()
    assert row.state == "approved"
    assert row.use_by is not None
    operation = _operation(cast)
    assert _fact(cast, operation).state == "approved"
    assert approvals.claim(cast.app, operation, DIGEST)
    assert approvals.claim(cast.app, operation, DIGEST), "a pass that died after its claim goes on"
    assert not approvals.claim(cast.app, _operation_of_somebody_else(cast, operation), DIGEST)
    SyncOperation.objects.filter(id=operation.id).update(phase="Succeeded")
    operation.refresh_from_db()
    approvals.ended(operation)
    row.refresh_from_db()
    assert (row.state, row.operation) == ("done", operation.id)
    assert _events() == [
        "approval-requested",
        "approval-voted",
        "approval-voted",
        "approval-approved",
        "approval-approved",
    ]
    assert [line[1] for line in audited()] == ["request approval", "approve", "approve", "execute approval"]


def _operation_of_somebody_else(cast: Cast, running: SyncOperation) -> SyncOperation:
    return SyncOperation(id=uuid.uuid4(), application=cast.app, number=99)


def test_one_person_is_one_vote(cast: Cast) -> None:
    """48: in three groups, clicks twice, then REST: one vote, 1 of 2."""
    for name in ("shop", "oncall"):
        cast.dan.groups.add(Group.objects.create(name=name))
    row = opened(cast.app)
    assert [vote(cast.dan, row.number) for _ in range(2)] == ["", ""]
    done = approvals.decide(
        person(cast.dan, "slack"), cast.dan, row.number, decision="approve", digest=DIGEST
    )
    assert (done.changed, Vote.objects.count()) == (False, 1)
    assert done.text == "you have voted already: 1 of 2 votes"
    assert len(audited(action="approve")) == 1


def test_the_requester_and_the_author_are_refused_and_audited(cast: Cast) -> None:
    cast.erin.email = "Erin@Example.com"
    cast.erin.save()
    requester = {"kind": "user", "id": str(cast.dan.pk), "name": "dan"}
    row = opened(cast.app, requester=requester, authors=frozenset(["erin@example.com"]))
    assert vote(cast.dan, row.number) == "self"
    assert vote(cast.erin, row.number) == "author"
    assert vote(cast.alice, row.number) == "not_member"
    assert audited(outcome="denied") == [
        ("dan", "approve", "denied", "self"),
        ("erin", "approve", "denied", "author"),
        ("alice", "approve", "denied", "not_member"),
    ]
    assert Vote.objects.count() == 0


def test_f14_rights_are_those_of_now(cast: Cast) -> None:
    """A stranger, an inactive person, a group that is bound elsewhere, an administrator whom no policy names."""
    from tests.hub import factories

    row = opened(cast.app)
    stranger = lead("carol", factories.project("bank"))
    cast.project.members.filter(group__name="platform-leads").delete()
    assert vote(stranger, row.number) == "no_permission"
    lead("carol", cast.project)
    stranger.is_active = False
    stranger.save()
    assert vote(stranger, row.number) == "inactive"
    dana = factories.user("dana", is_superuser=True, is_staff=True)
    assert vote(dana, row.number) == "not_member"
    assert vote(cast.dan, row.number, digest="e" * 64) == "stale"
    ApprovalRequest.objects.update(expires_at=timezone.now())
    assert vote(cast.dan, row.number) == "expired"
    assert [line[3] for line in audited(outcome="denied")] == [
        "no_permission",
        "inactive",
        "not_member",
        "stale",
        "expired",
    ]


def test_a_rejection_needs_a_reason_and_one_is_enough(cast: Cast) -> None:
    row = opened(cast.app)
    vote(cast.dan, row.number)
    with pytest.raises(InvalidDocument):
        vote(cast.erin, row.number, "reject", reason="  ")
    assert vote(cast.erin, row.number, "reject", reason="wrong week") == ""
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("rejected", "Rejected by erin: wrong week")
    assert vote(cast.dan, row.number, "reject", reason="too late") == "closed"
    card = Event.objects.get(name="approval-rejected").data["card"]
    assert card["lines"][0] == "Rejected by erin: wrong week"


def test_a_withdrawn_vote_unmakes_the_quorum_with_fresh_buttons(cast: Cast) -> None:
    row = opened(cast.app)
    vote(cast.dan, row.number)
    vote(cast.erin, row.number)
    before = ApprovalRequest.objects.get().expires_at
    approvals.withdraw(person(cast.dan), cast.dan, row.number)
    row.refresh_from_db()
    assert (row.state, row.round, row.expires_at) == ("pending", 2, before)
    assert Vote.objects.filter(ended_at__isnull=True).get().user == cast.erin
    with pytest.raises(approvals.ApprovalRefused) as refused:
        approvals.withdraw(person(cast.dan), cast.dan, row.number)
    assert refused.value.code == "not_yours"
    assert vote(cast.dan, row.number) == ""
    row.refresh_from_db()
    assert row.state == "approved"


def test_a_lost_role_unmakes_the_quorum(cast: Cast) -> None:
    """49: approved, then one leaves platform-leads: the execution check goes back to pending and says whose vote fell."""
    row = opened(cast.app)
    vote(cast.dan, row.number)
    vote(cast.erin, row.number)
    cast.dan.groups.clear()
    fact = _fact(cast, _operation(cast))
    assert (fact.state, fact.text) == ("pending", "1 of 2 votes; the vote of dan fell (no_permission)")
    row.refresh_from_db()
    assert (row.state, row.round) == ("pending", 2)
    assert not approvals.claim(cast.app, _operation_of_somebody_else(cast, _operation_new(cast)), DIGEST)


def _operation_new(cast: Cast) -> SyncOperation:
    return SyncOperation(application=cast.app, number=50)


def test_a_policy_that_asks_for_more_unmakes_the_quorum(cast: Cast) -> None:
    row = opened(cast.app)
    vote(cast.dan, row.number)
    vote(cast.erin, row.number)
    policy("more", 1, require=[{"from": ["user:alice"], "count": 1}])
    assert _fact(cast, _operation(cast)).state == "pending"
    assert vote(cast.alice, row.number) == ""
    row.refresh_from_db()
    assert row.state == "approved"


def test_a_newer_plan_supersedes_and_says_by_which(cast: Cast) -> None:
    old = opened(cast.app)
    new = opened(cast.app, digest="e" * 64)
    old.refresh_from_db()
    assert (old.state, old.superseded_by_id) == ("superseded", new.number)
    assert vote(cast.dan, old.number) == "stale"
    assert opened(cast.app, digest="e" * 64).number == new.number, "the same digest is the same request"
    told = Event.objects.get(name="approval-superseded")
    assert f"Superseded by approval {new.number}" in told.summary


def test_time_ends_a_request(cast: Cast) -> None:
    row = opened(cast.app)
    assert approvals.expire_due() == []
    ApprovalRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert approvals.expire_due() == [cast.app.id]
    row.refresh_from_db()
    assert row.state == "expired"
    assert Application.objects.get().look_level > 0
    assert _events() == ["approval-requested", "approval-expired"]


def test_an_approval_that_nobody_uses_expires(cast: Cast) -> None:
    row = opened(cast.app)
    vote(cast.dan, row.number)
    vote(cast.erin, row.number)
    ApprovalRequest.objects.update(use_by=timezone.now() - timedelta(seconds=1))
    assert not approvals.claim(cast.app, _operation(cast), DIGEST)
    approvals.expire_due()
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("expired", "Expired: nobody used it in time")


def test_automation_does_not_ask_again_for_what_was_rejected_but_a_person_may(cast: Cast) -> None:
    row = opened(cast.app)
    vote(cast.dan, row.number, "reject", reason="no")
    operation = _operation(cast)
    assert _fact(cast, operation).state == "rejected"
    assert _fact(cast, operation, automated=False).state == "missing"
    assert _fact(cast, operation, "e" * 64).state == "missing"


def test_cancelling_is_for_who_asked_or_may_sync(cast: Cast) -> None:
    requester = {"kind": "user", "id": str(cast.bob.pk), "name": "bob"}
    row = opened(cast.app, requester=requester)
    with pytest.raises(approvals.ApprovalRefused) as refused:
        approvals.cancel(person(cast.dan), cast.dan, row.number)
    assert refused.value.code == "no_permission"
    approvals.cancel(person(cast.bob), cast.bob, row.number, reason="not now")
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("cancelled", "Cancelled by bob: not now")


def test_the_glass_breaks_for_those_the_policy_names_and_is_reviewed_by_another(cast: Cast) -> None:
    ApprovalPolicy.objects.all().delete()
    policy(break_glass=["user:alice"])
    row = opened(cast.app)

    def broken(user, actor=None, proof=None, digest=DIGEST) -> str:  # type: ignore[no-untyped-def]
        try:
            approvals.break_glass(
                actor or person(user),
                user,
                row.number,
                digest=digest,
                reason="down",
                ticket="INC-1",
                proof_at=proof,
            )
        except approvals.ApprovalRefused as refusal:
            return refusal.code
        return ""

    now = timezone.now()
    assert broken(cast.alice) == "session_needed"
    assert broken(cast.alice, person(cast.alice, "slack"), now) == "session_needed"
    assert broken(cast.dan, proof=now) == "no_permission"
    assert broken(cast.alice, proof=now, digest="e" * 64) == "stale"
    assert broken(cast.alice, proof=now) == ""
    event = Event.objects.get(name="break-glass")
    assert (event.severity, "INC-1" in event.summary) == ("critical", True)
    operation = _operation(cast)
    assert _fact(cast, operation).state == "approved"
    assert not approvals.overrides_windows(operation)
    assert approvals.claim(cast.app, operation, DIGEST)
    row.refresh_from_db()
    assert row.state == "executing"
    assert row.break_glass["review_due"]
    with pytest.raises(approvals.ApprovalRefused):
        approvals.review(person(cast.alice), cast.alice, row.number, text="fine")
    approvals.review(person(cast.dan), cast.dan, row.number, text="it was down")
    row.refresh_from_db()
    assert row.break_glass["reviewed_by"] == "dan"


def test_a_review_that_is_due_is_remembered_daily_until_it_is_made(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    ApprovalPolicy.objects.all().delete()
    policy(break_glass=["user:alice"])
    row = opened(cast.app)
    began = timezone.now()
    approvals.break_glass(
        person(cast.alice),
        cast.alice,
        row.number,
        digest=DIGEST,
        reason="down",
        ticket="INC-1",
        proof_at=began,
    )

    def reminders(days: float) -> int:
        monkeypatch.setattr(timezone, "now", lambda: began + timedelta(days=days))
        approvals.remind()
        return Event.objects.filter(name="post-review-due").count()

    assert [reminders(days) for days in (0, 2.9, 6, 6, 7)] == [0, 0, 1, 1, 2]
    assert "the glass that alice broke" in Event.objects.filter(name="post-review-due").latest("id").summary
    approvals.review(person(cast.dan), cast.dan, row.number, text="it was down")
    assert reminders(8) == 2


def test_a_retry_is_covered_only_for_what_was_approved(cast: Cast) -> None:
    row = opened(cast.app)
    vote(cast.dan, row.number)
    vote(cast.erin, row.number)
    operation = _operation(cast)
    assert approvals.claim(cast.app, operation, DIGEST)
    demand = approvals.demand_for(cast.app, "sync", rows.PLAN)
    assert demand is not None

    def covered(**change: object) -> str:
        plan = {**rows.PLAN, "digest": "e" * 64, **change}
        return approvals.fact(cast.app, operation, plan, demand, automated=True).state

    assert covered() == "approved"
    assert covered(prune=[{"key": "ConfigMap/shop/old"}]) == "cancelled"
    assert covered(hooks=[{"key": "batch/Job/shop/m", "phase": "PreSync", "decision": "run"}]) == "cancelled"
    assert covered(shas=["b" * 40]) == "cancelled"


def test_the_end_of_the_operation_ends_what_waited_for_it(cast: Cast) -> None:
    operation = _operation(cast)
    row = opened(cast.app)
    ApprovalRequest.objects.update(asked_for=operation.id)
    operation.phase, operation.message = "Failed", "Operation terminated"
    approvals.ended(operation)
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("cancelled", "The operation ended: Operation terminated")


def test_the_end_of_the_application_voids_its_requests(cast: Cast) -> None:
    row = opened(cast.app)
    approvals.close_for_deleted(cast.app)
    cast.app.delete()
    row.refresh_from_db()
    assert (row.state, row.application) == ("superseded", None)
    assert vote(cast.dan, row.number) == "not_found"


def test_policies_are_judged_before_they_are_stored(cast: Cast) -> None:
    with pytest.raises(InvalidDocument) as refused:
        approvals.create_policy(SYSTEM, {"name": "x", "require": [{"from": ["nobody"]}]})
    assert "require[0].from[0]" in refused.value.fields


def test_the_same_vote_again_on_a_superseded_request_is_stale(cast: Cast) -> None:
    """52: the vote that stands there is worth nothing any more, and whoever repeats it is told so."""
    first = opened(cast.app)
    assert vote(cast.dan, first.number) == ""
    assert vote(cast.dan, first.number) == ""
    second = opened(cast.app, digest="e" * 64)
    with pytest.raises(approvals.ApprovalRefused) as refused:
        approvals.decide(person(cast.dan), cast.dan, first.number, decision="approve", digest=DIGEST)
    assert (refused.value.code, f"by {second.number}" in refused.value.message) == ("stale", True)


def test_a_glass_is_broken_once_with_a_fresh_proof_and_the_audit_keeps_the_policy(cast: Cast) -> None:
    ApprovalPolicy.objects.all().delete()
    policy(break_glass=["user:alice", "user:bob"])
    row = opened(cast.app)

    def broken(user, age_min: float) -> str:  # type: ignore[no-untyped-def]
        proof = timezone.now() - timedelta(minutes=age_min)
        try:
            approvals.break_glass(
                person(user), user, row.number, digest=DIGEST, reason="down", ticket="I", proof_at=proof
            )
        except approvals.ApprovalRefused as refusal:
            return refusal.code
        return ""

    assert broken(cast.alice, age_min=11) == "proof_needed"
    assert broken(cast.alice, age_min=9) == ""
    assert broken(cast.bob, age_min=1) == "closed"
    row.refresh_from_db()
    assert row.break_glass["by"] == "alice"
    assert AuditEvent.objects.get(action="break glass", outcome="done").after["policies"] == ["prod"]


def test_a_review_without_a_policy_is_for_owners(cast: Cast) -> None:
    ApprovalPolicy.objects.all().delete()
    policy(break_glass=["user:dan"])
    row = opened(cast.app)
    approvals.break_glass(
        person(cast.dan),
        cast.dan,
        row.number,
        digest=DIGEST,
        reason="down",
        ticket="INC-1",
        proof_at=timezone.now(),
    )
    ApprovalPolicy.objects.all().delete()
    with pytest.raises(approvals.ApprovalRefused) as refused:
        approvals.review(person(cast.bob), cast.bob, row.number, text="fine")
    assert refused.value.code == "no_permission"
    approvals.review(person(cast.alice), cast.alice, row.number, text="fine")


def test_a_vote_is_taken_back_although_no_policy_asks_at_the_moment(cast: Cast) -> None:
    row = opened(cast.app)
    assert vote(cast.dan, row.number) == ""
    ApprovalPolicy.objects.update(enabled=False)
    approvals.withdraw(person(cast.dan), cast.dan, row.number, why="unlinked")
    ApprovalPolicy.objects.update(enabled=True)
    assert row.votes.filter(ended_at__isnull=True).count() == 0
    assert vote(cast.erin, row.number) == ""
    row.refresh_from_db()
    assert row.state == "pending"


def test_an_application_that_moves_is_asked_about_among_its_new_people(cast: Cast) -> None:
    first = opened(cast.app)
    for user in (cast.dan, cast.erin):
        assert vote(user, first.number) == ""
    cast.app.project = factories.project("bank")
    cast.app.save(update_fields=["project"])
    assert _fact(cast, _operation(cast)).state == "missing"
    first.refresh_from_db()
    assert (first.state, "project bank" in first.outcome) == ("superseded", True)


def test_who_voted_is_switched_off_and_never_deleted(cast: Cast) -> None:
    row = opened(cast.app)
    assert vote(cast.dan, row.number) == ""
    with pytest.raises(HubError) as refused:
        accounts.delete(SYSTEM, cast.dan)
    assert (refused.value.code, refused.value.status) == ("account_has_voted", 409)
    assert Vote.objects.get().user == cast.dan
