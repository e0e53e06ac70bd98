"""Waiting for a lock no longer than somebody waits for the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """A transaction that waits at most this long for any lock, and raises OperationalError then."""
    wait = max(1, int(seconds * 1000))
    if connection.vendor != "sqlite":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {wait}")
            yield
        return
    with connection.cursor() as cursor:
        # Here the lock is taken with the transaction, so the limit stands before it begins.
        cursor.execute("PRAGMA busy_timeout")
        (usual,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {wait}")
    try:
        with transaction.atomic():
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {int(usual)}")
