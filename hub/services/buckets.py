"""Token buckets by name, counted in this process: so many at once, so many per second."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import NamedTuple

_KEPT = 10_000


class Rate(NamedTuple):
    per_second: float
    burst: float


class Buckets:
    """Bounded: the least recently used one is forgotten (it was full anyway)."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, kind: str, who: str, rate: Rate) -> float:
        """0 when there was one left, else the seconds until there is."""
        now = time.monotonic()
        with self._lock:
            left, since = self._left.pop((kind, who), (rate.burst, now))
            left = min(rate.burst, left + (now - since) * rate.per_second)
            wait = 0.0 if left >= 1 else (1 - left) / rate.per_second
            self._left[kind, who] = (left if wait else left - 1, now)
            while len(self._left) > _KEPT:
                self._left.popitem(last=False)
        return wait

    def clear(self) -> None:
        with self._lock:
            self._left.clear()
