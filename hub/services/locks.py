"""Waiting for a lock no longer than somebody waits for the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """A transaction that waits at most this long for any lock, and raises OperationalError then."""
    if connection.vendor == "sqlite":
        # Here the lock is taken with the transaction, so the limit stands before it begins.
        with connection.patient(seconds), transaction.atomic():  # type: ignore[attr-defined]
            yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {max(1, int(seconds * 1000))}")
        yield
