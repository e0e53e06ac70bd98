"""The card of an approval in Slack: what it shows, who gets it, how it ends (notifications.md 8.5)."""

from __future__ import annotations

import pytest

from hub.core.events import Event as Happened
from hub.models import Application, CardToken, SyncOperation
from hub.services import approvals, events
from hub.services.approvals.tokens import digest_of
from tests.hub.approvals import Cast, opened, person, policy, vote
from tests.hub.chat import Chat
from tests.notifications.conftest import subscribe

pytestmark = pytest.mark.django_db


def test_the_card_shows_what_is_asked_and_by_which_buttons(cast: Cast, chat: Chat) -> None:
    policy(destinations=["slack:#ops"])
    pruned = [{"key": f"ConfigMap/shop/old-{number}", "uid": "u"} for number in range(12)]
    hooks = [{"key": "batch/Job/shop/migrate", "decision": "run", "phase": "PreSync", "reason": "changed"}]
    plan = {"prune": pruned, "prune_count": 12, "hooks": hooks}
    row = opened(cast.app, plan=plan, reason="release 7")
    chat.told()
    text = chat.text(row)
    for said in (
        f"Approval {row.number}: sync in web",
        "Asked by auto-sync: release 7",
        "Changes (1):\\n• apply apps/Deployment/shop/web",
        "Deletes (12):\\n• ConfigMap/shop/old-0",
        "• ConfigMap/shop/old-9\\nand 2 more",
        "Hooks (1):\\n• run batch/Job/shop/migrate PreSync (changed)",
        f"<https://git.example.com/shop/web/commit/{'a' * 40}|aaaaaaa>",
        "*Plan*\\ndddddddddddd",
        "*Needs*\\n2 of platform-leads",
        f"{row.expires_at:%Y-%m-%d %H:%M} UTC",
    ):
        assert said in text
    buttons = chat.buttons(row)
    assert [*buttons] == ["hub:approve", "hub:reject", "hub:open"]
    asked = buttons["hub:approve"]["confirm"]["text"]["text"]
    assert "ConfigMap/shop/old-0" in asked
    assert "and 7 more" in asked
    token = buttons["hub:approve"]["value"]
    stored = CardToken.objects.get(hash=digest_of(token))
    assert (stored.request, stored.round, stored.digest, stored.action) == (row, 1, row.digest, "approve")


def test_a_hub_that_hears_no_clicks_shows_a_card_without_their_buttons(cast: Cast, chat: Chat) -> None:
    """Slack could not bring them: people decide behind the link."""
    chat.configure()
    policy(destinations=["slack:#ops"])
    row = opened(cast.app)
    chat.told()
    assert [*chat.buttons(row)] == ["hub:open"]
    assert not CardToken.objects.exists()


def test_a_vote_is_a_line_and_the_end_rewrites_the_card(cast: Cast, chat: Chat) -> None:
    """The card goes where the policy says; everything later follows it, although nobody subscribed."""
    policy(destinations=["slack:#ops"])
    row = opened(cast.app)
    chat.told()
    assert vote(cast.dan, row.number) == ""
    chat.told()
    assert chat.thread(row) == [
        f"Approval {row.number}: sync in web: dan approved, 1 of 2 votes, needs 1 of platform-leads"
    ]
    assert "1 of 2 votes" in chat.text(row)
    assert "hub:approve" in chat.buttons(row)
    assert vote(cast.erin, row.number, "reject", reason="wrong week") == ""
    chat.told()
    assert "Rejected by erin: wrong week" in chat.text(row)
    assert [*chat.buttons(row)] == ["hub:open"]
    assert len(chat.thread(row)) == 1
    assert len(chat.slack.roots("ops")) == 1


def test_the_result_of_the_operation_is_told_below_its_card(cast: Cast, chat: Chat) -> None:
    policy(count=1, destinations=["slack:#ops"])
    row = opened(cast.app)
    chat.told()
    vote(cast.dan, row.number)
    operation = SyncOperation.objects.create(
        id=row.asked_for, application=cast.app, number=1, kind="sync", phase="Running", plan_digest=row.digest
    )
    assert approvals.claim(cast.app, operation, row.digest)
    chat.told()
    assert [*chat.buttons(row)] == ["hub:open"]
    app = Application.objects.get(id=cast.app.id)
    done = Happened("sync-succeeded", f"{app.id}/sync/1", "success", "web was synced", "git")
    events.store(
        app, [done], {"operation": {"id": str(operation.id)}, "approval": approvals.thread_of(operation)}
    )
    chat.told()
    assert [line.split(": ")[-1] for line in chat.thread(row)] == [
        "dan approved, 1 of 1 votes",
        "✅ web was synced",
    ]
    assert f"Approval {row.number}" in chat.text(row), "the card stays a card"


def test_a_withdrawn_vote_gives_the_card_fresh_buttons(cast: Cast, chat: Chat) -> None:
    policy(destinations=["slack:#ops"])
    row = opened(cast.app)
    chat.told()
    before = chat.buttons(row)["hub:approve"]["value"]
    vote(cast.dan, row.number)
    approvals.withdraw(person(cast.dan), cast.dan, row.number)
    chat.told()
    after = chat.buttons(row)["hub:approve"]["value"]
    assert before != after
    assert CardToken.objects.get(hash=digest_of(after)).round == 2
    assert "0 of 2 votes" in chat.text(row)


def test_a_subscriber_of_the_question_gets_the_card_and_its_end_once(cast: Cast, chat: Chat) -> None:
    policy()
    subscribe("slack:#ops", events=["approval-requested", "approval-voted"])
    row = opened(cast.app)
    vote(cast.dan, row.number)
    chat.told()
    assert len(chat.thread(row)) == 1
    approvals.cancel(person(cast.alice), cast.alice, row.number)
    chat.told()
    assert "Cancelled by alice" in chat.text(row)
    assert [*chat.buttons(row)] == ["hub:open"]


def test_a_superseded_card_names_its_successor(cast: Cast, chat: Chat) -> None:
    policy(destinations=["slack:#ops"])
    first = opened(cast.app)
    chat.told()
    second = opened(cast.app, digest="e" * 64)
    chat.told()
    assert f"Superseded by approval {second.number}: the plan changed" in chat.text(first)
    assert [*chat.buttons(first)] == ["hub:open"]
    assert "hub:approve" in chat.buttons(second)


def test_no_commit_writes_a_mention_into_a_card(cast: Cast, chat: Chat) -> None:
    policy(destinations=["slack:#ops"])
    row = opened(cast.app, reason="<!channel> *now* <http://evil.example|login>")
    chat.told()
    assert "<!channel>" not in chat.text(row)
    assert "<http://evil" not in chat.text(row)
    assert "&lt;!channel&gt;" in chat.text(row)
