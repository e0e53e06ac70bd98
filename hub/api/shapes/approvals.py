"""Shapes of approvals and their policies."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from hub.api.shapes.fields import flag, make, moment, number, objects, text, texts

_SUMMARY: dict[str, Any] = {
    "number": number(),
    "application": text(),
    "project": text(),
    "kind": text(),
    "state": text(),
    "plan_digest": text(),
    "requester": s.DictField(required=False),
    "created_at": moment(),
    "expires_at": moment(),
    "superseded_by": s.IntegerField(required=False, allow_null=True),
}
ApprovalSummary = make("ApprovalSummary", "A line of a list.", **_SUMMARY)
Approval = make(
    "Approval",
    "A request for consent to one plan.",
    **_SUMMARY,
    round=number(),
    reason=text(),
    outcome=text(),
    plan=s.DictField(required=False),
    policies=texts(),
    authors_complete=flag(),
    votes=objects(),
    missing=text(),
    counted=s.DictField(required=False),
    approved_at=moment(),
    use_by=moment(),
    ended_at=moment(),
    operation=s.UUIDField(required=False, allow_null=True),
    break_glass=s.DictField(required=False),
)
NewVote = make(
    "NewVote",
    "You vote on the digest that you saw; a rejection needs a reason.",
    decision=s.CharField(),
    plan_digest=s.CharField(),
    reason=text(),
)
Reason = make("Reason", "Why.", reason=text())
Text = make("Text", "What you found.", text=s.CharField())
BrokenGlass = make(
    "BrokenGlass",
    "The plan you saw, why it cannot wait, and where that is followed up.",
    plan_digest=s.CharField(),
    reason=s.CharField(),
    ticket=s.CharField(),
)
_POLICY: dict[str, Any] = {
    "name": s.CharField(),
    "description": text(),
    "enabled": flag(),
    "scope": s.DictField(required=False),
    "require": objects(),
    "no_self": flag(),
    "no_authors": flag(),
    "step_up": flag(),
    "ttl": text(),
    "use_within": text(),
    "break_glass": texts(),
    "break_glass_windows": flag(),
    "destinations": texts(),
}
ApprovalPolicyDocument = make("ApprovalPolicyDocument", "Which operations need whose consent.", **_POLICY)
ApprovalPolicyPatch = make(
    "ApprovalPolicyPatch",
    "What changes.",
    **{name: field for name, field in _POLICY.items() if name != "name"},
)
ApprovalPolicy = make(
    "ApprovalPolicy",
    "A policy in force.",
    **_POLICY,
    generation=number(),
    created_at=moment(),
    updated_at=moment(),
)
