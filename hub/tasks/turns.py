"""Passes take turns at computing where the database is a file: all of a pass runs in this interpreter then.

Many passes at once are for waiting together for API servers. As soon as several of them compute they only take the
interpreter's lock from each other, at every statement: measured in P1 with 16 threads, a fifth of the processor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Who computes for so long waits for something after all (a slow render, a locked database): others go on beside it.
LONG_S = 0.05


class Turns:
    """At most `places` threads between `taken` and its end, those in `aside` not counted; 0: any number."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._since: dict[int, float] = {}
        self._free = threading.Condition()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Compute in turn with the others."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Wait for something outside of this process; whose turn it is not just waits."""
        if threading.get_ident() not in self._since:
            yield
            return
        self._leave()
        try:
            yield
        finally:
            self._enter()

    def _enter(self) -> None:
        if not self._places:
            return
        with self._free:
            while (pause := self._pause()) > 0:
                self._free.wait(pause)
            self._since[threading.get_ident()] = time.monotonic()

    def _leave(self) -> None:
        with self._free:
            if self._since.pop(threading.get_ident(), None) is not None:
                self._free.notify()

    def _pause(self) -> float:
        """How long from now until there is a place even if nobody leaves; not positive when there is one."""
        ends = sorted((since + LONG_S for since in self._since.values()), reverse=True)
        return ends[self._places - 1] - time.monotonic() if len(ends) >= self._places else 0.0
