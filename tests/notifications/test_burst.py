"""10,000 Deliveries at once: the channel's rate is kept, nothing is lost, memory stays flat (issue of the room, 6.3)."""

from __future__ import annotations

import gc
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from notifications.models import Delivery, Destination, EventCopy, Service
from notifications.services import deliver, due_deliveries
from notifications.services.keys import digest
from tests.notifications.conftest import FakeClock, event, slack_service
from tests.notifications.receivers import HttpReceiver
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db
MANY = 10_000
MOST_GROWTH = 24 * 1024 * 1024


def _memory() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _owed(place: Destination, time_: FakeClock, many: int, apps: int, **more: Any) -> None:
    """Rows as dispatch makes them, from many applications in turn."""
    now = time_()
    copies = EventCopy.objects.bulk_create(
        [
            EventCopy(
                key=f"k/{number}",
                name="deployed",
                app=f"uid-{number % apps}",
                project="shop",
                severity="success",
                summary=f"deployed {number}",
                data=event(
                    "deployed",
                    key=f"k/{number}",
                    app=f"app-{number % apps}",
                    summary=f"deployed {number}",
                    **more,
                ),
                occurred_at=now,
                received_at=now,
            )
            for number in range(many)
        ],
        batch_size=500,
    )
    Delivery.objects.bulk_create(
        [
            Delivery(
                destination=place,
                event=copy,
                dedupe=digest(copy.key),
                lane=digest(place.pk, copy.app),
                trigger="event:deployed",
                app=copy.app,
                next_at=now,
                created_at=now,
            )
            for copy in copies
        ],
        batch_size=500,
    )


def _drain(time_: FakeClock, rounds: int) -> list[int]:
    """Ticks until nothing waits; the memory after every hundredth."""
    seen = []
    for number in range(rounds):
        for delivery in due_deliveries():
            deliver(delivery)
        if number % 100 == 0:
            seen.append(_memory())
        if not Delivery.objects.filter(state__in=["pending", "sending"]).exists():
            return seen
        time_.forward(seconds=5)
    raise AssertionError(Counter(Delivery.objects.values_list("state", flat=True)))


def test_ten_thousand_at_once_are_folded_at_the_pace_of_the_channel(
    slack: SlackServer, time_: FakeClock
) -> None:
    place = Destination.objects.create(service=slack_service(slack), recipient="#a")
    slack.enforce_pace = True
    _owed(place, time_, MANY, apps=500)
    seen = _drain(time_, rounds=400)
    states = Counter(Delivery.objects.values_list("state", flat=True))
    assert set(states) == {"sent", "merged"}
    assert states["sent"] + states["merged"] == MANY
    assert states["sent"] == len(slack.messages("a")) < 400
    assert not Delivery.objects.filter(state="merged").exclude(folded_into__state="sent").exists()
    assert [call for call in slack.made("chat.postMessage") if call.status != 200] == []
    assert seen[-1] - seen[0] < MOST_GROWTH


def test_what_a_machine_reads_arrives_once_in_order_and_no_faster_than_its_rate(time_: FakeClock) -> None:
    """Nothing is folded here: 400 requests, of 40 applications in turn, at 5 in a second."""
    moments: list[float] = []
    with HttpReceiver() as hook:
        hook.answer = lambda _: (moments.append(time_().timestamp()), 200)[1]  # type: ignore[func-returns-value,method-assign]
        service = Service.objects.create(name="hook", type="webhook", settings=json.dumps({"url": hook.url}))
        place = Destination.objects.create(service=service, recipient="")
        _owed(place, time_, 400, apps=40)
        _drain(time_, rounds=400)
        numbers = [int(re.findall(rb"deployed (\d+)", got.body)[0]) for got in hook.requests]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
    assert sorted(numbers) == list(range(400))
    for app in range(40):
        assert [number for number in numbers if number % 40 == app] == list(range(app, 400, 40))
    for many in (10, 50):
        for begin, end in zip(moments, moments[many:], strict=False):
            assert many <= 5 + 5 * (end - begin) + 1
