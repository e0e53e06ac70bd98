"""The one background asyncio loop of this process, and the bridge to it from plain threads.

Started on first use. After a fork the child has neither the thread nor the sockets: everything is forgotten there
and made anew on first use (Celery prefork, gunicorn).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_around_waits: Callable[[], AbstractContextManager[object]] = nullcontext
_after_fork: list[Callable[[], None]] = []


def loop() -> asyncio.AbstractEventLoop:
    """The running loop of the gate; starts its daemon thread when there is none."""
    global _loop
    found = _loop
    if found is not None and not found.is_closed():
        return found
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = _start()
        return _loop


def _start() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    ready = threading.Event()

    def turn() -> None:
        asyncio.set_event_loop(made)
        made.call_soon(ready.set)
        made.run_forever()

    threading.Thread(target=turn, name="clusters-gate", daemon=True).start()
    ready.wait()
    return made


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start `work` on the loop and return at once."""
    return asyncio.run_coroutine_threadsafe(work, loop())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the loop and wait for its value. RuntimeError when called from the loop itself: it would hang."""
    if _on_loop():
        work.close()
        raise RuntimeError(
            "a plain function of the gate was called from its own loop: await the coroutine instead"
        )
    future = submit(work)
    with _around_waits():
        return future.result()


def wait_within(context: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
    """Threads that wait for the loop do so within such a context."""
    global _around_waits
    _around_waits = context


def _on_loop() -> bool:
    try:
        return asyncio.get_running_loop() is _loop
    except RuntimeError:
        return False


def running() -> bool:
    """Whether this process has used the gate."""
    return _loop is not None and _loop.is_running()


def forget_after_fork(forget: Callable[[], None]) -> None:
    """Register what else a forked child must forget (open sessions, caches of sockets)."""
    _after_fork.append(forget)


def _forget() -> None:
    global _loop, _lock
    _loop = None
    _lock = threading.Lock()
    for forget in _after_fork:
        forget()


os.register_at_fork(after_in_child=_forget)
