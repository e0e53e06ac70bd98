"""`manage.py worker`: one worker process (Celery with threads, watches of leased shards)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from hub.celery import app
from hub.tasks.process import Process, spare_the_collector


class Command(BaseCommand):
    help = "Run one worker process: takes hints from the broker and owns the watches of its share of clusters"

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--threads", type=int, default=0, help="passes at once (default HUB_WORKER_THREADS)"
        )
        parser.add_argument("--tick", action="store_true", help="also play the tick, for hubs without `beat`")

    def handle(self, *_args: Any, **options: Any) -> None:
        spare_the_collector()
        with Process(tick=options["tick"], threads=options["threads"]):
            self.stdout.write("worker is ready")
            self.stdout.flush()
            worker = app.Worker(
                pool="threads",
                concurrency=4,
                queues=["any"],
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
                loglevel="WARNING",
                quiet=True,
            )
            worker.start()
