"""What tests of consent in the hall share: two leads, their votes, what is open, and what the cluster shows."""

from __future__ import annotations

import pytest

from hub.models import Application, ApprovalRequest, User
from hub.services import approvals
from tests.flow.conftest import World
from tests.hub.approvals import lead, person


def colour(world: World, name: str = "settings") -> str:
    """The colour in a ConfigMap of the cluster, empty when it is not there."""
    found = world.kube.get("v1", "ConfigMap", name, "shop")
    return str(found["data"]["colour"]) if found else ""


def waits(app: Application) -> bool:
    return ApprovalRequest.objects.filter(application=app, state="pending").exists()


def open_request() -> ApprovalRequest:
    return ApprovalRequest.objects.get(state__in=["pending", "approved"])


def vote(user: User, row: ApprovalRequest) -> None:
    approvals.decide(person(user), user, row.number, decision="approve", digest=row.digest)


@pytest.fixture
def leads(world: World) -> tuple[User, User]:
    return lead("dan", world.project), lead("erin", world.project)
