"""`hub slack-socket`: clicks from Slack over an outgoing connection, for a hub without a public address."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from hub.services import chat
from hub.tasks import nudges
from notifications import services as notifications
from notifications.services import Interaction


class Command(BaseCommand):
    help = "Take clicks from Slack by Socket Mode, for every Slack service of the hub that has an appToken"

    def handle(self, *_args: Any, **_options: Any) -> None:
        services = notifications.socket_services()
        if not services:
            raise CommandError(
                "no Slack service of the hub has an appToken\nset it in the service's settings"
            )
        ended = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: ended.set())
        self.listen(services, ended)

    def listen(self, services: list[str], ended: threading.Event) -> None:
        """One connection for each service; more processes of this command are more connections."""
        threads = [
            threading.Thread(target=notifications.listen, args=(name, self.take, ended, self.ready))
            for name in services
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def ready(self) -> None:
        self.stdout.write("listening to Slack")
        self.stdout.flush()

    def take(self, act: Interaction, envelope: str) -> dict[str, Any]:
        """What the view does with a request: decide, nudge, answer."""
        close_old_connections()
        try:
            answer = chat.handle(act, envelope)
            nudges.look(answer.look)
            nudges.send("hub.dispatch_events", [])
            return answer.body
        finally:
            close_old_connections()
