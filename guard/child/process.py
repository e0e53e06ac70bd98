"""One started process: its limits, its pipes, and how it is ended.

How it is started, and why so:

- `subprocess.Popen` without `preexec_fn` starts by vfork and exec in C, so no Python runs between the two and
  locks held by the parent's threads do no harm. (`os.posix_spawn` ends in the same system calls, but offers
  neither a working folder nor the closing of descriptors.)
- The limits are set by `/bin/sh`, which then *becomes* the program (`exec "$@"`). That costs about a millisecond,
  holds from the first instruction on, and the arguments stay arguments: the script never contains them.
- It leads a new session; whatever it starts belongs to its process group, and the group is ended before the
  leader is reaped, while the group's number cannot belong to anybody else.
"""

from __future__ import annotations

import os
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, cast

MIB = 1024 * 1024
STDERR_BYTES = 64 * 1024
LIMITS_NOT_SET = 125
TIMED_OUT = "timed out"
_DRAIN_S = 1.0  # how long output may still be read after the program itself has ended
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use. None means unlimited. Sizes in bytes, times in seconds.

    `cpu_s`, `address_space`, `file_size` and `open_files` count per process. `processes` is how many the user may
    have *above* those it has at the start, since the kernel counts per user; it never counts for root.
    `wall_s` and `output_bytes` are watched by the parent. `grace_s` lies between SIGTERM and SIGKILL.
    """

    cpu_s: int | None = 60
    wall_s: float = 90.0
    address_space: int | None = 4096 * MIB
    file_size: int | None = 64 * MIB
    open_files: int | None = 256
    processes: int | None = 64
    output_bytes: int = 64 * MIB
    grace_s: float = 5.0


class Process:
    """One started process, its pipes, and the one loop that serves them."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str | os.PathLike[str],
        limits: Limits,
        *,
        piped_stdin: bool = True,
    ) -> None:
        self.limits = limits
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.exited = False
        self.overflow = False
        self.called_off = False
        self._outgoing = bytearray()
        self._close_stdin = False
        self._exit_seen = 0.0
        self.process = subprocess.Popen(
            _with_limits(_resolved(argv, env), limits),
            stdin=subprocess.PIPE if piped_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(env),
            bufsize=0,
            close_fds=True,
            start_new_session=True,
        )
        self._stdin = self.process.stdin
        self._stdout = cast(IO[bytes], self.process.stdout)
        self._stderr = cast(IO[bytes], self.process.stderr)
        self._reading = {self._stdout.fileno(), self._stderr.fileno()}
        self._pidfd = os.pidfd_open(self.process.pid)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pidfd, selectors.EVENT_READ, self._on_exit)
        self._selector.register(self._stdout, selectors.EVENT_READ, self._on_stdout)
        self._selector.register(self._stderr, selectors.EVENT_READ, self._on_stderr)
        for pipe in (self._stdin, self._stdout, self._stderr):
            if pipe:
                os.set_blocking(pipe.fileno(), False)

    @property
    def drained(self) -> bool:
        return self.exited and not self._reading

    def send(self, data: bytes, *, close: bool = False) -> None:
        """Queue `data` for stdin; the next `pump` writes it. After `close` nothing more can be sent."""
        if self._stdin is None or self._stdin.closed:
            return
        if not self._outgoing:
            self._selector.register(self._stdin, selectors.EVENT_WRITE, self._on_stdin)
        self._outgoing += data
        self._close_stdin = close

    def pump(self, deadline: float, done: Callable[[], bool]) -> str:
        """Serve the pipes until `done()`; returns "" or why it stopped earlier."""
        while not done():
            until = min(deadline, self._exit_seen + _DRAIN_S) if self.exited else deadline
            left = until - time.monotonic()
            if left <= 0:
                return "" if self.exited else TIMED_OUT  # "": only one that left the group still holds a pipe
            self.serve(left)
            if self.overflow:
                return f"more than {self.limits.output_bytes} bytes of output"
        return ""

    def serve(self, timeout: float) -> None:
        """One look at the pipes and at the process, waiting at most `timeout` for something to happen."""
        for key, _ in self._selector.select(timeout):
            key.data()

    def _on_stdin(self) -> None:
        stdin = cast(IO[bytes], self._stdin)
        try:
            written = os.write(stdin.fileno(), self._outgoing[:_CHUNK]) if self._outgoing else 0
        except BlockingIOError:
            return
        except OSError:  # the program closed its stdin: not our business, its answer counts
            self._outgoing.clear()
            self._close_stdin = True
        else:
            del self._outgoing[:written]
        if not self._outgoing:
            self._selector.unregister(stdin)
            if self._close_stdin:
                stdin.close()

    def _on_stdout(self) -> None:
        self.stdout += self._read(self._stdout)
        self.overflow = self.overflow or len(self.stdout) > self.limits.output_bytes

    def _on_stderr(self) -> None:
        self.stderr += self._read(self._stderr)
        del self.stderr[:-STDERR_BYTES]

    def _read(self, pipe: IO[bytes]) -> bytes:
        try:
            data = os.read(pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            self._selector.unregister(pipe)
            self._reading.discard(pipe.fileno())
        return data

    def _on_exit(self) -> None:
        self.exited = True
        self._exit_seen = time.monotonic()
        self._selector.unregister(self._pidfd)
        self._signal(signal.SIGKILL)  # what it left running has no job any more

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # the whole group is gone already

    def epitaph(self) -> str:
        """How an exited process ended, in words."""
        code = self.process.wait()
        return f"the child ended by {signal_name(-code)}" if code < 0 else f"the child ended with code {code}"

    def end(self, grace_s: float) -> None:
        """SIGTERM to the group, `grace_s`, SIGKILL to the group, reap, close. Safe to call on an ended child."""
        if not self.exited and grace_s > 0:
            self._signal(signal.SIGTERM)
            self.pump(time.monotonic() + grace_s, lambda: self.exited)
        if not self.exited:
            self._signal(signal.SIGKILL)
        self.process.wait()
        self.release()

    def call_off(self) -> None:
        """From another thread: the group is asked to end, and whoever serves the pipes sees it."""
        self.called_off = True
        self._signal(signal.SIGTERM)

    def release(self) -> None:
        """Close our side without touching the process."""
        self._selector.close()
        os.close(self._pidfd)
        for pipe in (self._stdin, self._stdout, self._stderr):
            if pipe:
                pipe.close()

    def disown(self) -> None:
        """Forget a process that another process started."""
        self.process.returncode = 0  # Popen would otherwise complain, and try to reap it
        self.release()


def signal_name(number: int) -> str:
    """SIGKILL for 9; real-time signals have no name of their own."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _resolved(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """`argv` with the program as an absolute path, looked up in the child's own PATH."""
    if not argv or ("/" in argv[0] and not os.path.isabs(argv[0])):
        raise ValueError("the program must be a plain name or an absolute path")
    program = shutil.which(argv[0], path=env.get("PATH", os.defpath))
    if program is None:
        raise FileNotFoundError(f"there is no program {argv[0]}")
    return [program, *argv[1:]]


def _with_limits(argv: Sequence[str], limits: Limits) -> list[str]:
    """`argv` behind a shell that sets the limits and then becomes the program; it fails closed."""
    processes = None if limits.processes is None else limits.processes + _tasks_of_this_user()
    wanted = (
        ("ulimit -c", resource.RLIMIT_CORE, 0, 1),
        ("ulimit -t", resource.RLIMIT_CPU, limits.cpu_s, 1),
        ("ulimit -v", resource.RLIMIT_AS, limits.address_space, 1024),
        ("ulimit -f", resource.RLIMIT_FSIZE, limits.file_size, 512),
        ("ulimit -n", resource.RLIMIT_NOFILE, limits.open_files, 1),
        (_ULIMIT_PROCESSES, resource.RLIMIT_NPROC, processes, 1),
    )
    steps = []
    for command, number, value, unit in wanted:
        hard = resource.getrlimit(number)[1]
        if value is not None:
            smallest = value if hard == resource.RLIM_INFINITY else min(value, hard)
            steps.append(f"{command} {smallest // unit} || exit {LIMITS_NOT_SET}")
    script = "\n".join(
        (*steps, "unset PWD OLDPWD SHLVL _", 'exec "$@"')
    )  # the shell's own variables are not ours
    return ["/bin/sh", "-c", script, "sh", *argv]


_ULIMIT_PROCESSES = "processes() { ulimit -p $1 2>/dev/null || ulimit -u $1; }; processes"  # dash, else bash


def _tasks_of_this_user() -> int:
    """How many threads this user has, as RLIMIT_NPROC counts them."""
    total, uid = 0, os.getuid()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                status = os.stat(f"/proc/{entry.name}/task")
            except OSError:
                continue  # it ended while we looked
            if status.st_uid == uid:
                total += max(1, status.st_nlink - 2)
    return total
