"""Publishing hints after commit, guarded: a dead broker delays and loses nothing (house.md 4.3)."""

from __future__ import annotations

import functools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

import hub.tasks.runtime as runtime

log = structlog.get_logger(__name__)
_quiet_until = 0.0
_lock = threading.Lock()
PAUSE_S = 5.0


def after_commit(publish: Callable[[], None]) -> None:
    """Run `publish` once the surrounding transaction is committed, or at once when there is none."""
    transaction.on_commit(lambda: _guarded(publish), robust=True)


def look(applications: Iterable[uuid.UUID], *, queue: str = "") -> None:
    """Hint that these applications are due; call inside or after the transaction that made them due."""
    ids = list(applications)
    if ids:
        after_commit(lambda: _look(ids, queue))


def send(task: str, args: Sequence[Any], *, queue: str = "") -> None:
    """Publish one task by name with integer or text ids after commit."""
    after_commit(lambda: _publish(task, args, queue))


def _look(ids: list[uuid.UUID], queue: str) -> None:
    local = runtime.current()
    if local is not None and settings.EMBEDDED:
        for application in ids:
            local.hint(application)
        return
    for start in range(0, len(ids), 50):
        _publish("hub.look", [[str(application) for application in ids[start : start + 50]]], queue)


def _publish(task: str, args: Sequence[Any], queue: str) -> None:
    from hub.celery import app

    if settings.EMBEDDED:
        # Nobody outside of this process reads its broker: the task runs in its own pools, or the tick finds the row.
        local = runtime.current()
        if local is not None:
            local.submit(functools.partial(tasks()[task], *args))
        return
    app.send_task(task, args=list(args), queue=queue or None, ignore_result=True)


@functools.cache
def tasks() -> Mapping[str, Callable[..., object]]:
    """The tasks by name. Importing them runs the checks of Django, too: once is enough."""
    from hub.celery import app

    app.loader.import_default_modules()
    found: Mapping[str, Callable[..., object]] = app.tasks
    return found


def _guarded(publish: Callable[[], None]) -> None:
    """One failed publish keeps this process from trying again for 5 s: each try may take a second."""
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        publish()
    except Exception as error:
        with _lock:
            _quiet_until = time.monotonic() + PAUSE_S
        log.warning("the broker does not answer; the tick will find what is due", error=str(error)[:200])
