"""Many messages of one kind become few, and nothing else does (notifications.md 6.5)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from notifications.models import Delivery, Service
from notifications.services import deliver, dispatch
from tests.notifications.conftest import FakeClock, event, operation, run, slack_service, states, subscribe
from tests.notifications.receivers import HttpReceiver
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db


def _texts(slack: SlackServer, channel: str = "ops") -> list[str]:
    return [message["text"].splitlines()[0] for message in slack.messages(channel)]


def _storm(many: int, name: str = "deployed", **more: object) -> None:
    for number in range(many):
        dispatch(event(name, app=f"app-{number:02}", **more))  # type: ignore[arg-type]


@pytest.fixture
def ops(slack: SlackServer) -> Service:
    return slack_service(slack)


def test_five_that_wait_are_one_message(slack: SlackServer, ops: Service, time_: FakeClock) -> None:
    subscribe("slack:#ops", events=["deployed"])
    _storm(5)
    run(time_)
    assert _texts(slack) == ["✅ 5 applications: deployed"]
    assert states() == ["sent", "merged", "merged", "merged", "merged"]
    assert {row.folded_into for row in Delivery.objects.filter(state="merged")} == {
        Delivery.objects.get(state="sent")
    }


def test_four_are_four_messages(slack: SlackServer, ops: Service, time_: FakeClock) -> None:
    subscribe("slack:#ops", events=["deployed"])
    _storm(4)
    run(time_)
    assert len(_texts(slack)) == 4


def test_one_message_carries_at_most_fifty(slack: SlackServer, ops: Service, time_: FakeClock) -> None:
    subscribe("slack:#ops", events=["deployed"])
    _storm(103)
    run(time_)
    assert _texts(slack)[:2] == ["✅ 50 applications: deployed", "✅ 50 applications: deployed"]
    assert len(_texts(slack)) == 5
    assert sorted(set(states())) == ["merged", "sent"]


@pytest.mark.parametrize(
    "more",
    [
        {"name": "cluster-unreachable", "severity": "critical"},
        {"name": "approval-requested", "approval": {"request": 7, "state": "pending"}},
        {"name": "deployed", "buttons": [{"kind": "retry-sync", "label": "Retry"}]},
    ],
)
def test_what_a_person_must_see_for_itself_stays_alone(
    slack: SlackServer, ops: Service, time_: FakeClock, more: dict[str, object]
) -> None:
    subscribe("slack:#ops", events=[str(more["name"])])
    _storm(6, **more)  # type: ignore[arg-type]
    run(time_)
    assert states() == ["sent"] * 6


def test_two_triggers_are_not_mixed_and_channels_neither(
    slack: SlackServer, ops: Service, time_: FakeClock
) -> None:
    subscribe("slack:#ops", "slack:#a", events=["deployed", "sync-failed"])
    for number in range(6):
        dispatch(event("deployed", app=f"good-{number}"))
        dispatch(event("sync-failed", app=f"bad-{number}"))
    run(time_)
    for channel in ("ops", "a"):
        assert sorted(_texts(slack, channel)) == [
            "✅ 6 applications: deployed",
            "❌ 6 applications: sync-failed",
        ]


def test_a_machine_gets_every_message(time_: FakeClock) -> None:
    with HttpReceiver() as hook:
        Service.objects.create(name="hook", type="webhook", settings=json.dumps({"url": hook.url}))
        subscribe("hook:", events=["deployed"])
        _storm(7)
        run(time_)
        assert len(hook.requests) == 7
    assert set(states()) == {"sent"}


def test_what_waits_behind_another_message_keeps_its_place(
    slack: SlackServer, ops: Service, time_: FakeClock
) -> None:
    """The second message of an application is not said before its first one."""
    subscribe("slack:#ops", events=["created", "deployed"])
    dispatch(event("created", app="app-05"))
    _storm(6)
    Delivery.objects.filter(event__name="created").update(next_at=time_() + timedelta(seconds=20))
    (first,) = Delivery.objects.filter(event__name="deployed", app="uid-app-00").values_list("pk", flat=True)
    deliver(first)
    assert _texts(slack) == ["✅ 5 applications: deployed"]
    time_.forward(seconds=30)
    run(time_)
    assert _texts(slack)[1:] == ["✅ created of app-05", "✅ deployed of app-05"]


def test_only_the_newest_update_of_a_root_is_sent(slack: SlackServer, ops: Service, time_: FakeClock) -> None:
    subscribe("slack:#ops", events=["sync-started", "sync-succeeded", "deployed"])
    dispatch(event("sync-started", operation=operation()))
    run(time_)
    dispatch(event("sync-succeeded", operation=operation(phase="Succeeded")))
    dispatch(event("deployed", operation=operation(phase="Succeeded")))
    run(time_)
    (root,) = slack.messages("ops")
    assert (root["edits"], "deployed of web" in root["text"]) == (1, True)
    assert states() == ["sent", "merged", "sent"]


def test_roots_are_brought_up_to_date_also_in_a_storm(
    slack: SlackServer, ops: Service, time_: FakeClock
) -> None:
    subscribe("slack:#ops", events=["sync-started", "sync-succeeded"])
    for number in range(4):
        dispatch(event("sync-started", app=f"app-{number}", operation=operation(number)))
    run(time_)
    for number in range(6):
        ended = operation(number, phase="Succeeded")
        dispatch(event("sync-succeeded", app=f"app-{number}", operation=ended))
    run(time_)
    assert _texts(slack)[:4] == [f"✅ sync-succeeded of app-{number}" for number in range(4)]


def test_a_carrier_goes_out_although_its_own_application_is_gone(
    slack: SlackServer, ops: Service, time_: FakeClock
) -> None:
    subscribe("slack:#ops", events=["deployed"])
    _storm(6)
    slack.fault("chat.postMessage", error="service_unavailable")
    deliver(Delivery.objects.earliest("id").pk)
    assert states() == ["pending", *["merged"] * 5]
    dispatch(event("deleted", app="app-00"))
    run(time_)
    assert _texts(slack) == ["✅ 6 applications: deployed"]


def test_held_messages_go_out_folded(slack: SlackServer, ops: Service, time_: FakeClock) -> None:
    from notifications.services import enable

    subscribe("slack:#ops", events=["deployed"])
    slack.fault("chat.postMessage", error="token_revoked")
    dispatch(event("deployed", app="first"))
    run(time_)
    _storm(8)
    assert set(states()) == {"held"}
    ops.refresh_from_db()
    enable(ops, "alice")
    run(time_)
    assert "✅ 8 applications: deployed" in _texts(slack)
    assert set(states()) == {"sent", "merged"}
