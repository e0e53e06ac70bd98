"""A child that is kept for many small jobs, and its turns."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from guard.child.process import MIB, TIMED_OUT, Limits, Process

_LINE = 64 * 1024
_DEFAULTS = Limits(cpu_s=None)


class ChildFailed(Exception):
    """A turn with a `Worker` did not end well; the child is gone. `timed_out` tells a runaway from a crash."""

    def __init__(self, reason: str, *, timed_out: bool = False, stderr: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.timed_out = timed_out
        self.stderr = stderr


class Turn:
    """One exchange with a Worker's child, under one deadline. Every method raises `ChildFailed`."""

    def __init__(self, child: Process, deadline: float) -> None:
        self._child = child
        self._deadline = deadline

    def write(self, data: bytes) -> None:
        """Queue `data`. It is written while reading, so neither side can block the other."""
        self._child.send(data)

    def read_line(self, limit: int = _LINE) -> bytes:
        """One line without its newline, at most `limit` bytes long."""
        buffer = self._child.stdout
        self._until(lambda: b"\n" in buffer or len(buffer) > limit)
        line, newline, _ = buffer.partition(b"\n")
        if not newline or len(line) > limit:
            raise ChildFailed(f"a line longer than {limit} bytes")
        del buffer[: len(line) + 1]
        return bytes(line)

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        buffer = self._child.stdout
        self._until(lambda: len(buffer) >= size)
        data = bytes(buffer[:size])
        del buffer[:size]
        return data

    def ask(self, payload: bytes, limit: int = 16 * MIB) -> bytes:
        """Send one frame (4 bytes of length, big endian, then the payload) and read the frame that answers."""
        self.write(len(payload).to_bytes(4, "big") + payload)
        size = int.from_bytes(self.read(4), "big")
        if size > limit:
            raise ChildFailed(f"an answer of {size} bytes, more than {limit}")
        return self.read(size)

    def _until(self, arrived: Callable[[], bool]) -> None:
        child = self._child
        reason = child.pump(self._deadline, lambda: arrived() or child.drained)
        if not arrived():
            timed_out = reason == TIMED_OUT
            raise ChildFailed(reason or child.epitaph(), timed_out=timed_out, stderr=bytes(child.stderr))


class Worker:
    """A long-lived child that answers one turn at a time; started on first use, replaced when it fails.

    A turn that raises anything ends the child (its pipe is in an unknown state), and the next turn starts a
    fresh one; so does a child that has served `max_turns` or was idle for `max_idle_s`. `limits.cpu_s` counts the
    whole life of one child: leave it None here and give turns a time-out. Safe for threads: turns queue up.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str] = "/",
        limits: Limits = _DEFAULTS,
        max_turns: int = 10_000,
        max_idle_s: float = 600.0,
    ) -> None:
        self._argv = tuple(argv)
        self._env = dict(env)
        self._cwd = cwd
        self._limits = limits
        self._max_turns = max_turns
        self._max_idle_s = max_idle_s
        self._lock = threading.Lock()
        self._child: Process | None = None
        self._owner = self._turns = 0
        self._last_used = 0.0

    @contextmanager
    def turn(self, timeout: float) -> Iterator[Turn]:
        """One exchange within `timeout` seconds, counted from when the child is free and started."""
        with self._lock:
            child = self._ready_child()
            try:
                yield Turn(child, time.monotonic() + timeout)
            except BaseException:
                self._drop(0)
                raise
            self._turns += 1
            self._last_used = time.monotonic()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._child.process.pid if self._child else None

    def close(self) -> None:
        """End the child; a later turn would start a new one."""
        with self._lock:
            self._drop(self._limits.grace_s)

    def _ready_child(self) -> Process:
        if self._child is not None and (self._owner != os.getpid() or self._is_spent(self._child)):
            self._drop(self._limits.grace_s)
        if self._child is None:
            try:
                self._child = Process(self._argv, self._env, self._cwd, self._limits)
            except (OSError, ValueError) as error:
                raise ChildFailed(f"not started: {error}") from error
            self._owner, self._turns = os.getpid(), 0
        return self._child

    def _is_spent(self, child: Process) -> bool:
        child.serve(0)  # notice an exit and what nobody asked for
        idle = time.monotonic() - self._last_used > self._max_idle_s
        return child.exited or bool(child.stdout) or idle or self._turns >= self._max_turns

    def _drop(self, grace_s: float) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if self._owner != os.getpid():
            child.disown()  # after a fork the child belongs to the process that started it
        else:
            child.end(grace_s)
