"""Per process, host and credential: at most 6 requests at once and 20 a second (sources.md 2.6)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from hub.core.sources import RepositoryAccess, parse_url
from hub.core.sources.backoff import back_off_key
from hub.errors import SourceError

_AT_ONCE, _PER_SECOND, _PATIENCE_S = 6, 20, 30.0


class _Lane:
    def __init__(self) -> None:
        self.slots = threading.BoundedSemaphore(_AT_ONCE)
        self.starts: deque[float] = deque(maxlen=_PER_SECOND)
        self.lock = threading.Lock()


_lanes: dict[str, _Lane] = {}
_lock = threading.Lock()


class Busy(SourceError):
    """All places of this process for a host and credential are taken: ours is no fault of the server, and passes soon."""


@contextmanager
def one_request(access: RepositoryAccess, *, patient: bool = True) -> Iterator[None]:
    """Hold one of the places of a host and credential while a request runs; who is not patient leaves at once.

    Raises Busy.
    """
    host = parse_url(access.url, allow_http=access.allow_http, allow_file=access.allow_file).host
    with _lock:
        lane = _lanes.setdefault(back_off_key(host, access.credential_digest), _Lane())
    if not lane.slots.acquire(timeout=_PATIENCE_S if patient else 0):
        raise Busy("RepositoryUnavailable", f"{_AT_ONCE} requests to {host} are under way", permanent=False)
    try:
        _keep_pace(lane)
        yield
    finally:
        lane.slots.release()


def _keep_pace(lane: _Lane) -> None:
    with lane.lock:
        now = time.monotonic()
        wait = lane.starts[0] + 1.0 - now if len(lane.starts) == _PER_SECOND else 0.0
        lane.starts.append(now + max(wait, 0.0))
    if wait > 0:
        time.sleep(wait)
