"""Child processes for tests and demonstrations that end with whoever started them, whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_T = TypeVar("_T")


class ProcessError(RuntimeError):
    """A process could not be started, ended too early, or did not become ready in time."""


class Processes:
    """A folder and the processes that live in it, held by a supervisor (see supervisor.py).

    They end, and the folder goes, at `close()`, at the end of the `with` block, and when this process
    ends in any way: exception, Ctrl-C, SIGTERM, SIGKILL.
    """

    def __init__(self, prefix: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-"))
        self._lock = threading.Lock()
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def supervisor_pid(self) -> int:
        return self._supervisor.pid

    def start(
        self, name: str, argv: Sequence[str], *, user: str | None = None, stop_signal: str = "SIGKILL"
    ) -> int:
        """Start `argv` as `name`, output to `<folder>/<name>.log`; its pid.

        The environment is empty but for PATH, HOME (the folder), LANG and TZ. `stop_signal` is what it
        gets at its end; SIGKILL follows 5 s later. Raises ProcessError when it cannot be started.
        """
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        request = {"argv": list(argv), "env": environment, "cwd": str(self.folder), "user": user}
        log = str(self._log_file(name))
        return int(self._ask("start", name, log=log, stop_signal=stop_signal, **request)["pid"])

    def signal(self, name: str, signal_name: str) -> None:
        """Send a signal (`"SIGSTOP"`) to a process; nothing happens when it has ended."""
        self._ask("signal", name, signal=signal_name)

    def stop(self, name: str) -> None:
        """End one process and wait until it is gone."""
        self._ask("stop", name)

    def exit_code(self, name: str) -> int | None:
        """None while the process runs."""
        code = self._ask("state", name)["exit_code"]
        return None if code is None else int(code)

    def pid(self, name: str) -> int:
        return int(self._ask("state", name)["pid"])

    def log_tail(self, name: str, lines: int = 15) -> str:
        file = self._log_file(name)
        text = file.read_text(errors="replace") if file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def wait_until(
        self, what: str, look: Callable[[], _T | None], names: Sequence[str], seconds: float
    ) -> _T:
        """Ask `look` again and again until it answers something true, and give that.

        Raises ProcessError with the ends of the logs when one of the processes `names` has ended,
        or when `seconds` have passed.
        """
        deadline = time.monotonic() + seconds
        while not (found := look()):
            for name in names:
                code = self.exit_code(name)
                if code is not None:
                    raise ProcessError(f"{name} ended with {code} before {what}:\n{self.log_tail(name)}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.log_tail(name)}" for name in names)
                raise ProcessError(f"After {seconds:.0f} s still not: {what}.\n{logs}")
            time.sleep(0.02)
        return found

    def close(self) -> None:
        """End everything and remove the folder. May be called twice."""
        with self._lock:
            pipe_in, pipe_out = self._supervisor.stdin, self._supervisor.stdout
            if pipe_in is None or pipe_out is None or pipe_in.closed:
                return
            with contextlib.suppress(BrokenPipeError):  # already gone: nothing left to tell
                pipe_in.write(b'{"op": "end"}\n')
                pipe_in.flush()
            with contextlib.suppress(BrokenPipeError):
                pipe_in.close()
            self._supervisor.wait()
            pipe_out.close()
            shutil.rmtree(self.folder, ignore_errors=True)  # when the supervisor was killed and could not

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _log_file(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _ask(self, op: str, name: str, **more: Any) -> dict[str, Any]:
        pipe_in, pipe_out = self._supervisor.stdin, self._supervisor.stdout
        if pipe_in is None or pipe_out is None or pipe_in.closed:
            raise ProcessError("These processes have been closed.")
        with self._lock:
            with contextlib.suppress(BrokenPipeError):  # then there is no answer either
                pipe_in.write(json.dumps({"op": op, "name": name, **more}).encode() + b"\n")
                pipe_in.flush()
            line = pipe_out.readline()
        if not line:
            raise ProcessError("The supervisor of the processes has ended.")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ProcessError(reply["error"])
        return reply


def free_ports(count: int) -> list[int]:
    """Different loopback TCP ports on which nobody listens now.

    They lie below the range from which the kernel takes the ports of outgoing connections: otherwise
    a client that retries a stopped server could take the server's port, or even connect to itself. Between
    this answer and the start of the server somebody else may still take one; it is rare, as they are drawn.
    """
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    lowest = 20000 if highest > 21000 else 1024
    found: list[int] = []
    for _ in range(1000):
        port = random.randrange(lowest, highest)
        if port not in found and _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ProcessError("No free loopback ports found.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
