"""Slack at the end of the line: what a flow test hands over, and what arrived."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.models import Application
from hub.services import events, telling
from notifications.models import Delivery, Subscription
from notifications.services import deliver, due_deliveries
from tests.flow.conftest import World
from tests.notifications.conftest import FakeClock, slack_service
from tests.slackserver import SlackServer


class Desk:
    """Subscribed to the named events with one channel; `tell` is what a worker does after passes."""

    def __init__(self, slack: SlackServer, clock: FakeClock) -> None:
        self.slack, self.clock = slack, clock
        slack.channel("ops")
        slack_service(slack)

    def subscribe(self, *names: str, **more: object) -> Subscription:
        number = Subscription.objects.count()
        return Subscription.objects.create(
            name=f"desk-{number}", destinations=["slack:ops"], events=list(names), **more
        )

    def tell(self, world: World | None = None, app: Application | None = None) -> None:
        """Events to deliveries, deliveries to Slack, until nothing is on its way."""
        if world is not None and app is not None:
            world.run(app)
        owed = telling.hand_over_all(events.undispatched(1000))
        for _ in range(200):
            for number in [*owed, *due_deliveries()]:
                deliver(number)
            owed = []
            if not Delivery.objects.filter(state__in=["pending", "sending"]).exists():
                return
            self.clock.forward(seconds=3)
        raise AssertionError("messages are still on their way")

    def roots(self) -> list[str]:
        """The first line of every thread, oldest first."""
        return [_line(message) for message in self.slack.roots("ops")]

    def thread(self, number: int) -> list[str]:
        """The lines below the root of that thread."""
        root = self.slack.roots("ops")[number]
        return [_line(message) for message in self.slack.replies("ops", root["ts"])]


def _line(message: dict[str, str]) -> str:
    return message["text"].splitlines()[0]


@pytest.fixture
def desk(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    from notifications.services import clock

    fake = FakeClock()
    monkeypatch.setattr(clock, "now", fake)
    with SlackServer() as slack:
        slack.clock = lambda: fake().timestamp()
        yield Desk(slack, fake)
