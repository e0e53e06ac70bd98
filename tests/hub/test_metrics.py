"""`/metrics`: who may read it, that it can be read, and that it names nobody (notifications.md 11, OB1)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connections
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from hub.api import metrics
from hub.services import figures
from notifications import services as notifications
from notifications.services import counting, dispatch
from tests.hub import approvals, factories
from tests.notifications.conftest import FakeClock, event, run, slack_service, subscribe
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db
TOKEN = {"HTTP_AUTHORIZATION": "Bearer scrape-me-please"}


@pytest.fixture(autouse=True)
def fresh(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HUB_METRICS_TOKEN = "scrape-me-please"  # type: ignore[attr-defined]
    monkeypatch.setattr(metrics, "READ_EVERY_S", -1.0)
    counting._waiting.clear()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:
    from notifications.services import clock

    fake = FakeClock()
    monkeypatch.setattr(clock, "now", fake)
    with SlackServer() as server:
        server.clock = lambda: fake().timestamp()
        server.fake = fake  # type: ignore[attr-defined]
        yield server


def _scrape() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = Client().get("/metrics", **TOKEN)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_a_stranger_reads_nothing() -> None:
    for headers in ({}, {"HTTP_AUTHORIZATION": "Bearer wrong"}, {"HTTP_AUTHORIZATION": "Basic c2NyYXBlOm1l"}):
        answer = Client().get("/metrics", **headers)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_without_a_token_nobody_can_guess_one(settings: object) -> None:
    settings.HUB_METRICS_TOKEN = ""  # type: ignore[attr-defined]
    assert Client().get("/metrics", HTTP_AUTHORIZATION="Bearer ").status_code == 401


def test_an_administrator_reads_it_and_a_member_does_not() -> None:
    client = Client()
    client.force_login(factories.user("bob"))
    assert client.get("/metrics").status_code == 401
    client.force_login(factories.user("dana", is_superuser=True))
    assert client.get("/metrics").status_code == 200
    assert client.post("/metrics").status_code in (403, 405)


def test_every_delivery_is_counted_once_and_nobody_is_named(slack: SlackServer) -> None:
    slack_service(slack)
    subscribe("slack:#ops", "slack:#nowhere-channel", events=["sync-failed"])
    slack.fault("chat.postMessage", error="service_unavailable")
    dispatch(event("sync-failed", app="secret-app"))
    run(slack.fake)  # type: ignore[attr-defined]
    found = _scrape()

    def value(name: str, /, **labels: str) -> float:
        return found[(name, tuple(sorted(labels.items())))]

    trigger = "event:sync-failed"
    assert value("hub_notifications_events_total", name="sync-failed") == 1
    ended = {"trigger": trigger, "service": "slack"}
    assert value("argocd_notifications_deliveries_total", **ended, succeeded="true") == 1
    assert value("hub_notifications_deliveries", service="slack", state="sent") == 1
    assert value("hub_notifications_deliveries", service="slack", state="held") == 1
    assert value("hub_notifications_destination_disabled", service="slack") == 1
    tried = {"service": "slack", "outcome": "clean"}
    assert value("hub_notifications_attempts_total", **tried, code="service_unavailable") == 1
    assert value("hub_notifications_attempts_total", **tried, code="channel_not_found") == 1
    assert value("hub_notifications_delivery_seconds_count", service="slack") == 1
    buckets = [
        number
        for (name, labels), number in found.items()
        if name == "hub_notifications_send_seconds_bucket" and ("service", "slack") in labels
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == value("hub_notifications_send_seconds_count", service="slack") == 3
    text = Client().get("/metrics", **TOKEN).content.decode()
    for name in ("secret-app", "nowhere-channel", "#ops"):
        assert name not in text


def test_the_figures_of_a_scrape_are_all_described(slack: SlackServer) -> None:
    factories.project("shop")
    assert {metrics._family(name) for name, _, _ in figures.figures()} <= set(figures.METRICS)


@pytest.mark.django_db(transaction=True)
def test_several_workers_add_to_one_counter() -> None:
    def work() -> None:
        for _ in range(50):
            notifications.count("hub_notifications_folded_total", 2)
            notifications.flush()
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert _scrape()[("hub_notifications_folded_total", ())] == 400


def test_what_cannot_be_written_is_counted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("the database is away")

    notifications.count("hub_notifications_folded_total")
    with monkeypatch.context() as patch:
        patch.setattr(counting, "_add", refused)
        with pytest.raises(RuntimeError):
            notifications.flush()
    assert _scrape()[("hub_notifications_folded_total", ())] == 1


def test_a_click_in_slack_is_counted_however_it_ended() -> None:
    Client().post(
        "/api/v1/slack/interactions", b"payload=x", content_type="application/x-www-form-urlencoded"
    )
    found = [labels for (name, labels), _ in _scrape().items() if name == "hub_slack_interactions_total"]
    assert len(found) == 1
    assert found[0][0][1] in ("401", "404")


def test_approvals_are_counted_with_their_waits_and_refusals() -> None:
    app = factories.application()
    one, two = approvals.lead("dan", app.project), approvals.lead("erin", app.project)
    approvals.policy()
    row = approvals.opened(app)
    approvals.vote(factories.user("bob"), row.number)
    assert _scrape()[("hub_approvals", (("kind", "sync"), ("state", "pending")))] == 1
    approvals.vote(one, row.number)
    approvals.vote(two, row.number)
    found = _scrape()
    assert found[("hub_approvals", (("kind", "sync"), ("state", "approved")))] == 1
    assert found[("hub_approval_wait_seconds_count", (("kind", "sync"),))] == 1
    assert found[("hub_approval_wait_seconds_sum", (("kind", "sync"),))] >= 0
    (code,) = approvals.audited(outcome="denied")
    assert found[("hub_approval_refused_total", (("code", code[3]),))] == 1
