"""The only starter of processes: an empty environment, limits, a time-out, ended as a group. Linux only.

`run` is for one job; `Worker` keeps a child for many small ones and replaces it when it misbehaves. Neither lets
a program's behaviour surprise the caller: `run` always answers with `Completed`, a turn that fails raises
`ChildFailed`. May live here: starting, feeding, limiting, ending. May not: any knowledge of what is run.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from guard.child.process import LIMITS_NOT_SET, MIB, TIMED_OUT, Limits, Process, signal_name
from guard.child.worker import ChildFailed, Turn, Worker

__all__ = [
    "CALLED_OFF",
    "MIB",
    "NOT_STARTED",
    "ChildFailed",
    "Completed",
    "Limits",
    "Turn",
    "Worker",
    "call_off",
    "run",
]

NOT_STARTED = 127
_DEFAULTS = Limits()


@dataclass(frozen=True, slots=True)
class Completed:
    """How a child ended. `returncode` is negative for a signal, 127 if it never started.

    `killed`: it was ended from outside (by the parent, a limit or another signal) instead of ending by itself.
    `reason` is a sentence for that, or for why it did not start; empty otherwise. `stderr` is its last 64 KiB.
    """

    returncode: int
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    killed: bool = False
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.returncode == 0 and not self.killed and not self.reason


CALLED_OFF = "called off: the process that started it is ending"
# Whoever is in it was not reaped, so that its number is nobody else's.
_running: set[Process] = set()
_lock = threading.Lock()


def run(
    argv: Sequence[str],
    *,
    input: bytes | None = None,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str] = "/",
    timeout: float | None = None,
    limits: Limits = _DEFAULTS,
) -> Completed:
    """Run one program to its end. `env` is its whole environment; `timeout` can only shorten `limits.wall_s`."""
    wall_s = limits.wall_s if timeout is None else min(timeout, limits.wall_s)
    deadline = time.monotonic() + wall_s
    try:
        child = Process(argv, env, cwd, limits, piped_stdin=input is not None)
    except (OSError, ValueError) as error:
        return Completed(NOT_STARTED, reason=f"not started: {error}")
    with _lock:
        _running.add(child)
    try:
        child.send(input or b"", close=True)
        reason = child.pump(deadline, lambda: child.drained)
    finally:
        with _lock:
            _running.discard(child)
        child.end(0 if child.overflow else limits.grace_s)
    if child.called_off:
        reason = CALLED_OFF
    elif reason == TIMED_OUT:
        reason = f"timed out after {wall_s:g} s"
    return _completed(child, reason)


def call_off() -> None:
    """End every program that `run` waits for: this process is about to end. Each answers with reason CALLED_OFF."""
    with _lock:
        for child in _running:
            child.call_off()


def _completed(child: Process, reason: str) -> Completed:
    code = child.process.returncode
    killed = bool(reason) or code < 0 or code in (134, 137)
    if not reason and killed:
        number = -code if code < 0 else code - 128
        reason = f"ended by {signal_name(number)}, perhaps a limit on CPU time, memory or file size"
    if code == LIMITS_NOT_SET and not killed:
        reason = "not started: a limit could not be set"
    return Completed(
        code, bytes(child.stdout[: child.limits.output_bytes]), bytes(child.stderr), killed, reason
    )
