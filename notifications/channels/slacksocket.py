"""Slack's Socket Mode: an outgoing connection on which interactions come in, for hubs without a public address (7).

The SDK keeps the connection and makes new ones; the address it dials comes from our call and is checked like any other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

import notifications.channels.base as base
import notifications.channels.slack as slack
from notifications.channels.base import DeliveryError, Network

# What somebody sent: its kind, the id of its envelope and the payload; the answer goes back with the acknowledgement.
Taker = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]

_log = logging.getLogger("notifications.slack.socket")
_log.setLevel(logging.CRITICAL)


class _Socket(SocketModeClient):
    def __init__(self, settings: Mapping[str, Any], network: Network, taker: Taker) -> None:
        super().__init__(str(settings.get("appToken") or ""), logger=_log)
        # A proxy from the environment is not used, as for every other call.
        self.proxy = None
        self._settings, self._network, self._taker = settings, network, taker
        self.socket_mode_request_listeners.append(self._take)

    def issue_new_wss_url(self) -> str:
        """Raises DeliveryError."""
        settings = {**self._settings, "token": self.app_token}
        url = str(
            slack.call("apps.connections.open", {}, settings, self._network, form=True).get("url") or ""
        )
        if url.startswith("ws://") and not self._network.allow_loopback:
            raise DeliveryError("insecure", "Slack named an address without TLS", kind="unknown")
        base.checked(url.replace("ws", "http", 1), self._network)
        return url

    def _take(self, _: BaseSocketModeClient, request: SocketModeRequest) -> None:
        """An error of ours acknowledges nothing: then Slack sends the envelope again."""
        answer = self._taker(request.type, request.envelope_id, request.payload or {})
        self.send_socket_mode_response(
            SocketModeResponse(envelope_id=request.envelope_id, payload=dict(answer) or None)
        )


def listen(
    settings: Mapping[str, Any],
    network: Network,
    taker: Taker,
    stop: threading.Event,
    connected: Callable[[], None],
) -> None:
    """Take what comes until `stop`. Raises DeliveryError or OSError when the first connection does not come about."""
    client = _Socket(settings, network, taker)
    try:
        client.connect()
        connected()
        stop.wait()
    finally:
        client.close()
