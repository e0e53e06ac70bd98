"""Counters that several worker processes share: gathered in memory, added to their rows every few seconds.

A process that is killed loses what it counted since; nothing but a figure depends on it. Labels never hold the name of
an application, a recipient or a person.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter as Tally

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from notifications.models import Counter

EVERY_S = 5.0
BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_MOST_LABEL = 100

log = structlog.get_logger(__name__)
_lock = threading.Lock()
_waiting: Tally[tuple[str, str]] = Tally()
_flushed_at = time.monotonic()


def count(name: str, amount: float = 1.0, /, **labels: str) -> None:
    """Add to a series. Safe from any thread; touches the database at most every 5 s, and never inside a transaction."""
    key = (name, json.dumps({label: text[:_MOST_LABEL] for label, text in sorted(labels.items())}))
    with _lock:
        _waiting[key] += amount  # type: ignore[assignment]
        late = time.monotonic() - _flushed_at > EVERY_S
    if late and not connection.in_atomic_block:
        try:
            flush()
        except DatabaseError as error:
            # Whoever counts goes on with what matters; the next one tries again.
            log.warning("figures could not be written", error=str(error)[:200])


def took(name: str, seconds: float, /, **labels: str) -> None:
    """Add one duration to a histogram."""
    seconds = max(seconds, 0.0)
    count(f"{name}_count", **labels)
    count(f"{name}_sum", seconds, **labels)
    # One row for the narrowest bucket that holds it; the scrape adds them up.
    bound = next((str(limit) for limit in BUCKETS if seconds <= limit), "+Inf")
    count(f"{name}_bucket", **labels, le=bound)


def flush() -> None:
    """Write down what was gathered. What cannot be written is kept for the next time."""
    global _flushed_at
    with _lock:
        _flushed_at = time.monotonic()
        gathered = Tally(_waiting)
        _waiting.clear()
    written = False
    try:
        with transaction.atomic():
            # Always in the same order, so that two processes never wait for each other.
            for (name, labels), amount in sorted(gathered.items()):
                _add(name, labels, amount)
        written = True
    finally:
        if not written:
            with _lock:
                _waiting.update(gathered)


def _add(name: str, labels: str, amount: float) -> None:
    rows = Counter.objects.filter(name=name, labels=labels)
    if not rows.update(value=F("value") + amount):
        Counter.objects.bulk_create([Counter(name=name, labels=labels)], ignore_conflicts=True)
        rows.update(value=F("value") + amount)


def series() -> list[tuple[str, dict[str, str], float]]:
    """Everything counted so far by all processes, histograms made cumulative."""
    flush()
    plain: list[tuple[str, dict[str, str], float]] = []
    buckets: dict[tuple[str, str], dict[str, float]] = {}
    for name, text, value in Counter.objects.order_by("name", "labels").values_list(
        "name", "labels", "value"
    ):
        labels = json.loads(text)
        if "le" not in labels:
            plain.append((name, labels, value))
            continue
        bound = labels.pop("le")
        buckets.setdefault((name, json.dumps(labels)), {})[bound] = value
    for (name, text), held in buckets.items():
        total = 0.0
        for bound in (*map(str, BUCKETS), "+Inf"):
            total += held.get(bound, 0.0)
            plain.append((name, {**json.loads(text), "le": bound}, total))
    return plain
