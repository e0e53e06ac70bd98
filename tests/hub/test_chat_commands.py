"""Retry, roll back and silence from a message of failure in Slack (notifications.md 8.5.8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hub.core.events import Event as Happened
from hub.models import Application, AuditEvent, ChatIdentity, CommandToken, ManifestSet, SyncOperation
from hub.services import events
from notifications.models import Silence
from tests.hub.approvals import Cast
from tests.hub.chat import SECRET, Chat
from tests.hub.conftest import Api
from tests.notifications.conftest import subscribe

pytestmark = pytest.mark.django_db
OLD, NEW = "o" * 64, "n" * 64


@pytest.fixture
def failed(cast: Cast, chat: Chat) -> Application:
    """Operation 1 left a state, the newest sync of another one failed, and #ops was told."""
    ManifestSet.objects.create(digest=OLD, data=b"")
    phase = SyncOperation.Phase.SUCCEEDED
    SyncOperation.objects.create(
        application=cast.app, number=1, kind="sync", phase=phase, manifest_digest=OLD, revisions=["a" * 40]
    )
    Application.objects.filter(id=cast.app.id).update(manifest_digest=NEW, revisions=["b" * 40])
    subscribe("slack:#ops", events=["sync-failed", "health-degraded"])
    told(cast.app, chat)
    chat.member(cast.alice, "UALICE")
    chat.member(cast.bob, "UBOB")
    return cast.app


def told(app: Application, chat: Chat, name: str = "sync-failed", key: str = "sync/2") -> None:
    row = Application.objects.get(id=app.id)
    events.store(row, [Happened(name, f"{row.id}/{key}", "error", "Sync of web failed", "git")], {})
    chat.told()


def buttons(chat: Chat, at: int = -1) -> dict[str, dict[str, Any]]:
    blocks = chat.slack.roots("ops")[at]["attachments"][0]["blocks"]
    rows = [block["elements"] for block in blocks if block["type"] == "actions"]
    return {button["action_id"]: button for elements in rows for button in elements}


def denied() -> list[tuple[str, str, str]]:
    rows = AuditEvent.objects.filter(via="slack", outcome="denied").order_by("id")
    return list(rows.values_list("actor_name", "action", "code"))


def test_a_failure_has_its_buttons_and_their_values_are_stored_hashed(
    chat: Chat, failed: Application
) -> None:
    shown = buttons(chat)
    assert [*shown] == ["hub:retry-sync", "hub:request-rollback", "hub:silence"]
    assert shown["hub:silence"]["text"]["text"] == "Silence for 1 hour"
    assert "operation 1 of web" in shown["hub:request-rollback"]["confirm"]["text"]["text"]
    stored = str(list(CommandToken.objects.values()))
    assert all(button["value"] not in stored for button in shown.values())


def test_an_owner_retries_from_slack(chat: Chat, failed: Application, nudged: list[Any]) -> None:
    assert chat.press("UALICE", buttons(chat)["hub:retry-sync"]).status_code == 200
    operation = failed.operations.latest("number")
    assert (operation.number, operation.kind) == (2, "sync")
    assert (operation.initiator["name"], operation.initiator["via"]) == ("alice", "slack")
    assert ("look", [failed.id]) in nudged
    assert chat.whispered("UALICE") == ["Operation 2 of web was asked for."]
    chat.press("UALICE", buttons(chat)["hub:retry-sync"])
    assert failed.operations.count() == 2
    assert chat.whispered("UALICE")[1] == "Operation 2 of web is on its way already."


def test_a_rollback_goes_to_the_last_state_that_worked(chat: Chat, failed: Application) -> None:
    chat.press("UALICE", buttons(chat)["hub:request-rollback"])
    operation = failed.operations.latest("number")
    assert (operation.kind, operation.request["rollback_to"]) == ("rollback", 1)
    failed.refresh_from_db()
    assert failed.pin is not None
    assert failed.pin["digest"] == OLD


def test_a_rollback_goes_where_its_button_said(chat: Chat, failed: Application) -> None:
    """The dialog named operation 1; what was deployed since does not change what the person confirmed."""
    button = buttons(chat)["hub:request-rollback"]
    ManifestSet.objects.create(digest="p" * 64, data=b"")
    failed.operations.create(
        number=2,
        kind="sync",
        phase=SyncOperation.Phase.SUCCEEDED,
        manifest_digest="p" * 64,
        revisions=["c" * 40],
    )
    assert "operation 1 of web" in button["confirm"]["text"]["text"]
    chat.press("UALICE", button)
    assert failed.operations.latest("number").request["rollback_to"] == 1


def test_without_an_earlier_state_there_is_no_way_back(chat: Chat, failed: Application) -> None:
    failed.operations.all().delete()
    told(failed, chat, "health-degraded", "health/1/degraded")
    assert [*buttons(chat)] == ["hub:silence"]


def test_a_silence_lasts_an_hour_and_says_by_whom(cast: Cast, chat: Chat, failed: Application) -> None:
    """And an owner of the Project may end it again."""
    chat.press("UALICE", buttons(chat)["hub:silence"])
    silence = Silence.objects.get()
    assert (silence.matcher, silence.author) == ({"app": "web", "project": "shop"}, "alice")
    assert (silence.ends_at - silence.starts_at).total_seconds() == 3600
    assert AuditEvent.objects.get(action="silence").actor_name == "alice"
    assert Api(cast.alice).delete(f"/notifications/silences/{silence.pk}").status_code == 204
    silence.refresh_from_db()
    Silence.objects.filter(pk=silence.pk).update(ends_at=timezone.now() + timedelta(hours=1), closed_at=None)
    told(failed, chat, key="sync/3")
    assert len(chat.slack.roots("ops")) == 1


def test_a_reader_may_not(chat: Chat, failed: Application) -> None:
    for button in buttons(chat).values():
        chat.press("UBOB", button)
    assert (failed.operations.count(), Silence.objects.count()) == (1, 0)
    assert denied() == [
        ("bob", "retry-sync", "no_permission"),
        ("bob", "request-rollback", "no_permission"),
        ("bob", "silence", "no_permission"),
    ]
    assert chat.whispered("UBOB") == ["You may not do this to web."] * 3


def test_strangers_the_unlinked_and_made_up_values_are_refused(
    cast: Cast, chat: Chat, failed: Application
) -> None:
    retry = buttons(chat)["hub:retry-sync"]
    chat.press("UALICE", retry, user={"id": "UALICE", "team_id": "T9"})
    chat.press("UALICE", {**retry, "value": "made up"})
    chat.press("UALICE", {**retry, "action_id": "hub:silence"})
    chat.slack.users["UBOB"]["is_restricted"] = True
    chat.press("UBOB", retry)
    ChatIdentity.objects.filter(user=cast.alice).delete()
    chat.press("UALICE", retry)
    assert "/link/" in chat.whispered("UALICE")[-1]
    CommandToken.objects.update(expires_at=timezone.now())
    chat.press("UALICE", retry)
    assert [code for _, _, code in denied()] == [
        "foreign_team",
        "stale",
        "stale",
        "inactive",
        "not_linked",
        "stale",
    ]
    assert (failed.operations.count(), Silence.objects.count()) == (1, 0)


def test_a_hub_that_hears_no_clicks_shows_no_buttons(chat: Chat, failed: Application) -> None:
    chat.configure()
    told(failed, chat, key="sync/3")
    assert buttons(chat) == {}
    chat.configure(signingSecret=SECRET)
    told(failed, chat, "sync-succeeded", key="sync/4")
    assert CommandToken.objects.count() == 3
