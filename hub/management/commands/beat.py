"""`manage.py beat`: the tick of a production hub. A static schedule, nothing stored; a second one does no harm."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from hub.tasks.hints import tick

TICK_S = 5.0


class Command(BaseCommand):
    help = "Send the tick every 5 seconds: it makes what is due go on, whatever messages were lost"

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="send one tick and end")

    def handle(self, *_args: Any, **options: Any) -> None:
        ended = threading.Event()
        if not options["once"]:
            signal.signal(signal.SIGTERM, lambda *_: ended.set())
        while not ended.is_set():
            try:
                tick.apply_async(expires=TICK_S * 2, ignore_result=True)
            except Exception as error:  # the broker may be away: the next tick tries again
                self.stderr.write(f"the broker does not answer: {str(error)[:200]}")
            if options["once"]:
                return
            ended.wait(TICK_S)
