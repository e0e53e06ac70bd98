"""Started processes end with whoever started them, whatever happens to that one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.processes import ProcessError, Processes, free_ports
from tests.live.worldview import running_in, until

REPOSITORY = Path(__file__).parents[2]
# Names the folder in its command line, so that it can be found; ends only when told.
SLEEPER = "import sys, time; time.sleep(600)"
OWNER = """
import os, sys, time
from tests.live.processes import Processes
processes = Processes("owned")
processes.start("one", [sys.executable, "-c", {sleeper!r}, str(processes.folder)])
processes.start("two", [sys.executable, "-c", {sleeper!r}, str(processes.folder)])
processes.signal("two", "SIGSTOP")
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(600)
print(processes.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of its own that holds two children, one of them paused; and their folder."""
    script = OWNER.format(sleeper=SLEEPER)
    command = [sys.executable, "-c", script, *getattr(request, "param", [])]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        assert len(running_in(folder)) == 3, "two children and the supervisor"
        yield process, folder
        os.killpg(process.pid, signal.SIGKILL)  # a forked child, if there is one
        process.wait()


def _nothing_is_left(folder: str) -> bool:
    return not running_in(folder) and not Path(folder).exists()


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_nothing_is_left_when_the_owner_is_killed(owner: tuple[subprocess.Popen[str], str], how: str) -> None:
    process, folder = owner
    process.send_signal(signal.Signals[how])
    assert until(lambda: _nothing_is_left(folder))


@pytest.mark.parametrize("owner", [["fork"]], indirect=True)
def test_a_forked_child_that_holds_the_pipe_keeps_nothing_alive(
    owner: tuple[subprocess.Popen[str], str],
) -> None:
    process, folder = owner
    process.kill()
    assert until(lambda: _nothing_is_left(folder))


def test_the_children_end_when_even_the_supervisor_is_killed() -> None:
    with Processes("test") as processes:
        for name in ("one", "two"):
            processes.start(name, [sys.executable, "-c", SLEEPER, str(processes.folder)])
        os.kill(processes.supervisor_pid, signal.SIGKILL)
        assert until(lambda: not running_in(processes.folder))
        with pytest.raises(ProcessError, match="supervisor"):
            processes.stop("one")


def test_an_exception_in_the_block_ends_everything() -> None:
    with pytest.raises(ZeroDivisionError), Processes("test") as processes:
        processes.start("one", [sys.executable, "-c", SLEEPER, str(processes.folder)])
        raise ZeroDivisionError
    assert _nothing_is_left(str(processes.folder))


def test_one_that_ends_early_is_reported_with_the_end_of_its_log() -> None:
    with Processes("test") as processes:
        processes.start("short", [sys.executable, "-c", "print('no such disk'); raise SystemExit(3)"])
        with pytest.raises(ProcessError, match="short ended with 3 before it answers:\nno such disk"):
            processes.wait_until("it answers", lambda: False, ["short"], seconds=30)


def test_one_that_never_gets_ready_is_reported_with_what_was_awaited() -> None:
    with Processes("test") as processes:
        processes.start("slow", [sys.executable, "-c", SLEEPER])
        with pytest.raises(ProcessError, match="still not: it answers"):
            processes.wait_until("it answers", lambda: False, ["slow"], seconds=0.1)


def test_a_program_that_does_not_exist_is_reported() -> None:
    with (
        Processes("test") as processes,
        pytest.raises(ProcessError, match="/no/such/program cannot be started"),
    ):
        processes.start("none", ["/no/such/program"])


def test_two_cannot_run_under_one_name_but_a_stopped_one_may_start_again() -> None:
    with Processes("test") as processes:
        first = processes.start("one", [sys.executable, "-c", SLEEPER])
        with pytest.raises(ProcessError, match="one is running already"):
            processes.start("one", [sys.executable, "-c", SLEEPER])
        processes.stop("one")
        assert processes.exit_code("one") == -signal.SIGKILL
        assert processes.start("one", [sys.executable, "-c", SLEEPER]) != first


def test_the_children_do_not_inherit_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses/cluster")
    with Processes("test") as processes:
        processes.start("env", ["/usr/bin/env"])
        until(lambda: processes.exit_code("env") == 0)
        assert "KUBECONFIG" not in processes.log_tail("env")


def test_free_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < lowest_outgoing
