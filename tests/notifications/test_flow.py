"""The way of an event from the hub to a channel in Slack."""

from __future__ import annotations

import json

import pytest

from notifications.models import Delivery, EventCopy
from notifications.services import deliver, dispatch, due_deliveries
from tests.notifications.conftest import FakeClock, event, operation, run, slack_service, states, subscribe
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db


def test_an_event_reaches_its_channel_once(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#ops", events=["sync-failed"])
    happened = event(summary="Sync of web failed: image not found", operation=operation(phase="Failed"))
    ids = dispatch(happened)
    assert dispatch(happened) == ids
    for delivery in ids:
        deliver(delivery)
        deliver(delivery)
    assert dispatch(happened) == []
    (message,) = slack.messages("ops")
    assert message["text"].startswith("❌ Sync of web failed: image not found")
    assert message["metadata"]["event_type"] == "hub_delivery"
    assert (message["parse"], message["link_names"]) == ("none", False)
    assert states() == ["sent"]
    assert EventCopy.objects.count() == 1


def test_nobody_subscribed_means_no_delivery(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    assert dispatch(event()) == []
    assert Delivery.objects.count() == 0


def test_threads_survive_restart(slack: SlackServer, time_: FakeClock) -> None:
    """44: started told, restart, succeeded with `Update`: the root is updated, no new message."""
    slack_service(slack)
    subscribe("slack:#ops", events=["sync-started", "sync-succeeded"])
    dispatch(event("sync-started", operation=operation()))
    run(time_)
    dispatch(event("sync-succeeded", operation=operation(phase="Succeeded")))
    run(time_)
    (message,) = slack.messages("ops")
    assert message["edits"] == 1
    assert "sync-succeeded of web" in json.dumps(message["attachments"])


def test_drift_is_told_and_its_end_goes_into_the_same_thread(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#ops", events=["drift-detected", "drift-resolved"])
    dispatch(event("drift-detected", key="uid-web/drift/1/abc"))
    run(time_)
    dispatch(event("drift-resolved", key="uid-web/drift/1/resolved", resolves="uid-web/drift/1/abc"))
    run(time_)
    (root,) = slack.roots("ops")
    assert len(slack.replies("ops", root["ts"])) == 1
    assert root["edits"] == 1
    assert due_deliveries() == []


def test_events_with_long_keys_stay_apart(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    for end in ("one", "two"):
        assert len(dispatch(event(key="k" * 300 + end))) == 1
        assert len(dispatch(event(key="k" * 300 + end))) == 1
    assert EventCopy.objects.count() == 2
