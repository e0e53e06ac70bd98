"""A small process that holds child processes and never lets them outlive their owner.

It is started by `processes.Processes`, in a session of its own (a Ctrl-C at the terminal reaches the owner,
not it), and is the parent of everything it starts. Three cords hold the children:

1. its standard input is a pipe from the owner: end of file means "end them all";
2. five times a second it looks whether the owner is still its parent, for the case that somebody
   else inherited the pipe when the owner was killed;
3. each child asked the kernel (PR_SET_PDEATHSIG) for its stop signal in case this process dies. That
   is per thread of the parent; this process has one thread, which a test runner cannot promise.

Signals go through here too: a pid cannot be reused before its parent has waited for it.
Standard library only; run as a plain file.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

PR_SET_PDEATHSIG = 1
LOOK_EVERY = 0.2  # seconds between two looks at the owner
GRACE = 5.0  # seconds from the stop signal to SIGKILL

_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """One started process and the signal that asks it to end."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.stop_signal = signal.Signals[request.get("stop_signal", "SIGKILL")]
        user = pwd.getpwnam(request["user"]) if request.get("user") else None
        identity: dict[str, Any] = {}
        if user is not None:
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with open(request["log"], "ab") as log:
            self.process = subprocess.Popen(
                request["argv"],
                env=request["env"],
                cwd=request["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent(self.stop_signal),
                **identity,
            )

    def ask_to_end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            self.process.send_signal(signal.SIGCONT)  # a paused process could not obey

    def see_ended(self, deadline: float) -> int:
        try:
            return self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _die_with_parent(stop_signal: signal.Signals) -> Callable[[], None]:
    supervisor = os.getpid()

    def in_child() -> None:
        # After the change of user, which would clear the wish again.
        if _libc.prctl(PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0) != 0 or os.getppid() != supervisor:
            os._exit(1)

    return in_child


def end_all(children: dict[str, Child]) -> None:
    for child in children.values():
        child.ask_to_end()
    deadline = time.monotonic() + GRACE
    for child in children.values():
        child.see_ended(deadline)
    children.clear()


def requests(owner: int) -> Iterator[dict[str, Any]]:
    """The owner's requests, one JSON object a line, until it is gone or closes the pipe."""
    waiting = b""
    while os.getppid() == owner:
        readable, _, _ = select.select([0], [], [], LOOK_EVERY)
        if not readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, waiting = (waiting + chunk).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request["op"] == "end":  # said aloud, as a forked child may hold the pipe open
                return
            yield request


def answer(request: dict[str, Any], children: dict[str, Child]) -> dict[str, Any]:
    name = request["name"]
    if request["op"] == "start":
        if name in children and children[name].process.poll() is None:
            return {"error": f"{name} is running already"}
        try:
            children[name] = Child(request)
        except (OSError, KeyError, subprocess.SubprocessError) as error:
            return {"error": f"{request['argv'][0]} cannot be started: {error}"}
        return {"pid": children[name].process.pid}
    if name not in children:
        return {"error": f"{name} was never started"}
    child = children[name]
    if request["op"] == "signal" and child.process.poll() is None:
        child.process.send_signal(signal.Signals[request["signal"]])
    elif request["op"] == "stop":
        child.ask_to_end()
        child.see_ended(time.monotonic() + GRACE)
    return {"pid": child.process.pid, "exit_code": child.process.poll()}


def main(owner: int, folder: str) -> None:
    """Serve `owner` (a pid), then end all children and remove `folder`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    children: dict[str, Child] = {}
    try:
        for request in requests(owner):
            os.write(1, json.dumps(answer(request, children)).encode() + b"\n")
    except BrokenPipeError:
        return  # the owner went while we answered
    finally:
        end_all(children)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
