"""Notifications by REST: the history, silences, subscriptions, rules to try out, each under the caller's rights."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hub.models import AuditEvent, Project, User
from notifications import services as notifications
from notifications.models import Delivery, Destination, Silence, Subscription, Trigger
from tests.hub.chat import Chat
from tests.hub.conftest import Api
from tests.notifications.conftest import event, run, subscribe
from tests.slackserver import SlackServer

TRIGGER = "- when: app.metadata.name == 'web'\n  oncePer: app.metadata.name\n  send: [told]\n"


@pytest.fixture
def slack(chat: Chat) -> SlackServer:
    return chat.slack


@pytest.fixture
def told(chat: Chat, slack: SlackServer) -> Delivery:
    """One message of Project shop that was sent to #a."""
    subscribe("slack:#a", events=["sync-failed"])
    notifications.dispatch(event("sync-failed", key="web/failed/1"))
    run(chat.time)
    return Delivery.objects.get(destination__recipient="#a")


def _audited() -> list[tuple[str, str, str]]:
    rows = AuditEvent.objects.exclude(resource="").order_by("id")
    return list(rows.values_list("actor_name", "action", "resource"))


# -- history


def test_a_reader_sees_what_was_sent_and_why(told: Delivery, bob: User, shop: Project) -> None:
    (row,) = Api(bob).get("/notifications/deliveries?application=web&state=sent").json()["items"]
    assert (row["event"], row["destination"], row["because"]) == (
        "sync-failed",
        "slack:#a",
        ["subscription s1"],
    )
    shown = Api(bob).get(f"/notifications/deliveries/{told.pk}").json()
    assert shown["event_key"] == "web/failed/1"
    assert "sync-failed of web" in json.dumps(shown["steps"])
    assert [one["outcome"] for one in shown["tries"]] == ["done"]
    assert "xoxb" not in json.dumps(shown)


def test_a_stranger_sees_nothing_of_it(told: Delivery, charlie: User, shop: Project) -> None:
    api = Api(charlie)
    assert api.get("/notifications/deliveries").json()["items"] == []
    assert api.get(f"/notifications/deliveries/{told.pk}").status_code == 404
    assert api.get("/notifications/explain?event=web/failed/1").status_code == 404
    assert api.post(f"/notifications/deliveries/{told.pk}/resend").status_code == 404


def test_an_owner_sends_again_and_a_reader_does_not(
    told: Delivery, slack: SlackServer, chat: Chat, alice: User, bob: User
) -> None:
    path = f"/notifications/deliveries/{told.pk}/resend"
    assert Api(bob).post(path).status_code == 403
    answer = Api(alice).post(path)
    assert answer.status_code == 201
    run(chat.time)
    assert Delivery.objects.get(pk=answer.json()["id"]).resend_of == told
    assert len(slack.messages("a")) == 2
    assert ("alice", "resend", "delivery") in _audited()


def test_what_is_not_unconfirmed_cannot_be_marked(told: Delivery, alice: User) -> None:
    path = f"/notifications/deliveries/{told.pk}/mark-sent"
    assert Api(alice).post(path).json()["code"] == "not_unconfirmed"
    Delivery.objects.filter(pk=told.pk).update(state="unconfirmed")
    assert Api(alice).post(path).json()["state"] == "sent"


def test_why_and_why_not_is_explained(told: Delivery, bob: User) -> None:
    lines = Api(bob).get("/notifications/explain?event=web/failed/1").json()["lines"]
    assert any(line.endswith("to slack:#a: sent") for line in lines), lines


# -- silences


def _until(**span: float) -> str:
    return (timezone.now() + timedelta(**span)).isoformat()


def test_an_owner_silences_the_own_project_and_nothing_else(
    slack: SlackServer, chat: Chat, alice: User, bob: User
) -> None:
    subscribe("slack:#a", events=["sync-failed"])
    wish: dict[str, Any] = {
        "matcher": {"project": "shop", "app": "web"},
        "ends_at": _until(hours=1),
        "reason": "move",
    }
    assert Api(bob).post("/notifications/silences", wish).status_code == 403
    assert Api(alice).post("/notifications/silences", wish | {"matcher": {"app": "web"}}).status_code == 422
    assert Api(alice).post("/notifications/silences", wish | {"matcher": {"project": "*"}}).status_code == 404
    made = Api(alice).post("/notifications/silences", wish)
    assert (made.status_code, made.json()["author"]) == (201, "alice")
    notifications.dispatch(event("sync-failed", key="one"))
    notifications.dispatch(event("sync-failed", key="two", app="other"))
    run(chat.time)
    assert ["two" in str(message) or "other" in str(message) for message in slack.messages("a")] == [True]
    (row,) = Api(bob).get("/notifications/silences?project=shop").json()["items"]
    assert row["suppressed"] == 1
    path = f"/notifications/silences/{row['id']}"
    assert Api(bob).delete(path).status_code == 403
    assert Api(alice).delete(path).status_code == 204
    assert Silence.objects.get().ends_at <= timezone.now()
    assert [action for _, action, noun in _audited() if noun == "silence"] == ["create", "end"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"matcher": {"colour": "red"}},
        {"matcher": {}},
        {"ends_at": "tomorrow"},
        {"ends_at": "2020-01-01T00:00:00Z"},
        {"reason": ""},
        {"until": "never"},
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(
    slack: SlackServer, dana: User, wrong: dict[str, Any]
) -> None:
    wish = {"matcher": {"project": "shop"}, "ends_at": _until(hours=1), "reason": "move"} | wrong
    assert Api(dana).post("/notifications/silences", wish).status_code in (400, 422)
    assert not Silence.objects.exists()


# -- subscriptions


def test_an_owner_subscribes_for_the_own_project(
    slack: SlackServer, chat: Chat, alice: User, charlie: User, bank: Project
) -> None:
    wish = {"name": "shop-failures", "owner": "shop", "destinations": ["slack:#a"], "events": ["sync-failed"]}
    assert Api(alice).post("/notifications/subscriptions", wish | {"owner": ""}).status_code == 422
    assert Api(alice).post("/notifications/subscriptions", wish | {"owner": "bank"}).status_code == 404
    rehearsed = Api(alice).post("/notifications/subscriptions?dry_run=true", wish)
    assert (rehearsed.status_code, Subscription.objects.filter(owner="shop").count()) == (200, 0)
    made = Api(alice).post("/notifications/subscriptions", wish)
    assert (made.status_code, made.json()["projects"]) == (201, ["shop"])
    chat.time.forward(seconds=1)
    notifications.dispatch(event("sync-failed", key="one"))
    notifications.dispatch(
        event(
            "sync-failed",
            key="two",
            project={"name": "bank"},
            app={"name": "vault", "uid": "v", "project": "bank"},
        )  # type: ignore[arg-type]
    )
    run(chat.time)
    assert len(slack.messages("a")) == 1
    assert Api(charlie).get("/notifications/subscriptions").json()["items"] == []
    path = "/notifications/subscriptions/shop-failures"
    assert Api(charlie).get(path).status_code == 404
    changed = Api(alice).put(path, {**made.json(), "events": ["deployed"], "owner": "bank"})
    assert (changed.status_code, changed.json()["owner"]) == (200, "shop")
    assert Subscription.objects.get(name="shop-failures").events == ["deployed"]
    assert Api(alice).delete(path).status_code == 204
    assert [action for _, action, noun in _audited() if noun == "subscription"] == [
        "create",
        "update",
        "delete",
    ]


def test_an_owner_uses_a_service_only_as_it_permits(chat: Chat, slack: SlackServer, alice: User) -> None:
    from notifications.models import Service

    Service.objects.filter(name="slack").update(recipients=["#shop-*"])
    wish = {"name": "x", "owner": "shop", "destinations": ["slack:#board"], "events": ["deployed"]}
    assert Api(alice).post("/notifications/subscriptions", wish).json()["code"] == "not_allowed"
    assert Api(alice).post("/notifications/subscriptions", wish | {"destinations": ["mail:x"]}).json()[
        "code"
    ] == ("unknown_service")
    good = wish | {"destinations": ["slack:#shop-ops"]}
    assert Api(alice).post("/notifications/subscriptions", good).status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {"destinations": []},
        {"events": [], "triggers": []},
        {"events": "deployed"},
        {"app_selector": "a in b"},
        {"minimum_severity": "loud"},
        {"until": "soon"},
        {"enabled": "yes"},
        {"name": ""},
        {"colour": "red"},
    ],
)
def test_a_subscription_that_cannot_be_read_is_refused(
    chat: Chat, slack: SlackServer, dana: User, wrong: dict[str, Any]
) -> None:
    before = Subscription.objects.count()
    wish = {"name": "x", "destinations": ["slack:#a"], "events": ["deployed"]} | wrong
    answer = Api(dana).post("/notifications/subscriptions", wish)
    assert answer.status_code == 422, answer.content
    assert Subscription.objects.count() == before


# -- rules


def test_templates_and_triggers_are_tried_without_sending(
    told: Delivery, slack: SlackServer, bob: User, dana: User
) -> None:
    config = {"data": {"trigger.on-web": TRIGGER, "template.told": "message: Hello {{.app.metadata.name}}\n"}}
    body = {"config_map": config}
    assert Api(bob).post("/notifications/import", body).status_code == 404
    dry = Api(dana).post("/notifications/import?dry_run=true", body).json()
    assert (dry["dry_run"], Trigger.objects.count()) == (True, 0)
    report = Api(dana).post("/notifications/import", body).json()["lines"]
    assert {line["outcome"] for line in report} == {"taken"}
    (row,) = Api(bob).get("/notifications/triggers").json()["items"]
    assert (row["name"], row["kind"], row["text"]) == ("on-web", "imported", TRIGGER)
    assert Api(bob).get("/notifications/templates").json()["items"][0]["name"] == "told"
    notifications.dispatch(event("deployed", key="seen", application={"metadata": {"name": "web"}}))
    sent = len(slack.calls)
    judged = Api(bob).post("/notifications/triggers/on-web/try", {"event": "seen"}).json()["conditions"]
    assert [(one["result"], one["once_per"]) for one in judged] == [("true", "web")]
    shown = Api(bob).post("/notifications/templates/told/render", {"event": "seen", "service": "slack"})
    assert "Hello web" in json.dumps(shown.json()["steps"])
    assert len(slack.calls) == sent
    assert ("dana", "import", "notifications") in _audited()
    assert Api(bob).post("/notifications/templates/none/render", {"event": "seen"}).status_code == 404


# -- destinations


def test_an_administrator_tests_and_enables_a_destination(
    told: Delivery, slack: SlackServer, chat: Chat, alice: User, dana: User
) -> None:
    place = Destination.objects.get(recipient="#a")
    assert Api(alice).get("/notifications/destinations").status_code == 404
    assert Api(alice).post(f"/notifications/destinations/{place.pk}/test").status_code == 404
    path = f"/notifications/destinations/{place.pk}"
    assert Api(dana).post(f"{path}/test").json()["ok"] is True
    assert Api(dana).post(f"{path}/test").status_code == 429
    slack.fault("chat.postMessage", error="is_archived")
    notifications.dispatch(event("sync-failed", key="again"))
    run(chat.time)
    (row,) = [
        one
        for one in Api(dana).get("/notifications/destinations").json()["items"]
        if one["recipient"] == "#a"
    ]
    assert (row["state"], "is_archived" in row["reason"] or row["reason"] != "") == ("disabled", True)
    assert Api(dana).post(f"{path}/enable").json() == {"resumed": 1}
    run(chat.time)
    assert Delivery.objects.get(event__key="again").state == "sent"
