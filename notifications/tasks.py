"""The Celery tasks of the room; each takes an id and may come twice, late or never."""

from __future__ import annotations

from celery import shared_task

import notifications.services as services


@shared_task(name="notifications.deliver")
def deliver(delivery: int) -> None:
    """One attempt of one Delivery."""
    services.deliver(delivery)
