"""Approvals on pages: the one for everybody, and those of the admin site (notifications.md 8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hub.models import ApprovalPolicy, ApprovalRequest, AuditEvent, ChatIdentity, User
from hub.services import approvals
from hub.tasks import nudges
from tests.hub import factories
from tests.hub.approvals import DIGEST, LEADS, Cast, audited, opened, person, policy, vote

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(nudges, "look", lambda ids, **_: found.append(("look", list(ids))))
    monkeypatch.setattr(nudges, "send", lambda task, args, **_: found.append((task, *args)))
    return found


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    return client


def decide(client: Client, row: ApprovalRequest, what: str, **fields: str) -> Any:
    form = {"decision": what, "digest": row.digest, **fields}
    return client.post(f"/approvals/{row.number}", form, follow=True)


@pytest.fixture
def row(cast: Cast) -> ApprovalRequest:
    policy(break_glass=["user:alice"])
    plan = {"prune": [{"key": "ConfigMap/shop/old", "uid": "u"}], "prune_count": 1}
    return opened(cast.app, plan=plan, reason="<b>release</b>")


def test_a_lead_without_staff_rights_reads_the_plan_and_votes(
    cast: Cast, row: ApprovalRequest, sent: list[Any]
) -> None:
    client = browser(cast.dan)
    page = client.get(f"/approvals/{row.number}").content.decode()
    for said in ("apply apps/Deployment/shop/web", "ConfigMap/shop/old", "a" * 40, "2 of platform-leads"):
        assert said in page
    assert "&lt;b&gt;release&lt;/b&gt;" in page
    voted = decide(client, row, "approve").content.decode()
    assert "dan approved, 1 of 2 votes" in voted
    assert "1 of platform-leads" in voted
    assert list(row.votes.values_list("user__username", "via")) == [("dan", "web")]
    assert ("look", [cast.app.id]) in sent
    assert ("hub.dispatch_events",) in sent
    assert "withdrew the vote" in decide(client, row, "withdraw").content.decode()


def test_refusals_are_sentences_on_the_page_and_in_the_audit(cast: Cast, row: ApprovalRequest) -> None:
    refused = decide(browser(cast.bob), row, "approve")
    assert (refused.status_code, "this needs 2 of platform-leads" in refused.content.decode()) == (403, True)
    no_reason = decide(browser(cast.dan), row, "reject")
    assert (no_reason.status_code, "a rejection needs a reason" in no_reason.content.decode()) == (422, True)
    unseen = browser(cast.dan).post(f"/approvals/{row.number}", {"decision": "approve", "digest": "e" * 64})
    assert (unseen.status_code, "superseded" in unseen.content.decode()) == (409, True)
    assert audited(outcome="denied") == [
        ("bob", "approve", "denied", "not_member"),
        ("dan", "approve", "denied", "stale"),
    ]
    assert decide(browser(cast.dan), row, "reject", reason="wrong week").status_code == 200
    row.refresh_from_db()
    assert row.outcome == "Rejected by dan: wrong week"
    assert "Approve</button>" not in browser(cast.dan).get(f"/approvals/{row.number}").content.decode()


def test_strangers_find_nothing_and_who_is_not_signed_in_is_asked_to(
    cast: Cast, row: ApprovalRequest, charlie: User
) -> None:
    assert browser(charlie).get(f"/approvals/{row.number}").status_code == 404
    assert browser(cast.dan).get("/approvals/999").status_code == 404
    nobody = Client()
    assert nobody.get(f"/approvals/{row.number}").status_code == 401
    assert (
        nobody.post(f"/approvals/{row.number}", {"decision": "approve", "digest": DIGEST}).status_code == 401
    )
    assert Client(enforce_csrf_checks=True).post(f"/approvals/{row.number}", {}).status_code == 403
    in_ = nobody.post(f"/approvals/{row.number}", {"username": "dan", "password": "dan-has-a-long-password"})
    assert (in_.status_code, in_["Location"]) == (302, f"/approvals/{row.number}")


def test_the_glass_is_broken_and_reviewed_on_the_page(cast: Cast, row: ApprovalRequest) -> None:
    assert decide(browser(cast.alice), row, "break-glass", reason="down").status_code == 422
    done = decide(browser(cast.alice), row, "break-glass", reason="down", ticket="INC-1")
    assert "Glass broken by alice: down (INC-1)" in done.content.decode()
    assert "Reviewed</button>" in done.content.decode()
    assert decide(browser(cast.alice), row, "review", reason="fine").status_code == 403
    assert decide(browser(cast.dan), row, "review", reason="it was needed").status_code == 200
    row.refresh_from_db()
    assert row.break_glass["reviewed_by"] == "dan"


def test_an_old_sign_in_breaks_no_glass_until_the_password_is_given_again(
    cast: Cast, row: ApprovalRequest
) -> None:
    client, why = browser(cast.alice), {"reason": "down", "ticket": "INC-1"}
    User.objects.filter(pk=cast.alice.pk).update(last_login=timezone.now() - timedelta(hours=1))
    assert "give your password again" in decide(client, row, "break-glass", **why).content.decode()
    wrong = decide(client, row, "break-glass", password="guessed", **why)
    assert (wrong.status_code, "the password is another one" in wrong.content.decode()) == (403, True)
    right = decide(client, row, "break-glass", password="alice-has-a-long-password", **why)
    assert "Glass broken by alice" in right.content.decode()
    assert AuditEvent.objects.filter(action="prove", outcome="failed", actor_name="alice").count() == 1


# -- the admin site

FORM = {
    "name": "prod",
    "description": "",
    "enabled": "on",
    "scope": '{"applications": ["*-prod"], "kinds": ["sync"]}',
    "require": f'[{{"from": ["{LEADS}"], "count": 2}}]',
    "no_self": "on",
    "no_authors": "on",
    "ttl": "12h",
    "use_within": "",
    "break_glass": "[]",
    "destinations": '["slack:#ops"]',
}


def test_a_policy_is_made_changed_and_removed_with_clear_errors(dana: User) -> None:
    client, add = browser(dana), reverse("admin:hub_approvalpolicy_add")
    wrong = client.post(
        add,
        FORM
        | {
            "require": '[{"from": ["nobody"], "count": 0}]',
            "scope": '{"kinds": ["deploy"], "when": "1 +"}',
            "ttl": "30d",
        },
    )
    errors = wrong.context["adminform"].form.errors
    assert "require[0].from[0] must be group:local:<name>" in str(errors["require"]).replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert "require[0].count must be from 1 to 20" in str(errors["require"])
    assert "scope.kinds[0] must be one of sync" in str(errors["scope"])
    assert "scope.when" in str(errors["scope"])
    assert "must be a duration from 1m to 168h" in str(errors["ttl"])
    assert not ApprovalPolicy.objects.exists()
    assert client.post(add, FORM).status_code == 302
    stored = ApprovalPolicy.objects.get()
    assert stored.document["ttl"] == "12h"
    assert stored.document["no_authors"] is True
    change = reverse("admin:hub_approvalpolicy_change", args=[stored.pk])
    shown = client.get(change).content.decode()
    assert "platform-leads" in shown
    without = {name: value for name, value in FORM.items() if name != "no_self"}
    assert client.post(change, without).status_code == 302
    stored.refresh_from_db()
    assert (stored.document["no_self"], stored.generation) == (False, 2)
    gone = client.post(reverse("admin:hub_approvalpolicy_delete", args=[stored.pk]), {"post": "yes"})
    assert (gone.status_code, ApprovalPolicy.objects.count()) == (302, 0)
    rows = AuditEvent.objects.filter(resource="approval-policy", via="admin").order_by("id")
    assert [row.action for row in rows] == ["create", "update", "delete"]


def test_policies_and_identities_are_for_administrators(cast: Cast) -> None:
    cast.alice.is_staff = True
    cast.alice.save()
    policy()
    client = browser(cast.alice)
    assert client.get(reverse("admin:hub_approvalpolicy_changelist")).status_code == 403
    ChatIdentity.objects.create(user=cast.dan, issuer="slack:T1", sub="UDAN")
    assert "UDAN" not in client.get(reverse("admin:hub_chatidentity_changelist")).content.decode()


def test_a_request_is_read_and_decided_beside_its_plan(cast: Cast, row: ApprovalRequest) -> None:
    cast.dan.is_staff = True
    cast.dan.save()
    client = browser(cast.dan)
    listed = client.get(
        reverse("admin:hub_approvalrequest_changelist"), {"state": "pending"}
    ).content.decode()
    assert f">{row.number}<" in listed
    page = client.get(reverse("admin:hub_approvalrequest_change", args=[row.number])).content.decode()
    for said in (
        "ConfigMap/shop/old",
        "2 of platform-leads",
        f'action="/approvals/{row.number}"',
        row.digest,
    ):
        assert said in page
    assert (
        client.post(
            reverse("admin:hub_approvalrequest_change", args=[row.number]), {"state": "approved"}
        ).status_code
        == 200
    )
    assert client.get(reverse("admin:hub_approvalrequest_add")).status_code == 404
    row.refresh_from_db()
    assert row.state == "pending"


def test_requests_are_cancelled_and_accounts_unlinked_from_their_lists(
    cast: Cast, row: ApprovalRequest, dana: User
) -> None:
    client = browser(dana)
    identity = ChatIdentity.objects.create(user=cast.dan, issuer="slack:T1", sub="UDAN")
    approvals.decide(
        person(cast.dan, "slack"), cast.dan, row.number, decision="approve", digest=DIGEST, chat=str(identity)
    )
    order = {"confirmed": "yes", "action": "unlink", "_selected_action": [str(identity.pk)]}
    client.post(reverse("admin:hub_chatidentity_changelist"), order)
    assert (ChatIdentity.objects.count(), row.votes.filter(ended_at__isnull=True).count()) == (0, 0)
    order = {"confirmed": "yes", "action": "cancel", "_selected_action": [str(row.pk)]}
    client.post(reverse("admin:hub_approvalrequest_changelist"), order)
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("cancelled", "Cancelled by dana")
    assert vote(cast.erin, row.number) == "closed"


def test_requests_of_other_projects_are_not_there(cast: Cast, row: ApprovalRequest) -> None:
    stranger = factories.user("cleo", "owner", factories.project("bank"), is_staff=True)
    client = browser(stranger)
    assert client.get(reverse("admin:hub_approvalrequest_change", args=[row.number])).status_code == 404
    listed = client.get(reverse("admin:hub_approvalrequest_changelist")).context["cl"].result_list
    assert list(listed) == []
