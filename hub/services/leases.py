"""One owner per application at a time: a lease in the row, by database time, with a fencing token.

Taken by one conditional UPDATE, so it works alike on SQLite and PostgreSQL and needs no broker lock (house.md 4.2,
security-and-reliability.md H3, H11). A pass that was killed leaves its lease to lapse; the next claim counts it.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import structlog
from django.db import close_old_connections, connection
from django.db.models.functions import Now

from hub.models import Application
from hub.services.statements import Prepared, key

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=60)
RENEW_EVERY_S = 20.0
# A pass starts no write with less lease left than the time-out of one (security-and-reliability.md H21).
SAFETY_S = 30.0


class LeaseLost(Exception):
    """Another worker owns the application now: nothing this pass knows may be written."""


@dataclass
class Lease:
    """A claim on one application, with its row as read right after the claim (project and cluster joined).

    `seen` is `look_count` at the claim: what came later wants another pass.
    """

    application: Application
    lost: bool = False
    renewed_at: float = field(default_factory=time.monotonic)
    # Monotonic clock: when the last claim or renewal that the database confirmed was sent.
    renewed: float = 0.0

    def __post_init__(self) -> None:
        self.renewed = self.renewed or time.monotonic()
        self.application_id: uuid.UUID = self.application.id
        self.fence: int = self.application.fence
        self.seen: int = self.application.look_count
        self.level: int = self.application.look_level
        self.lost_before: int = self.application.lost_passes

    @property
    def held_id(self) -> uuid.UUID:
        return self.application_id

    def renew(self) -> None:
        """Push the end of the lease out; a miss marks it lost."""
        asked = time.monotonic()
        # Not after the end of the pass, which may come between the keeper's look and this statement.
        kept = Application.objects.filter(
            id=self.application_id, fence=self.fence, lease_until__isnull=False
        ).update(lease_until=Now() + LEASE)
        if kept:
            self.renewed = asked
        else:
            self.lost = True

    def check(self) -> None:
        """Raises LeaseLost when the row is in other hands, or soon may be: no write starts that could outlive it."""
        if self.lost or time.monotonic() - self.renewed > LEASE.total_seconds() - SAFETY_S:
            raise LeaseLost(str(self.application_id))


def process_name() -> str:
    """Who this process is in lease rows and heartbeats."""
    return f"{host_name()}:{os.getpid()}"


@functools.cache
def host_name() -> str:
    """The name of this host, which in a container is the container's."""
    return socket.gethostname()[:60]


_ROW = Prepared(lambda id_: Application.objects.select_related("project", "cluster").filter(id=id_))


# Written out, because it runs for every pass: the ORM takes longer to say this than the database to do it. The count
# of lost passes first: a lease that is still set although it lapsed belonged to a pass that died.
_CLAIM = """UPDATE hub_application SET
  lost_passes = CASE WHEN lease_until IS NULL THEN lost_passes ELSE lost_passes + 1 END,
  lease_until = {until}, lease_owner = %s, fence = fence + 1
WHERE id = %s AND (lease_until IS NULL OR lease_until < {now})"""
_TIMES = {
    "sqlite": {
        "now": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f','NOW')",
        "until": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f','NOW','+60 seconds')",
    },
    "postgresql": {"now": "clock_timestamp()", "until": "clock_timestamp() + interval '60 seconds'"},
}


def claim(application_id: uuid.UUID) -> Lease | None:
    """Take the lease, or None when somebody else holds it or the row is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM.format(**_TIMES[connection.vendor]), [process_name(), key(application_id)])
        if cursor.rowcount != 1:
            return None
    lease = Lease(_ROW.rows(application_id)[0])
    keeper.hold(lease)
    return lease


def release(lease: Lease) -> None:
    """Give the lease back, unless it is no longer ours."""
    keeper.drop(lease)
    Application.objects.filter(id=lease.application_id, fence=lease.fence).update(
        lease_until=None, lease_owner="", lost_passes=0
    )


@contextmanager
def held(application_id: uuid.UUID) -> Iterator[Lease | None]:
    """The lease for the length of a block; None when it was not free."""
    lease = claim(application_id)
    try:
        yield lease
    finally:
        if lease is not None:
            release(lease)


class Held(Protocol):
    """A lease in some row."""

    @property
    def held_id(self) -> uuid.UUID: ...

    def renew(self) -> None: ...


class _Keeper:
    """Renews what this process holds, every 20 s, from one thread that lives while anything is held."""

    def __init__(self) -> None:
        self._held: dict[uuid.UUID, Held] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def hold(self, lease: Held) -> None:
        with self._lock:
            self._held[lease.held_id] = lease
            if self._thread is None or not self._thread.is_alive() or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()

    def drop(self, lease: Held) -> None:
        """Renew it no more. A lease that was lost says nothing about the one that another thread took since."""
        with self._lock:
            if self._held.get(lease.held_id) is lease:
                del self._held[lease.held_id]

    def forget(self) -> None:
        """Renew nothing any more, as after a kill."""
        with self._lock:
            self._held.clear()

    def _run(self) -> None:
        while not self._wake.wait(RENEW_EVERY_S):
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
            self.renew_all()

    def renew_all(self) -> None:
        """Renew what is held. A database that is away ends no keeper: `Lease.check` stops the passes in time."""
        with self._lock:
            held = list(self._held.values())
        for lease in held:
            try:
                self.renew(lease)
            except Exception:
                log.exception("a lease could not be renewed", row=str(lease.held_id))
            finally:
                close_old_connections()

    def renew(self, lease: Held) -> None:
        """Push the end of one lease out now."""
        lease.renew()


keeper = _Keeper()
