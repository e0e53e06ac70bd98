"""The circuit breaker of one cluster (access-and-api.md CL11): a dead server is asked rarely, not often."""

from __future__ import annotations

from collections.abc import Callable

THRESHOLD = 5
SHORTEST_ROW = 3.0
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 300.0


class Breaker:
    """Opens after 5 failures in a row; then one request is let through after 30 s, 60 s, ... at most 5 min.

    A failure is the lack of an answer of a Kubernetes API server. An answer we do not like is still an answer.
    The row must span 3 s, from the start of its first request: one dropped connection pool is no dead cluster.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._row_began: float | None = None
        self._pause = FIRST_PAUSE
        self._retry_at: float | None = None
        self._trying = False

    def now(self) -> float:
        return self._clock()

    @property
    def is_open(self) -> bool:
        return self._retry_at is not None

    def wait(self) -> float:
        """Seconds until a request may be sent; 0 when it may be sent now."""
        if self._retry_at is None:
            return 0.0
        left = self._retry_at - self._clock()
        if left > 0:
            return left
        return 1.0 if self._trying else 0.0

    def enter(self) -> float:
        """Ask to send: 0 means go (the half-open trial counts as taken), else the seconds to wait."""
        left = self.wait()
        if left == 0.0 and self._retry_at is not None:
            self._trying = True
        return left

    def success(self) -> None:
        """An answer came: closed, whatever was before."""
        self._failures = 0
        self._row_began = None
        self._pause = FIRST_PAUSE
        self._retry_at = None
        self._trying = False

    def failure(self, began: float) -> None:
        """No answer came to the request that began at `began` (same clock)."""
        now = self._clock()
        self._failures += 1
        self._row_began = began if self._row_began is None else min(began, self._row_began)
        if self._trying:
            self._trying = False
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._retry_at = now + self._pause
        elif self._retry_at is None and self._failures >= THRESHOLD and now - self._row_began >= SHORTEST_ROW:
            self._retry_at = now + self._pause

    def abandon(self) -> None:
        """The request ended without a verdict (its caller was cancelled)."""
        self._trying = False
