"""What one worker process keeps running: pools for local hints, timers, and which applications wait in them.

A hint from a watch event or a timer of this process needs no broker: it goes straight into the pool. So a dead
broker delays only what other processes ask for (security-and-reliability.md H4). Passes, polls and the rest have
threads of their own, and the passes of one cluster never take all of theirs: what is slow delays its own kind only.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.db import close_old_connections

from guard import child
from hub.tasks.turns import Turns

log = structlog.get_logger(__name__)
Work = Callable[[uuid.UUID], None]
# Polls at once: more than one host and credential gets (6), so that a slow host leaves places to the others.
POLLS = 8
ERRANDS = 4
# A cluster with a pass that has lasted so long is slow, and gets no more than a quarter of the places.
SLOW_S = 5.0
# How long a look at health may stand back while others wait.
CALM_S = 5.0
# How long the end of the process waits for programs that it started.
PATIENCE_S = 15.0


class Runtime:
    """A small pool with one queue place per application, and timers below a minute.

    Hinting an application that already waits does nothing; hinting one that runs makes it run once more after.
    """

    def __init__(self, work: Work, *, threads: int, computing: int = 0) -> None:
        self._work = work
        # How many of the passes that run may compute at a time, 0 for all.
        self.turns = Turns(computing)
        # Told after each pass of this process, so that watches follow what applications use.
        self.after_pass: Callable[[Any, frozenset[tuple[str, str]], str], None] | None = None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pass")
        self._polls = ThreadPoolExecutor(POLLS, thread_name_prefix="poll")
        self._errands = ThreadPoolExecutor(ERRANDS, thread_name_prefix="errand")
        # The bulkhead between clusters (performance.md 3.9): how many passes of one may run, who runs, who waits.
        self._few = max(1, threads // 4)
        self._many = max(1, threads - self._few)
        self._cluster_of: dict[uuid.UUID, uuid.UUID] = {}
        self._inside: dict[uuid.UUID, list[float]] = {}
        self._parked: dict[uuid.UUID, deque[uuid.UUID]] = {}
        self._lock = threading.Condition()
        self._waiting: set[uuid.UUID] = set()
        self._running: set[uuid.UUID] = set()
        self._again: set[uuid.UUID] = set()
        self._calm: set[uuid.UUID] = set()
        # Actions by name: whether they were asked for again while they waited or ran.
        self._once: dict[str, bool] = {}
        self._collected: dict[str, list[Any]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._stopped = False
        self._clock = threading.Thread(target=self._run_timers, name="timers", daemon=True)
        self._clock.start()

    def hint(self, application_id: uuid.UUID) -> None:
        """Look at this application soon. Never blocks; safe from any thread."""
        with self._lock:
            if self._stopped or application_id in self._waiting:
                return
            self._calm.discard(application_id)
            if application_id in self._running:
                self._again.add(application_id)
                return
            self._waiting.add(application_id)
            self._pool.submit(self._run, application_id)

    def hint_calmly(self, application_id: uuid.UUID) -> None:
        """Look at this application behind those that wait, `CALM_S` later at most: only a health changed.

        A rollout changes it many times, and while much is to be applied that comes first.
        """
        with self._lock:
            if not self._waiting:
                self.hint(application_id)
            elif not self._stopped and application_id not in self._waiting:
                if not self._calm:
                    self.after(CALM_S, self._hint_the_calm)
                self._calm.add(application_id)

    def _hint_the_calm(self) -> None:
        with self._lock:
            for application_id in list(self._calm):
                self.hint(application_id)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` (short, never blocking) after so many seconds."""
        with self._lock:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._serial), action))
            self._lock.notify_all()

    def hint_after(self, seconds: float, application_id: uuid.UUID) -> None:
        self.after(seconds, lambda: self.hint(application_id))

    def learn(self, application_id: uuid.UUID, cluster_id: uuid.UUID) -> None:
        """Where an application is deployed: its passes share the places of that cluster."""
        self._cluster_of[application_id] = cluster_id

    def submit(self, action: Callable[[], object]) -> None:
        """Run an errand (a delivery, an observation, a probe) beside the passes."""
        self._submit(self._errands, action)

    def submit_once(
        self, name: str, action: Callable[[], object], *, poll: bool = False, gather: float = 0.0
    ) -> None:
        """Run an action that does everything that is due: never twice at a time, once more if asked while it runs.

        `gather`: seconds to wait for more of what one run does together.
        """
        with self._lock:
            asked_before = name in self._once
            self._once[name] = asked_before
        if asked_before:
            return
        pool = self._polls if poll else self._errands
        run = functools.partial(self._submit, pool, lambda: self._run_once(name, action, poll, gather))
        if gather:
            self.after(gather, run)
        else:
            run()

    def collect(self, name: str, item: Any, action: Callable[[list[Any]], object], gather: float) -> None:
        """Run `action` with all items of this name that come within `gather` seconds, as `submit_once` runs it."""
        with self._lock:
            self._collected.setdefault(name, []).append(item)
        self.submit_once(name, lambda: self._hand_over(name, action), gather=gather)

    def _hand_over(self, name: str, action: Callable[[list[Any]], object]) -> None:
        with self._lock:
            items = self._collected.pop(name, [])
        if items:
            action(items)

    def _submit(self, pool: ThreadPoolExecutor, action: Callable[[], object]) -> None:
        with self._lock:
            if not self._stopped:
                pool.submit(self._guarded, action)

    def _run_once(self, name: str, action: Callable[[], object], poll: bool, gather: float) -> None:
        with self._lock:
            self._once[name] = False  # whoever asked until now is served by this run
        try:
            action()
        finally:
            with self._lock:
                again = self._once.pop(name)
            if again:
                self.submit_once(name, action, poll=poll, gather=gather)

    def idle(self) -> bool:
        """Nothing waits and nothing runs (timers do not count)."""
        with self._lock:
            return not self._waiting and not self._running and not self._calm

    def stop(self) -> None:
        """Take no more hints and wait for the passes that run."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        pools = (self._pool, self._polls, self._errands)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        ended = threading.Event()
        hurry = threading.Thread(target=self._hurry, args=(ended,), name="hurry", daemon=True)
        hurry.start()
        for pool in pools:
            pool.shutdown(wait=True)
        ended.set()
        hurry.join()

    def _hurry(self, ended: threading.Event) -> None:
        """A fetch may take minutes, an operator waits for less: another process fetches (H14)."""
        patience = PATIENCE_S
        while not ended.wait(patience):
            patience = 1.0
            child.call_off()

    def _run(self, application_id: uuid.UUID) -> None:
        with self._lock:
            cluster = self._cluster_of.get(application_id)
            entered = time.monotonic()
            if cluster is not None:
                if self._places(cluster) < 1:
                    self._parked.setdefault(cluster, deque()).append(application_id)
                    return
                self._inside.setdefault(cluster, []).append(entered)
            self._waiting.discard(application_id)
            self._running.add(application_id)
            if not self._waiting:
                self._hint_the_calm()
        try:
            self._guarded(functools.partial(self._pass, application_id))
        finally:
            with self._lock:
                self._running.discard(application_id)
                again = application_id in self._again
                self._again.discard(application_id)
            if cluster is not None:
                self._leave(cluster, entered)
            if again:
                self.hint(application_id)

    def _pass(self, application_id: uuid.UUID) -> None:
        with self.turns.taken():
            self._work(application_id)

    def _places(self, cluster: uuid.UUID) -> int:
        """How many more passes of a cluster may run; one whose passes take long gets few."""
        since = self._inside.get(cluster, [])
        slow = bool(since) and time.monotonic() - min(since) > SLOW_S
        return (self._few if slow else self._many) - len(since)

    def _leave(self, cluster: uuid.UUID, entered: float) -> None:
        """A place of this cluster is free: who waits for one queues up for a thread like everybody else."""
        with self._lock:
            self._inside[cluster].remove(entered)
            if not self._inside[cluster]:
                del self._inside[cluster]
            waiting = self._parked.get(cluster, deque())
            for _ in range(min(self._places(cluster), len(waiting))):
                following = waiting.popleft()
                if not self._stopped:
                    self._pool.submit(self._run, following)
            if not waiting:
                self._parked.pop(cluster, None)

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception:
            # The pool is the last place that can report it; the rows say what is still due.
            log.exception("a pass failed", thread=threading.current_thread().name)
        finally:
            close_old_connections()

    def _run_timers(self) -> None:
        while True:
            with self._lock:
                while not self._stopped and (not self._timers or self._timers[0][0] > time.monotonic()):
                    pause = self._timers[0][0] - time.monotonic() if self._timers else None
                    self._lock.wait(pause)
                if self._stopped:
                    return
                _, _, action = heapq.heappop(self._timers)
            try:
                action()
            except Exception:
                log.exception("a timer failed")


_current: Runtime | None = None


def current() -> Runtime | None:
    """The runtime of this process, None in processes that do no passes (web, commands)."""
    return _current


def install(runtime: Runtime | None) -> None:
    """Make `runtime` the one of this process."""
    global _current
    _current = runtime
