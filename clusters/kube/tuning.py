"""The few numbers of the gate, and the clock and sleep it uses, in one place so that tests can replace them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times in seconds.

    request: one request from the first byte sent to the last byte read. connect: TCP and TLS.
    repeats: how often 429, 5xx and lost replies are repeated. longest_wait: a longer Retry-After is the caller's
    to wait for. watch_silence: a watch without any line for so long is dead (bookmarks come every 60 s).
    new_kind: how long "field not declared", 404 and 429 are believed to pass after a CRD change (facts C14).
    """

    request: float = 30.0
    connect: float = 10.0
    repeats: int = 3
    first_wait: float = 0.2
    longest_wait: float = 10.0
    page: int = 500
    watch_least: float = 300.0
    watch_most: float = 600.0
    watch_silence: float = 90.0
    watch_first_pause: float = 0.5
    watch_longest_pause: float = 60.0
    new_kind: float = 5.0
    many_gets: int = 20
    shared_list: float = 10.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random


_current = Tuning()


def tuning() -> Tuning:
    return _current


def use(new: Tuning) -> Tuning:
    """Replace the numbers for the whole process; returns the former ones. For tests and benchmarks."""
    global _current
    former, _current = _current, new
    return former
