"""Approvals by REST: the same `decide`, rights, digests, refusals that stay in the audit, policies for administrators."""

from __future__ import annotations

import pytest

from hub.models import ApiToken, ApprovalPolicy, AuditEvent, User
from hub.services import accounts
from tests.hub.approvals import DIGEST, LEADS, Cast, audited, lead, opened, person, policy
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
VOTE = {"decision": "approve", "plan_digest": DIGEST}


@pytest.fixture
def cast() -> Cast:
    made = Cast()
    policy(break_glass=["user:alice"])
    return made


def test_two_votes_approve_and_the_answer_says_what_is_missing(cast: Cast, nudged: list[object]) -> None:
    number = opened(cast.app).number
    first = Api(cast.dan).post(f"/approvals/{number}/votes", VOTE)
    assert (first.status_code, first.json()["missing"]) == (201, "1 of platform-leads")
    assert Api(cast.dan).post(f"/approvals/{number}/votes", VOTE).status_code == 200
    second = Api(cast.erin).post(f"/approvals/{number}/votes", VOTE)
    assert (second.status_code, second.json()["state"]) == (201, "approved")
    assert ("look", [cast.app.id]) in nudged
    shown = Api(cast.bob).get(f"/approvals/{number}").json()
    assert [(vote["user"], vote["decision"]) for vote in shown["votes"]] == [
        ("dan", "approve"),
        ("erin", "approve"),
    ]
    assert shown["plan"]["changes"] == [{"key": "apps/Deployment/shop/web", "action": "apply"}]


def test_refusals_have_their_code_and_status_and_are_audited_once(cast: Cast) -> None:
    number = opened(cast.app).number
    path = f"/approvals/{number}/votes"
    refused = Api(cast.bob).post(path, VOTE)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_member")
    stale = Api(cast.dan).post(path, {**VOTE, "plan_digest": "e" * 64})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")
    with_key = Api(cast.bob).post(path, VOTE, Idempotency_Key="k1")
    assert with_key.status_code == 403
    assert audited(outcome="denied") == [
        ("bob", "approve", "denied", "not_member"),
        ("dan", "approve", "denied", "stale"),
        ("bob", "approve", "denied", "not_member"),
    ]
    assert not AuditEvent.objects.filter(action__startswith="POST").exists()
    assert Api(cast.dan).post(path, {"decision": "approve"}).status_code == 400
    assert Api(cast.dan).post(path, {**VOTE, "decision": "maybe"}).status_code == 422
    no_reason = Api(cast.dan).post(path, {**VOTE, "decision": "reject"})
    assert (no_reason.status_code, no_reason.json()["fields"]) == (
        422,
        {"reason": ["a rejection needs a reason"]},
    )


def test_strangers_find_nothing(cast: Cast, charlie: User) -> None:
    number = opened(cast.app).number
    assert Api(charlie).get("/approvals").json()["items"] == []
    hidden, missing = (Api(charlie).get(f"/approvals/{n}") for n in (number, number + 1))
    assert (hidden.status_code, hidden.content) == (404, missing.content)
    assert Api(charlie).post(f"/approvals/{number}/votes", VOTE).status_code == 404
    assert Api().get("/approvals").status_code == 401
    listed = Api(cast.bob).get("/approvals?state=pending&application=web").json()["items"]
    assert [row["number"] for row in listed] == [number]


def test_votes_are_taken_back_and_requests_cancelled(cast: Cast) -> None:
    number = opened(cast.app).number
    Api(cast.dan).post(f"/approvals/{number}/votes", VOTE)
    taken = Api(cast.dan).delete(f"/approvals/{number}/votes/mine")
    assert (taken.status_code, taken.json()["round"], taken.json()["counted"]["votes"]) == (200, 2, 0)
    assert Api(cast.dan).delete(f"/approvals/{number}/votes/mine").json()["code"] == "not_yours"
    assert Api(cast.bob).post(f"/approvals/{number}/cancel", {}).status_code == 403
    assert (
        Api(cast.alice).post(f"/approvals/{number}/cancel", {"reason": "no"}).json()["state"] == "cancelled"
    )
    assert Api(cast.alice).post(f"/approvals/{number}/cancel", {}).json()["code"] == "closed"


def test_the_glass_breaks_from_a_session_and_never_by_token(cast: Cast) -> None:
    number = opened(cast.app).number
    body = {"plan_digest": DIGEST, "reason": "down", "ticket": "INC-1"}
    _, secret = accounts_token(cast.alice)
    by_token = Api()("POST", f"/approvals/{number}/break-glass", body, Authorization=f"Bearer {secret}")
    assert (by_token.status_code, by_token.json()["code"]) == (403, "session_needed")
    missing = Api(cast.alice).post(f"/approvals/{number}/break-glass", {**body, "ticket": ""})
    assert missing.json()["fields"] == {"ticket": ["is required"]}
    done = Api(cast.alice).post(f"/approvals/{number}/break-glass", body)
    assert (done.status_code, done.json()["break_glass"]["by"]) == (200, "alice")
    reviewed = Api(cast.dan).post(f"/approvals/{number}/review", {"text": "agreed"})
    assert reviewed.json()["break_glass"]["reviewed_by"] == "dan"


def accounts_token(user: User) -> tuple[ApiToken, str]:
    return accounts.create_token(person(user), user, {"name": "ci"})


def test_policies_are_for_administrators(cast: Cast, dana: User) -> None:
    body = {"name": "more", "require": [{"from": [LEADS], "count": 1}], "ttl": "2h"}
    assert Api(cast.alice).post("/approval-policies", body).status_code == 404
    assert Api(dana).post("/approval-policies?dry_run=true", body).status_code == 200
    assert ApprovalPolicy.objects.count() == 1
    made = Api(dana).post("/approval-policies", body)
    assert (made.status_code, made["ETag"]) == (201, '"1"')
    assert Api(dana).patch("/approval-policies/more", {"ttl": "1h"}).status_code == 428
    changed = Api(dana).patch("/approval-policies/more", {"ttl": "1h"}, If_Match='"1"')
    assert (changed.json()["ttl"], changed.json()["generation"]) == ("1h", 2)
    wrong = Api(dana).put("/approval-policies/more", {**body, "ttl": "soon"}, If_Match="*")
    assert (wrong.status_code, list(wrong.json()["fields"])) == (422, ["ttl"])
    assert [row["name"] for row in Api(dana).get("/approval-policies").json()["items"]] == ["more", "prod"]
    assert Api(dana).delete("/approval-policies/more").status_code == 204
    assert Api(dana).get("/approval-policies/more").status_code == 404


def test_everything_is_in_the_schema(dana: User) -> None:
    paths = Api(dana).get("/schema").content.decode()
    for route in (
        "/approvals/{number}/votes",
        "/approvals/{number}/break-glass",
        "/approval-policies/{name}",
    ):
        assert route in paths


def test_leads_of_another_project_are_not_leads_here(cast: Cast, bank: object) -> None:
    carol = lead("carol", bank)  # type: ignore[arg-type]
    number = opened(cast.app).number
    assert Api(carol).post(f"/approvals/{number}/votes", VOTE).status_code == 201, (
        "the group is bound here too"
    )
    cast.project.members.filter(group__isnull=False).delete()
    assert Api(carol).post(f"/approvals/{number}/votes", VOTE).status_code == 404
