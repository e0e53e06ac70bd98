"""The only starter of processes: what a child sees, what it may use, and how it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.child import CALLED_OFF, MIB, ChildFailed, Completed, Limits, Worker, call_off, run

PATH = {"PATH": "/usr/bin:/bin"}
QUICK = Limits(grace_s=0.1)
PYTHON = [sys.executable, "-I", "-S", "-c"]


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_input_goes_in_and_both_outputs_come_out() -> None:
    done = run(["sh", "-c", "cat; echo oops >&2; exit 3"], input=b"hello", env=PATH)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"hello", b"oops\n")
    assert (done.killed, done.reason, done.ok) == (False, "", False)


def test_programs_that_are_waited_for_can_be_called_off_from_another_thread(tmp_path: Path) -> None:
    begun, found = tmp_path / "pid", list[Completed]()
    script = f"echo $$ > {begun}.new; mv {begun}.new {begun}; sleep 1000 & wait"
    waiting = threading.Thread(target=lambda: found.append(run(["sh", "-c", script], env=PATH)))
    waiting.start()
    assert eventually(begun.exists)

    def ended() -> bool:
        call_off()
        return not waiting.is_alive()

    assert eventually(ended)
    assert [(done.killed, done.reason) for done in found] == [(True, CALLED_OFF)]
    assert is_gone(int(begun.read_text()))
    call_off()
    assert run(["true"], env=PATH).ok, "what begins later is not meant"


def test_large_input_and_output_do_not_block_each_other() -> None:
    data = os.urandom(MIB) * 8
    assert run(["cat"], input=data, env=PATH).stdout == data


def test_a_program_that_does_not_read_its_input_is_not_a_failure() -> None:
    assert run(["true"], input=b"x" * MIB, env=PATH).ok


def test_d11_the_environment_is_exactly_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://sentinel")
    assert run(["/usr/bin/env"], env={"A": "1"}).stdout == b"A=1\n"
    assert run(["/usr/bin/env"], env={}).stdout == b""


def test_d11_the_child_leads_its_own_session_in_the_folder_it_was_given(tmp_path: Path) -> None:
    script = "import os; print(os.getsid(0) == os.getpid(), os.getcwd())"
    assert run([*PYTHON, script], env={}, cwd=tmp_path).stdout.decode().split() == ["True", str(tmp_path)]


def test_d11_descriptors_of_the_parent_are_closed(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        listing = run(["ls", "-l", "/proc/self/fd"], env=PATH).stdout.decode()
    assert "secret" not in listing
    assert "pipe:" in listing


def test_arguments_are_never_read_by_a_shell() -> None:
    hostile = ["$(id)", "; id", "`id`", "*", "-n", "a'b\"c", ""]
    done = run([*PYTHON, "import sys; sys.stdout.write('|'.join(sys.argv[1:]))", *hostile], env={})
    assert done.stdout.decode() == "|".join(hostile)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["no-such-program"], "there is no program no-such-program"),
        (["bin/true"], "a plain name or an absolute path"),
        ([], "a plain name or an absolute path"),
        (["true", "a\0b"], "null byte"),
    ],
)
def test_what_cannot_start_is_an_answer_and_not_an_exception(argv: list[str], sentence: str) -> None:
    done = run(argv, env=PATH)
    assert done.returncode == 127
    assert sentence in done.reason
    assert not done.ok


def test_the_program_is_looked_up_in_the_childs_own_path(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    assert run(["tool"], env={"PATH": str(tmp_path)}).stdout == b"mine\n"
    assert run(["tool"], env=PATH).returncode == 127


def test_d11_a_time_out_ends_the_whole_group_even_if_it_ignores_sigterm(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"trap '' TERM; sleep 300 & echo $! > {pid_file}; wait; sleep 300"
    done = run(["sh", "-c", script], env=PATH, timeout=0.5, limits=QUICK)
    assert done.killed
    assert done.reason == "timed out after 0.5 s"
    assert is_gone(int(pid_file.read_text()))


def test_a_program_may_end_in_order_after_sigterm() -> None:
    script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"
    done = run(["sh", "-c", script], env=PATH, timeout=0.5)
    assert done.killed
    assert (done.returncode, done.stdout) == (7, b"up\nbye\n")


def test_what_a_program_leaves_running_ends_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    done = run(["sh", "-c", f"sleep 300 & echo $! > {pid_file}"], env=PATH)
    assert done.ok
    assert eventually(lambda: is_gone(int(pid_file.read_text())))


def test_output_over_the_cap_kills_at_once_and_is_cut() -> None:
    done = run(["yes"], env=PATH, limits=Limits(output_bytes=100_000, grace_s=60))
    assert done.killed
    assert done.reason == "more than 100000 bytes of output"
    assert len(done.stdout) == 100_000


def test_only_the_end_of_a_long_stderr_is_kept() -> None:
    done = run(["sh", "-c", "yes | head -c 300000 >&2; echo last >&2"], env=PATH)
    assert done.ok
    assert len(done.stderr) == 64 * 1024
    assert done.stderr.endswith(b"last\n")


def test_d11_memory_is_limited() -> None:
    done = run([*PYTHON, "x = 'a' * 400_000_000"], env={}, limits=Limits(address_space=200 * MIB))
    assert done.returncode == 1
    assert b"MemoryError" in done.stderr


def test_d11_cpu_time_is_limited() -> None:
    done = run([*PYTHON, "while True: pass"], env={}, limits=Limits(cpu_s=1))
    assert done.killed
    assert "perhaps a limit on CPU time" in done.reason


def test_d11_file_size_and_open_files_are_limited(tmp_path: Path) -> None:
    limits = Limits(file_size=MIB, open_files=16)
    done = run(["sh", "-c", f"yes | head -c 5000000 > {tmp_path}/big"], env=PATH, limits=limits)
    assert not done.ok
    assert (tmp_path / "big").stat().st_size <= MIB
    done = run([*PYTHON, "import os; [os.dup(1) for _ in range(20)]"], env={}, limits=limits)
    assert b"Too many open files" in done.stderr


def test_d11_processes_and_core_dumps_are_limited() -> None:
    shown = run(
        [*PYTHON, "import resource as r; print(*r.getrlimit(r.RLIMIT_NPROC), *r.getrlimit(r.RLIMIT_CORE))"],
        env={},
    )
    soft, hard, core_soft, core_hard = map(int, shown.stdout.split())
    assert 64 < soft == hard < 64 + 10_000
    assert (core_soft, core_hard) == (0, 0)


def test_a_crash_by_signal_is_a_kill_with_its_name() -> None:
    done = run(["sh", "-c", "kill -SEGV $$"], env=PATH)
    assert done.killed
    assert done.reason.startswith("ended by SIGSEGV")


def test_a_worker_answers_frames_and_lines_with_one_process() -> None:
    worker = Worker(["cat"], env=PATH)
    with worker.turn(5) as turn:
        assert turn.ask(b"x" * 3 * MIB) == b"x" * 3 * MIB
    first = worker.pid
    with worker.turn(5) as turn:
        turn.write(b"one\ntwo\nrest")
        assert (turn.read_line(), turn.read_line(), turn.read(4)) == (b"one", b"two", b"rest")
    assert worker.pid == first
    worker.close()
    assert worker.pid is None


def test_a_worker_that_does_not_answer_in_time_is_killed_and_replaced() -> None:
    worker = Worker(["cat"], env=PATH)
    with pytest.raises(ChildFailed) as failure, worker.turn(0.2) as turn:
        first = worker.pid
        turn.read(1)
    assert failure.value.timed_out
    assert first is not None and is_gone(first)
    with worker.turn(5) as turn:
        assert turn.ask(b"again") == b"again"
    assert worker.pid != first
    worker.close()


def test_a_worker_that_dies_between_turns_is_replaced_unseen() -> None:
    worker = Worker(["cat"], env=PATH)
    with worker.turn(5) as turn:
        turn.ask(b"1")
    first = worker.pid
    assert first is not None
    os.kill(first, 9)
    assert eventually(lambda: is_gone(first))
    with worker.turn(5) as turn:
        assert turn.ask(b"2") == b"2"
    worker.close()


def test_a_worker_that_dies_in_a_turn_says_what_it_said_last() -> None:
    worker = Worker(["sh", "-c", "echo gone wrong >&2; exit 1"], env=PATH)
    with pytest.raises(ChildFailed) as failure, worker.turn(5) as turn:
        turn.ask(b"hello")
    assert not failure.value.timed_out
    assert failure.value.reason == "the child ended with code 1"
    assert failure.value.stderr == b"gone wrong\n"


def test_a_worker_is_replaced_after_its_share_of_turns_and_after_any_surprise() -> None:
    worker = Worker(["cat"], env=PATH, max_turns=2)
    pids = set()
    for _ in range(4):
        with worker.turn(5) as turn:
            turn.ask(b"x")
        pids.add(worker.pid)
    assert len(pids) == 2
    with pytest.raises(ZeroDivisionError), worker.turn(5):
        1 / 0  # noqa: B018
    assert worker.pid is None
    worker.close()


def test_leftover_bytes_of_one_turn_never_reach_the_next() -> None:
    worker = Worker(["cat"], env=PATH)
    with worker.turn(5) as turn:
        turn.write(b"a\nb\n")
        assert turn.read_line() == b"a"
    with worker.turn(5) as turn:
        turn.write(b"c\n")
        assert turn.read_line() == b"c"
    worker.close()


def test_a_worker_that_cannot_start_fails_its_turn() -> None:
    with (
        pytest.raises(ChildFailed, match="there is no program"),
        Worker(["no-such-program"], env=PATH).turn(1),
    ):
        pass


def test_a_worker_line_has_a_bound() -> None:
    worker = Worker(["cat"], env=PATH)
    with pytest.raises(ChildFailed, match="longer than 10 bytes"), worker.turn(5) as turn:
        turn.write(b"x" * 50 + b"\n")
        turn.read_line(limit=10)
    worker.close()


def test_a_worker_survives_a_fork_of_its_owner() -> None:
    worker = Worker(["cat"], env=PATH)
    with worker.turn(5) as turn:
        turn.ask(b"x")
    pid = os.fork()
    if pid == 0:  # the forked process must neither end nor use the child of its parent
        worker.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    first = worker.pid
    with worker.turn(5) as turn:
        assert turn.ask(b"still here") == b"still here"
    assert worker.pid == first
    worker.close()


def test_descriptors_and_children_stay_flat() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        run(["true"], env=PATH, input=b"x")
    worker = Worker(["cat"], env=PATH)
    for _ in range(5):
        with pytest.raises(ChildFailed), worker.turn(0.01) as turn:
            turn.read(1)
    assert len(os.listdir("/proc/self/fd")) == before
