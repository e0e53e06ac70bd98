"""A hub in one process, without any broker: nothing may work only with one (house.md 4.10)."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from clusters.models import Cluster
from hub.celery import app as celery
from hub.models import Event, Repository, WorkerProcess
from hub.services import approvals, heartbeats
from hub.tasks import hints, nudges
from tests.flow import faults
from tests.flow.conftest import World
from tests.live.worldview import until


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to a broker that nobody reads."""
    sent: list[str] = []
    monkeypatch.setattr(celery, "send_task", lambda name, **_: sent.append(name))
    return sent


def test_what_a_door_or_the_tick_asks_for_is_done_in_this_process(world: World, no_broker: list[str]) -> None:
    Cluster.objects.update(next_probe_at=timezone.now(), state=Cluster.State.UNKNOWN)
    with faults.worker():
        nudges.send("hub.poll", [str(world.repository.id)])
        assert until(lambda: Repository.objects.get().state != "Unknown")
        hints.tick()
        assert until(lambda: Cluster.objects.get().state == Cluster.State.CONNECTED)
    assert no_broker == []


def test_without_a_worker_nothing_is_kept_for_nobody(world: World, no_broker: list[str]) -> None:
    nudges.send("hub.probe", [str(world.cluster.id)])
    assert no_broker == []


def test_history_is_pruned_and_reviews_are_reminded_of(
    world: World, no_broker: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reminded: list[str] = []
    monkeypatch.setattr(approvals, "remind", lambda: reminded.append("once"))
    long_ago = timezone.now() - timezone.timedelta(days=100)  # type: ignore[attr-defined]
    Event.objects.create(key="old", name="synced", occurred_at=long_ago, dispatched_at=long_ago)
    with faults.worker():
        hints.tick()
        hints.tick()
        assert until(lambda: not Event.objects.filter(key="old").exists())
        assert until(lambda: reminded == ["once"])


def test_a_part_of_the_tick_that_fails_stops_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> list[Any]:
        raise RuntimeError("one row that cannot be handled")

    asked: list[str] = []
    monkeypatch.setattr(approvals, "expire_due", broken)
    monkeypatch.setattr(hints.notifications, "due_deliveries", broken)
    monkeypatch.setattr(hints, "poll_soon", lambda each: asked.append(str(each)))
    hints.tick()
    assert asked == [str(world.repository.id)]
    assert heartbeats.ages()["tick"] < 60


def test_a_worker_that_ends_is_not_counted_any_more(world: World) -> None:
    with faults.worker():
        assert until(lambda: WorkerProcess.objects.filter(role="worker").exists())
    assert not WorkerProcess.objects.filter(role="worker").exists()
