"""PostgreSQL and Redis as processes of the tests, on free loopback ports, gone with whoever started them.

    with postgres() as database, redis() as broker:
        environment = {"DATABASE_URL": database.url, "REDIS_URL": broker.url}

Debian's packages `postgresql` and `redis-server` are enough; their own services need not run.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.live.processes import ProcessError, Processes, free_ports

_READY_WITHIN = 60.0  # seconds
_DATABASE_USER = "hub"


class Service:
    """One server: `url`, and what a test may do to it. `stop` is a crash; `start` uses the same port and data."""

    def __init__(
        self, processes: Processes, name: str, argv: Sequence[str], url: str, user: str | None
    ) -> None:
        self.url = url
        self.folder = processes.folder
        self._processes = processes
        self._name = name
        self._argv = argv
        self._user = user
        self._answers: Callable[[], bool] = lambda: False

    @property
    def pid(self) -> int:
        return self._processes.pid(self._name)

    @property
    def supervisor_pid(self) -> int:
        return self._processes.supervisor_pid

    def start(self) -> None:
        """Start it and wait until it answers. Raises ProcessError."""
        # A postmaster that is only killed leaves children and shared memory; SIGQUIT is its crash with tidying.
        quit_signal = "SIGQUIT" if self._name == "postgres" else "SIGKILL"
        self._processes.start(self._name, self._argv, user=self._user, stop_signal=quit_signal)
        self._processes.wait_until(f"{self._name} answers", self._answers, [self._name], _READY_WITHIN)

    def stop(self) -> None:
        """End it at once, as a crash does: clients see broken connections, then refused ones."""
        self._processes.stop(self._name)

    def pause(self) -> None:
        """It answers nothing until `resume`; connections stay open. (PostgreSQL: only new connections hang.)"""
        self._processes.signal(self._name, "SIGSTOP")

    def resume(self) -> None:
        self._processes.signal(self._name, "SIGCONT")

    def answered_by(self, answers: Callable[[], bool]) -> Service:
        self._answers = answers
        return self


@contextmanager
def postgres() -> Iterator[Service]:
    """A fresh cluster with an empty database `hub`; `url` is `postgres://hub:<password>@127.0.0.1:<port>/hub`.

    Nothing is synced to disk: what was committed outlives a crash of the server, not of the machine.
    Raises ProcessError when the programs are missing or do not start.
    """
    programs = _postgres_programs()
    user = _postgres_user()
    with Processes("postgres") as processes:
        password = secrets.token_hex(16)
        data = _init_database(processes.folder, programs, user, password)
        port = free_ports(1)[0]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        argv = [str(programs / "postgres"), "-D", str(data), *options]
        base = f"postgres://{_DATABASE_USER}:{password}@127.0.0.1:{port}"
        service = Service(processes, "postgres", argv, f"{base}/hub", user)
        service.answered_by(
            lambda: _says_ok([str(programs / "pg_isready"), "-q", "-d", f"{base}/postgres"])
        ).start()
        create = [str(programs / "psql"), "-q", "-X", "-d", f"{base}/postgres", "-c", "CREATE DATABASE hub"]
        _run(create, "CREATE DATABASE")
        yield service


@contextmanager
def redis() -> Iterator[Service]:
    """An empty Redis that keeps nothing on disk; `url` is `redis://127.0.0.1:<port>/0`. Raises ProcessError."""
    program = shutil.which("redis-server")
    if program is None:
        raise ProcessError("There is no `redis-server`. On Debian: apt-get install redis-server.")
    with Processes("redis") as processes:
        port = free_ports(1)[0]
        listen = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(processes.folder)]
        argv = [program, *listen, "--save", "", "--appendonly", "no"]
        service = Service(processes, "redis", argv, f"redis://127.0.0.1:{port}/0", None)
        service.answered_by(lambda: _pongs(port)).start()
        yield service


def _postgres_programs() -> Path:
    """The newest of Debian's versions, else what is on the PATH."""
    debian = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if debian:
        return max(debian, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[4])]).parent
    found = shutil.which("initdb")
    if found is None:
        raise ProcessError("There are no PostgreSQL programs. On Debian: apt-get install postgresql.")
    return Path(found).resolve().parent


def _postgres_user() -> str | None:
    """Who runs the server: we, or for root, whom PostgreSQL refuses, the package's user `postgres`."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise ProcessError("PostgreSQL does not run as root and there is no user `postgres`.") from None


def _init_database(folder: Path, programs: Path, user: str | None, password: str) -> Path:
    data, password_file = folder / "data", folder / "password"
    data.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    command = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        _DATABASE_USER,
        "--pwfile",
        str(password_file),
    ]
    command += ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    if user is not None:
        owner = pwd.getpwnam(user)
        folder.chmod(0o711)
        for path in (data, password_file):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        _run(command, "initdb", user=owner.pw_uid, group=owner.pw_gid, extra_groups=[])
    else:
        _run(command, "initdb")
    return data


def _run(
    command: Sequence[str],
    what: str,
    *,
    user: int | None = None,
    group: int | None = None,
    extra_groups: list[int] | None = None,
) -> None:
    done = subprocess.run(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=user,
        group=group,
        extra_groups=extra_groups,
    )
    if done.returncode != 0:
        raise ProcessError(f"{what} failed: {(done.stderr + done.stdout)[-2000:]}")


def _says_ok(command: Sequence[str]) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
