"""The cast and the rows of the approval tests: two leads, an author, one application whose syncs need two of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import Group

from hub.models import Application, ApprovalRequest, AuditEvent, Project, ProjectMember, User
from hub.services import approvals
from hub.services.actors import SYSTEM, Actor
from tests.hub import factories

LEADS = "group:local:platform-leads"
DIGEST = "d" * 64
PLAN = {
    "digest": DIGEST,
    "kind": "sync",
    "revisions": [{"repo": "https://git.example.com/shop/web.git", "sha": "a" * 40, "short": "a" * 7}],
    "shas": ["a" * 40],
    "manifests": "m" * 64,
    "cluster": "dev",
    "changes": [{"key": "apps/Deployment/shop/web", "action": "apply"}],
    "change_count": 1,
    "prune": [],
    "prune_count": 0,
    "hooks": [],
    "hook_count": 0,
}


def lead(name: str, project: Project) -> User:
    """Somebody of platform-leads, whose group is bound to the Project."""
    user = User.objects.filter(username=name).first() or factories.user(name)
    group, _ = Group.objects.get_or_create(name="platform-leads")
    user.groups.add(group)
    ProjectMember.objects.get_or_create(project=project, group=group, defaults={"role": "reader"})
    return user


def policy(name: str = "prod", count: int = 2, **more: Any) -> None:
    document = {
        "name": name,
        "scope": {"kinds": ["sync", "prune"]},
        "require": [{"from": [LEADS], "count": count}],
    }
    approvals.create_policy(SYSTEM, {**document, **more})


def person(user: User, via: str = "api") -> Actor:
    return Actor(kind="user", id=str(user.pk), name=user.username, via=via)


def opened(app: Application, digest: str = DIGEST, **more: Any) -> ApprovalRequest:
    """A request for the plan with this digest, as a pass of the hall asks it."""
    plan = {**PLAN, **more.pop("plan", {}), "digest": digest}
    demand = approvals.demand_for(app, "sync", plan)
    assert demand is not None
    values = {"requester": {"kind": "automation", "name": "auto-sync"}, **more}
    ask = approvals.Ask(uuid.uuid4(), "sync", digest, plan, demand, **values)
    return approvals.open_request(app, ask)


def vote(user: User, number: int, decision: str = "approve", digest: str = DIGEST, **more: Any) -> str:
    """The code of the refusal, empty when the vote counts."""
    try:
        approvals.decide(person(user), user, number, decision=decision, digest=digest, **more)
    except approvals.ApprovalRefused as refusal:
        return refusal.code
    return ""


def audited(**filters: Any) -> list[tuple[str, str, str, str]]:
    """(who, what, outcome, code) of the audit lines about approvals."""
    rows = AuditEvent.objects.filter(resource="approval", **filters).order_by("id")
    return list(rows.values_list("actor_name", "action", "outcome", "code"))


@dataclass
class Cast:
    """Dan and Erin are platform leads, Alice owns the Project and is no lead, Bob reads it."""

    project: Project = field(default_factory=lambda: factories.project("shop"))
    app: Application = field(init=False)

    def __post_init__(self) -> None:
        self.app = factories.application("web", project=self.project)
        self.alice = factories.user("alice", "owner", self.project)
        self.bob = factories.user("bob", "reader", self.project)
        self.dan = lead("dan", self.project)
        self.erin = lead("erin", self.project)
