"""Interactions over Socket Mode: the same value as from HTTP, handed to the same function (notifications.md 7)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.db import close_old_connections

import notifications.services.configured as configured
from guard.fields import DecryptionError
from notifications.channels import slacksocket
from notifications.errors import NotificationError
from notifications.services.slack_calls import (
    Interaction,
    SlackRequestRefused,
    reach,
    read_payload,
    signing_secrets,
    trusted,
)

log = structlog.get_logger(__name__)
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)


def socket_services() -> list[str]:
    """The hub's Slack services that have an app token."""
    found = []
    for row in trusted():
        try:
            if configured.settings_of(row.settings).get("appToken"):
                found.append(row.name)
        except DecryptionError as error:
            log.error("the app token of a service cannot be read", service=row.name, why=str(error))
    return found


def hears_clicks() -> bool:
    """Whether any click can reach the hub: a signing secret or an app token is set."""
    return bool(signing_secrets() or socket_services())


def listen(
    service: str,
    handle: Callable[[Interaction, str], Mapping[str, Any]],
    stop: threading.Event,
    connected: Callable[[], None],
) -> None:
    """Until `stop`: `handle` gets each interaction with the id of its envelope, which may come twice.

    A connection that does not come about is tried again, ever more slowly.
    """

    def take(kind: str, envelope: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind != "interactive":
            return {}
        try:
            return handle(read_payload(payload, service), envelope)
        except SlackRequestRefused as refused:
            log.info("an envelope was not understood", service=service, code=refused.code)
            return {}

    tries = 0
    while not stop.is_set():
        try:
            settings, network = reach(service, 10.0)
            # This thread only waits from here on: it keeps no connection of the database.
            close_old_connections()
            slacksocket.listen(settings, network, take, stop, connected)
        except (NotificationError, OSError) as error:
            log.warning("no connection to Slack", service=service, why=str(error)[:200])
            stop.wait(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1
