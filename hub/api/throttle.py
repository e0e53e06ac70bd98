"""Budgets per principal, counted in this process: requests and writes per second with a burst (AP10)."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any, NamedTuple

from rest_framework.permissions import SAFE_METHODS
from rest_framework.throttling import BaseThrottle

from hub.services.guessing import address_of


class Rate(NamedTuple):
    per_second: float
    burst: float


RATES = {"requests": Rate(20, 100), "writes": Rate(5, 25)}
_KEPT = 10_000


class Buckets:
    """Token buckets by name, bounded: the least recently used one is forgotten (it was full anyway)."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, kind: str, who: str) -> float:
        """0 when there was one left, else the seconds until there is."""
        rate, now = RATES[kind], time.monotonic()
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


buckets = Buckets()


class Budget(BaseThrottle):
    """One principal never takes the time of the others (E11); the answer says when to come again."""

    def __init__(self) -> None:
        self._wait = 0.0

    def allow_request(self, request: Any, view: Any) -> bool:  # noqa: ARG002
        user = request.user
        who = str(user.pk) if user is not None and user.is_authenticated else f"@{address_of(request)}"
        self._wait = buckets.take("requests", who)
        if not self._wait and request.method not in SAFE_METHODS:
            self._wait = buckets.take("writes", who)
        return not self._wait

    def wait(self) -> float:
        return self._wait
