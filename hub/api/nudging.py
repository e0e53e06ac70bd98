"""Hints after commit: the row is due already, a lost hint only delays (house.md 4.3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable


def look(applications: Iterable[uuid.UUID]) -> None:
    from hub.tasks import nudges

    nudges.look(applications)


def poll(repositories: Iterable[uuid.UUID]) -> None:
    from hub.tasks import nudges

    for repository in repositories:
        nudges.send("hub.poll", [str(repository)])


def probe(cluster: uuid.UUID) -> None:
    from hub.tasks import nudges

    nudges.send("hub.probe", [str(cluster)])


def tell() -> None:
    """Hand what just happened to notifications now, not at the next tick."""
    from hub.tasks import nudges

    nudges.send("hub.dispatch_events", [])


def deliver(deliveries: Iterable[int]) -> None:
    from hub.tasks import nudges

    for delivery in deliveries:
        nudges.send("notifications.deliver", [delivery])
