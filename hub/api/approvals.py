"""Consent by REST: /approvals with votes, and /approval-policies for the platform team (notifications.md 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.changes as changes
import hub.api.errors as errors
import hub.api.nudging as nudging
from hub.api.access import administrators_only, person
from hub.api.docs import documented
from hub.api.door import Door, document_of, etag, expected_generation, merged, not_modified, rehearse
from hub.api.lists import Listing, equals, one_of
from hub.api.requests import actor
from hub.api.shapes import approvals as shapes
from hub.core.approvals import still_open
from hub.errors import HubError
from hub.models import ApiToken, ApprovalPolicy, ApprovalRequest, Vote
from hub.services import approvals, rights
from hub.services.approvals.deciding import Decided

READONLY = ("generation", "created_at", "updated_at", "dry_run")


def summary(row: ApprovalRequest) -> dict[str, Any]:
    return {
        "number": row.number,
        "application": row.app_name,
        "project": row.project,
        "kind": row.kind,
        "state": row.state,
        "plan_digest": row.digest,
        "requester": row.requester,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "superseded_by": row.superseded_by_id,
    }


def detail(row: ApprovalRequest) -> dict[str, Any]:
    demand = approvals.demand_of(row) if row.state in ("pending", "approved") else None
    votes = approvals.tally_of(row, demand) if demand is not None else None
    return summary(row) | {
        "round": row.round,
        "reason": row.reason,
        "outcome": row.outcome,
        "plan": row.plan,
        "policies": row.policies,
        "authors_complete": row.authors_complete,
        "votes": [_vote(vote) for vote in row.votes.select_related("user")],
        "missing": still_open(votes) if votes else "",
        "counted": {"votes": votes.votes, "needed": votes.needed} if votes else {},
        "approved_at": row.approved_at,
        "use_by": row.use_by,
        "ended_at": row.ended_at,
        "operation": str(row.operation) if row.operation else None,
        "break_glass": {name: value for name, value in row.break_glass.items() if name != "user"},
    }


def _vote(vote: Vote) -> dict[str, Any]:
    return {
        "user": vote.user.username,
        "decision": vote.decision,
        "reason": vote.reason,
        "via": vote.via,
        "at": vote.at,
        "ended_at": vote.ended_at,
        "ended_why": vote.ended_why,
    }


LIST = Listing(
    route="approvals",
    sorts={"number": ("number",)},
    default="-number",
    show=summary,
    filters={
        "application": equals("app_name"),
        "project": equals("project"),
        "kind": equals("kind"),
        "state": one_of("state", ApprovalRequest.State.values, "state"),
    },
)


def find(request: Request, number: int) -> ApprovalRequest:
    row = approvals.visible(person(request)).filter(number=number).first()
    if row is None:
        raise rights.NotFound("approval")
    return row


def _text(document: dict[str, Any], name: str, *, required: bool = False) -> str:
    value = document.get(name, "")
    if not isinstance(value, str) or (required and not value):
        raise HubError("invalid", f"{name} must be text", "see /api/v1/docs")
    return value


def _body(request: Request, *known: str) -> dict[str, Any]:
    document = document_of(request) if request.data else {}
    if unknown := sorted(set(document) - set(known)):
        raise HubError("invalid", f"{unknown[0][:40]} is not a field here", f"known are {', '.join(known)}")
    return document


def answered(act: Callable[[], Decided], created: int = 200) -> Response:
    """The request after the act. A refusal is answered here, so that no transaction around takes its audit back."""
    try:
        done = act()
    except approvals.ApprovalRefused as refusal:
        return Response(errors.body(refusal.code, refusal.message, refusal.hint), status=refusal.status)
    app = done.request.application
    if done.changed and app is not None:
        nudging.look([app.id])
        nudging.tell()
    return Response(detail(done.request), status=created if done.changed else 200)


class Approvals(Door):
    @documented("Approvals you may see, newest first", listing=LIST, item=shapes.ApprovalSummary)
    def get(self, request: Request) -> Response:
        return Response(LIST.answer(request, approvals.visible(person(request))))


class OneApproval(Door):
    @documented("One approval: plan, votes, what is missing", answer=shapes.Approval)
    def get(self, request: Request, number: int) -> Response:
        return Response(detail(find(request, number)))


class Votes(Door):
    @documented(
        "Approve or reject the plan with the digest you saw",
        body=shapes.NewVote,
        answer=shapes.Approval,
        status=201,
    )
    def post(self, request: Request, number: int) -> Response:
        find(request, number)
        document = _body(request, "decision", "plan_digest", "reason")
        decision = _text(document, "decision", required=True)
        digest, reason = _text(document, "plan_digest", required=True), _text(document, "reason")
        who, user = actor(request), person(request)
        return answered(
            lambda: approvals.decide(who, user, number, decision=decision, digest=digest, reason=reason), 201
        )


class MyVote(Door):
    @documented("Take your vote back", answer=shapes.Approval)
    def delete(self, request: Request, number: int) -> Response:
        find(request, number)
        return answered(lambda: approvals.withdraw(actor(request), person(request), number))


class Cancel(Door):
    @documented("Cancel a request that was not executed", body=shapes.Reason, answer=shapes.Approval)
    def post(self, request: Request, number: int) -> Response:
        find(request, number)
        reason = _text(_body(request, "reason"), "reason")
        return answered(lambda: approvals.cancel(actor(request), person(request), number, reason=reason))


class BreakGlass(Door):
    @documented(
        "Execute without the quorum, in an emergency, from a signed-in session",
        body=shapes.BrokenGlass,
        answer=shapes.Approval,
    )
    def post(self, request: Request, number: int) -> Response:
        find(request, number)
        document = _body(request, "plan_digest", "reason", "ticket")
        digest, reason = _text(document, "plan_digest", required=True), _text(document, "reason")
        ticket = _text(document, "ticket")
        # Until there is a step-up, the proof is the sign-in of this session; a token has none.
        proof = None if isinstance(request.auth, ApiToken) else person(request).last_login
        who, user = actor(request), person(request)
        return answered(
            lambda: approvals.break_glass(
                who, user, number, digest=digest, reason=reason, ticket=ticket, proof_at=proof
            )
        )


class Review(Door):
    @documented("Review a broken glass, as another person", body=shapes.Text, answer=shapes.Approval)
    def post(self, request: Request, number: int) -> Response:
        find(request, number)
        text = _text(_body(request, "text"), "text", required=True)
        return answered(lambda: approvals.review(actor(request), person(request), number, text=text))


def policy(row: ApprovalPolicy) -> dict[str, Any]:
    return approvals.policy_document(row) | {
        "generation": row.generation,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


POLICIES = Listing(
    route="approval-policies",
    sorts={"name": ("name",)},
    default="name",
    show=policy,
    filters={"enabled": lambda value: Q(enabled=value == "true")},
)


def find_policy(request: Request, name: str) -> ApprovalPolicy:
    administrators_only(request)
    row = ApprovalPolicy.objects.filter(name=name).first()
    if row is None:
        raise rights.NotFound("approval policy")
    return row


class Policies(Door):
    @documented("Approval policies", listing=POLICIES, item=shapes.ApprovalPolicy)
    def get(self, request: Request) -> Response:
        administrators_only(request)
        return Response(POLICIES.answer(request, ApprovalPolicy.objects.all()))

    @documented(
        "Create an approval policy",
        body=shapes.ApprovalPolicyDocument,
        answer=shapes.ApprovalPolicy,
        status=201,
        dry_run=True,
    )
    def post(self, request: Request) -> Response:
        administrators_only(request)
        document = document_of(request, READONLY)

        def create() -> dict[str, Any]:
            return policy(approvals.create_policy(actor(request), document))

        if self.dry_run:
            return Response(rehearse(create))
        answer = create()
        return Response(answer, status=201, headers=etag(answer["generation"]))


class OnePolicy(Door):
    @documented("One approval policy", answer=shapes.ApprovalPolicy)
    def get(self, request: Request, name: str) -> Response:
        row = find_policy(request, name)
        if not_modified(request, row.generation):
            return Response(status=304, headers=etag(row.generation))
        return Response(policy(row), headers=etag(row.generation))

    @documented(
        "Replace an approval policy",
        body=shapes.ApprovalPolicyDocument,
        answer=shapes.ApprovalPolicy,
        match=True,
        dry_run=True,
    )
    def put(self, request: Request, name: str) -> Response:
        return self._change(request, name)

    @documented(
        "Change an approval policy (JSON merge patch)",
        body=shapes.ApprovalPolicyPatch,
        answer=shapes.ApprovalPolicy,
        match=True,
        dry_run=True,
    )
    def patch(self, request: Request, name: str) -> Response:
        return self._change(request, name)

    def _change(self, request: Request, name: str) -> Response:
        row = find_policy(request, name)
        generation = expected_generation(
            request, row.generation, changes.since("approval-policy", name, row.generation)
        )
        document = merged(request, approvals.policy_document(row), READONLY)

        def change() -> dict[str, Any]:
            return policy(
                approvals.update_policy(actor(request), row, document, expected_generation=generation)
            )

        if self.dry_run:
            return Response(rehearse(change))
        answer = change()
        return Response(answer, headers=etag(answer["generation"]))

    @documented("Delete an approval policy", status=204)
    def delete(self, request: Request, name: str) -> Response:
        approvals.delete_policy(actor(request), find_policy(request, name))
        return Response(status=204)
