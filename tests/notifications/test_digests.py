"""A digest gathers what its subscription wants and says it once per window (notifications.md 6.5)."""

from __future__ import annotations

import pytest

from notifications.models import Delivery
from notifications.services import dispatch, due_deliveries
from tests.notifications.conftest import FakeClock, event, run, slack_service, states, subscribe
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db
HOURLY = {"every": "1h"}


@pytest.fixture(autouse=True)
def service(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    # In the middle of a window, so that no test runs into its end.
    time_.forward(seconds=(1800 - time_().timestamp() % 3600) % 3600)


def _until_next_window(time_: FakeClock) -> None:
    time_.forward(minutes=61)
    run(time_)


def test_an_hour_is_one_message(slack: SlackServer, time_: FakeClock) -> None:
    subscribe("slack:#a", events=["created", "deployed"], digest=HOURLY)
    for number in range(30):
        dispatch(event("deployed", app=f"app-{number}"))
    dispatch(event("created"))
    run(time_)
    assert slack.messages("a") == []
    assert set(states()) == {"digested"}
    _until_next_window(time_)
    (message,) = slack.messages("a")
    lines = message["text"].splitlines()
    assert lines[:3] == ["✅ Digest of 31 events", "30 deployed, 1 created", "and 11 before these"]
    assert lines[3:] == [*(f"deployed of app-{number}" for number in range(11, 30)), "created of web"]
    flushed = Delivery.objects.filter(state="digested")
    assert {row.folded_into for row in flushed} == {Delivery.objects.get(kind="digest")}


def test_an_hour_without_anything_is_no_message(slack: SlackServer, time_: FakeClock) -> None:
    subscribe("slack:#a", events=["deployed"], digest=HOURLY)
    dispatch(event("deployed"))
    for _ in range(4):
        _until_next_window(time_)
    assert len(slack.messages("a")) == 1
    assert due_deliveries() == []


def test_errors_do_not_wait_unless_they_are_asked_to(slack: SlackServer, time_: FakeClock) -> None:
    subscribe("slack:#a", events=["sync-failed"], digest=HOURLY)
    subscribe("slack:#b", events=["sync-failed"], digest={**HOURLY, "all": True})
    dispatch(event("sync-failed"))
    run(time_)
    assert (len(slack.messages("a")), len(slack.messages("b"))) == (1, 0)
    _until_next_window(time_)
    assert (len(slack.messages("a")), len(slack.messages("b"))) == (1, 1)


def test_whoever_also_wants_it_at_once_gets_it_at_once(slack: SlackServer, time_: FakeClock) -> None:
    subscribe("slack:#a", events=["deployed"], digest=HOURLY)
    subscribe("slack:#a", events=["deployed"])
    dispatch(event("deployed"))
    run(time_)
    _until_next_window(time_)
    assert len(slack.messages("a")) == 1
    assert states() == ["sent"]


def test_beginning_and_end_are_in_the_same_digest(slack: SlackServer, time_: FakeClock) -> None:
    subscribe("slack:#a", triggers=["on-drift-detected"], digest=HOURLY)
    dispatch(event("drift-detected", key="web/drift/1/a"))
    dispatch(event("drift-resolved", key="web/drift/1/resolved", resolves="web/drift/1/a"))
    run(time_)
    _until_next_window(time_)
    (message,) = slack.messages("a")
    assert message["text"].splitlines()[2:] == ["drift-detected of web", "drift-resolved of web"]


def test_an_urgent_message_calls_whom_its_subscription_names(slack: SlackServer, time_: FakeClock) -> None:
    subscribe("slack:#a", events=["sync-failed", "deployed"], mention="<!here>")
    dispatch(event("sync-failed"))
    dispatch(event("deployed"))
    run(time_)
    assert ["<!here>" in message["text"] for message in slack.messages("a")] == [True, False]
