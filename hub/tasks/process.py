"""One worker process from start to end: runtime, shard leases with their watches, and in production Celery.

`Process` is used by `manage.py worker`, by the embedded hub (`manage.py demo`, `manage.py run`) and by tests.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog
from django.conf import settings
from django.db import close_old_connections, connection

import hub.tasks.hints as hints
import hub.tasks.nudges as nudges
import hub.tasks.runtime as runtime
import hub.tasks.watching as watching
from clusters.services import wait_within
from hub.services import heartbeats, mirrors
from notifications import services as notifications

log = structlog.get_logger(__name__)
HOUSEKEEPING_S = 5.0
TICK_S = 5.0
TIDYING_S = 3600.0


def spare_the_collector() -> None:
    """For a process that only works from now on: all is loaded, and never looked at for garbage again.

    Most of it is code and models; a full collection walks over them for a tenth of a second, with the interpreter's
    lock held (docs.python.org/3/library/gc.html, gc.freeze).
    """
    nudges.tasks()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


class Process:
    """Start the parts of a worker; `tick=True` also plays the tick (embedded hubs have no beat process).

    Use as a context manager, or call `start` and `stop`. `stop` waits for the passes that run.
    """

    def __init__(self, *, tick: bool, threads: int = 0) -> None:
        self.runtime = runtime.Runtime(
            hints.run_pass,
            threads=threads or settings.CELERY_WORKER_CONCURRENCY,
            computing=1 if connection.vendor == "sqlite" else 4,
        )
        self.watching = watching.Watching(self.runtime)
        self.runtime.after_pass = self.watching.after_pass
        self._tick = tick
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> Process:
        runtime.install(self.runtime)
        wait_within(self.runtime.turns.aside)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End in order: no new hints, no watches, leases of shards given back."""
        self._stop.set()
        self._thread.join(timeout=30)
        self.watching.stop()
        self.runtime.stop()
        if runtime.current() is self.runtime:
            wait_within()
            runtime.install(None)

    def __enter__(self) -> Process:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        next_tick = next_tidying = 0.0
        while not self._stop.is_set():
            chores: list[Callable[[], object]] = [
                lambda: heartbeats.beat("worker"),
                self.watching.tend,
                hints.look_here,
                notifications.flush,
            ]
            if self._tick and time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK_S
                chores.append(hints.tick)
            if time.monotonic() >= next_tidying:
                next_tidying = time.monotonic() + TIDYING_S
                chores.append(lambda: self.runtime.submit_once("mirrors", mirrors.tend, poll=True))
            for chore in chores:
                self._do(chore)
            self._stop.wait(HOUSEKEEPING_S)

    def _do(self, chore: Callable[[], object]) -> None:
        try:
            chore()
        except Exception:
            # Database away, for example: the next round tries again, what is due stays due.
            log.exception("housekeeping failed")
        finally:
            close_old_connections()
