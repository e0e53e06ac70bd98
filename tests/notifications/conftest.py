"""A fake Slack, rows that send to it, events as the hub makes them, and a clock that tests move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications.models import Delivery, Service, Subscription
from notifications.services import clock, deliver, due_deliveries
from tests.slackserver import SlackServer


class FakeClock:
    """Stands for the database's clock; real time plus what a test added."""

    def __init__(self) -> None:
        self.passed = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.passed

    def forward(self, **span: float) -> None:
        self.passed += timedelta(**span)


@pytest.fixture
def time_(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(clock, "now", fake)
    return fake


@pytest.fixture
def slack(time_: FakeClock) -> Iterator[SlackServer]:
    with SlackServer() as server:
        server.clock = lambda: time_().timestamp()
        yield server


def slack_service(server: SlackServer, name: str = "slack", **more: Any) -> Service:
    settings = {"token": "xoxb-good-token-1", "apiURL": server.url, **more.pop("settings", {})}
    return Service.objects.create(name=name, type="slack", settings=json.dumps(settings), **more)


def subscribe(*destinations: str, events: list[str] | None = None, **more: Any) -> Subscription:
    number = Subscription.objects.count() + 1
    row = Subscription.objects.create(
        name=more.pop("name", f"s{number}"), destinations=list(destinations), events=events or [], **more
    )
    # Events of a test happen after its subscriptions, whatever the clock's grain.
    Subscription.objects.filter(pk=row.pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
    return row


def event(
    name: str = "sync-failed", key: str = "", app: str = "web", at: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """The mapping of one event as the hub emits it."""
    severity = {"sync-failed": "error", "health-degraded": "error", "drift-detected": "warning"}.get(
        name, "success"
    )
    key = key or f"{app}/{name}/1"
    return {
        "id": key,
        "key": key,
        "name": name,
        "seq": 1,
        "occurred_at": (at or clock.now()).isoformat(),
        "severity": severity,
        "summary": f"{name} of {app}",
        "app": {
            "name": app,
            "namespace": "",
            "uid": f"uid-{app}",
            "project": "shop",
            "labels": {},
            "annotations": {},
        },
        "project": {"name": "shop", "labels": {}},
        "cluster": {"name": "dev", "server": "https://dev.example.com", "labels": {}, "state": "Connected"},
        "revisions": [
            {
                "repo": "https://git.example.com/shop/web.git",
                "path": "deploy",
                "ref": "main",
                "sha": "a" * 40,
                "short": "a" * 7,
            }
        ],
        "previous_revisions": [],
        "operation": {},
        "initiator": {"kind": "automation", "name": "hub", "via": "tick"},
        "reason": "",
        "changes": [],
        "changes_total": 0,
        "health": {"status": "Healthy", "message": ""},
        "sync": {"status": "Synced", "counts": {}},
        "drift": {},
        "images": [],
        "resolves": "",
        "links": {"app": "https://hub.example.com/apps/web"},
        **more,
    }


def operation(number: int = 1, phase: str = "Running", **more: Any) -> dict[str, Any]:
    return {"id": f"op-{number}", "number": number, "kind": "sync", "phase": phase, "message": "", **more}


def run(time_: FakeClock, rounds: int = 50, step: float = 6.0) -> None:
    """Ticks until nothing is on its way any more."""
    for _ in range(rounds):
        for delivery in due_deliveries():
            deliver(delivery)
        if not Delivery.objects.filter(state__in=["pending", "sending"]).exists():
            return
        time_.forward(seconds=step)


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))
