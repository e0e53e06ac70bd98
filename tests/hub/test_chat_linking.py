"""Linking a Slack account to a hub user, and taking the link away (notifications.md 8.5.5)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hub.models import ApprovalRequest, AuditEvent, ChatIdentity, LinkCode
from hub.services import chat as chats
from tests.hub.approvals import Cast, opened, policy
from tests.hub.chat import Chat
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
CONFIRM = {"confirm": "yes"}


@pytest.fixture
def row(cast: Cast, chat: Chat) -> ApprovalRequest:
    policy(destinations=["slack:#ops"])
    found = opened(cast.app)
    chat.told()
    return found


def offered(chat: Chat, sub: str) -> str:
    """The path of the link that was whispered last."""
    found = re.search(r"(/link/[\w-]+)\|", chat.whispered(sub)[-1])
    assert found is not None
    return found[1]


def test_a_click_becomes_a_vote_after_the_person_linked_the_account(
    cast: Cast, chat: Chat, row: ApprovalRequest
) -> None:
    """The page asks for the sign-in, shows which account asks, and links it; the click itself is not counted."""
    chat.member(cast.dan, "UDAN", linked=False, real_name="Dan Lead")
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    path, browser = offered(chat, "UDAN"), Client()
    assert b"Sign in to the hub first" in browser.get(path).content
    wrong = browser.post(path, {"username": "dan", "password": "wrong"})
    assert (wrong.status_code, b"the name or the password is wrong" in wrong.content) == (401, True)
    signed_in = browser.post(path, {"username": "dan", "password": "dan-has-a-long-password"})
    assert (signed_in.status_code, signed_in["Location"]) == (302, path)
    shown = browser.get(path)
    assert b"Dan Lead (UDAN in workspace T1)" in shown.content
    assert b"<strong>dan</strong>" in shown.content
    assert shown["Referrer-Policy"] == "no-referrer"
    browser.post(path, {"username": "dan", "password": "dan-has-a-long-password"})
    assert ChatIdentity.objects.count() == 0, "neither looking nor signing in links anything"
    assert b"Linked: slack:T1/UDAN" in browser.post(path, CONFIRM).content
    assert ChatIdentity.objects.get().user == cast.dan
    assert row.votes.count() == 0
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert list(row.votes.values_list("user__username", "chat")) == [("dan", "slack:T1/UDAN")]
    assert AuditEvent.objects.get(resource="chat-identity").actor_name == "dan"


def test_a_link_is_worth_one_use_and_ten_minutes(cast: Cast) -> None:
    code = chats.offer("slack:T1", "UDAN").rpartition("/")[2]
    assert code not in str(list(LinkCode.objects.values()))
    browser = Client()
    browser.force_login(cast.dan)
    assert browser.post(f"/link/{code}", CONFIRM).status_code == 200
    assert browser.post(f"/link/{code}", CONFIRM).status_code == 404
    late = chats.offer("slack:T1", "UERIN").rpartition("/")[2]
    LinkCode.objects.filter(sub="UERIN").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert browser.get(f"/link/{late}").status_code == 404
    assert browser.get("/link/made-up").status_code == 404
    assert ChatIdentity.objects.count() == 1


def test_an_account_belongs_to_one_user(cast: Cast) -> None:
    ChatIdentity.objects.create(user=cast.erin, issuer="slack:T1", sub="UDAN")
    code = chats.offer("slack:T1", "UDAN").rpartition("/")[2]
    browser = Client()
    browser.force_login(cast.dan)
    assert browser.post(f"/link/{code}", CONFIRM).status_code == 409
    assert ChatIdentity.objects.get().user == cast.erin


def test_another_site_cannot_confirm_for_me(cast: Cast) -> None:
    code = chats.offer("slack:T1", "UEVE").rpartition("/")[2]
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.dan)
    assert browser.post(f"/link/{code}", CONFIRM).status_code == 403
    assert ChatIdentity.objects.count() == 0


def test_links_are_not_given_out_without_end(cast: Cast, chat: Chat, row: ApprovalRequest) -> None:
    chat.member(cast.dan, "UDAN", linked=False)
    for _ in range(7):
        chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert LinkCode.objects.count() == 5


def test_unlinking_ends_the_open_votes_of_that_account(cast: Cast, chat: Chat, row: ApprovalRequest) -> None:
    chat.member(cast.dan, "UDAN")
    chat.member(cast.erin, "UERIN")
    for sub in ("UDAN", "UERIN"):
        chat.press(sub, chat.buttons(row)["hub:approve"])
    row.refresh_from_db()
    assert row.state == "approved"
    api = Api(cast.dan)
    (mine,) = api.get("/me/identities").json()["items"]
    assert (mine["issuer"], mine["sub"]) == ("slack:T1", "UDAN")
    assert Api(cast.erin).delete(f"/me/identities/{mine['id']}").status_code == 404
    assert api.delete(f"/me/identities/{mine['id']}").status_code == 204
    row.refresh_from_db()
    assert (row.state, row.round) == ("pending", 2)
    assert list(row.votes.values_list("user__username", "ended_why")) == [("dan", "unlinked"), ("erin", "")]
    assert api.get("/me/identities").json()["items"] == []
    chat.told()
    chat.press("UDAN", chat.buttons(row)["hub:approve"])
    assert "/link/" in chat.whispered("UDAN")[-1]
