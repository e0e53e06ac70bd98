"""A hub as in production: PostgreSQL, Redis, separate worker and beat processes, a real control plane.

Records are written by a driver, one more process with the same environment; what came of it is read by plain SQL.
All processes end with the test, however it ends (tests/live/processes.py).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from tests import gitserver
from tests.live.controlplane.instance import ApiError, ControlPlane
from tests.live.processes import Processes, free_ports
from tests.live.services import Service
from tests.live.worldview import until

ROOT = Path(__file__).resolve().parents[2]
_POOL = 24  # HUB_DB_POOL: HUB_WORKER_THREADS + 20
_DRIVER = """
import json, sys, django
django.setup()
from hub.models import *
from clusters.models import Cluster
from hub.services import applications, operations, repositories, looks, polling
from hub.services.actors import Actor
from hub.tasks import nudges
from tests.hub.factories import OPEN
from django.db import close_old_connections
dana = Actor(kind="user", name="dana", via="api", is_admin=True)
print("ready", flush=True)
for line in sys.stdin:
    names = dict(globals())
    try:
        exec(json.loads(line), names)
        print(json.dumps({"is": names.get("answer")}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    close_old_connections()
"""


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Stack:
    """The processes of one hub. `worker(name)` starts one, `kill`, `end` and `start` do to it what operators do."""

    def __init__(self, postgres: Service, redis: Service, plane: ControlPlane, folder: Path) -> None:
        self.postgres, self.redis, self.plane, self.folder = postgres, redis, plane, folder
        self.environment = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "HUB_SECRET_KEY": secrets.token_hex(32),
            "HUB_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "HUB_DEMO": "true",
            "HUB_DATA_DIR": str(folder / "data"),
            "HUB_ALLOWED_HOSTS": "localhost",
            "HUB_POLL_SECONDS": "3",
            "HUB_WORKER_THREADS": "4",
            "DJANGO_SETTINGS_MODULE": "hub.settings",
            "PYTHONPATH": str(ROOT),
        }
        self.processes = Processes("hub")
        self.manage("migrate", "--verbosity=0")
        self._driver = subprocess.Popen(
            [sys.executable, "-c", _DRIVER],
            cwd=ROOT,
            env=os.environ | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._driver.stdout is not None
        assert self._driver.stdout.readline() == "ready\n"
        self.repository = gitserver.make_repo(folder)
        self.do(
            f"Project.objects.create(name='shop', rules=OPEN)\n"
            f"Cluster.objects.create(name='real', server={plane.url!r}, token={plane.hub_token!r},"
            f" ca_pem={plane.ca_pem!r})\n"
            f"repositories.create(dana, {{'url': 'file://{self.repository}'}})"
        )

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._driver.kill()
        self._driver.wait()
        for pipe in (self._driver.stdin, self._driver.stdout):
            if pipe is not None:
                pipe.close()
        self.processes.close()

    # --- processes

    def manage(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def start(self, name: str, *arguments: str) -> None:
        """Start `manage.py <arguments>` under this name."""
        texts = [f"{key}={value}" for key, value in self.environment.items()]
        program = [sys.executable, str(ROOT / "manage.py"), *arguments]
        self.processes.start(name, ["/usr/bin/env", *texts, *program], stop_signal="SIGTERM")

    def worker(self, name: str) -> None:
        self.start(name, "worker")
        self.processes.wait_until(
            "the worker is ready", lambda: "ready" in self.processes.log_tail(name, 50), [name], 40
        )

    def web(self) -> str:
        """Start the web process; its address."""
        port = free_ports(1)[0]
        texts = [f"{key}={value}" for key, value in self.environment.items()]
        program = [sys.executable, "-m", "uvicorn", "hub.asgi:application", "--port", str(port)]
        self.processes.start("web", ["/usr/bin/env", *texts, *program], stop_signal="SIGTERM")
        self.processes.wait_until("the web process answers", lambda: _answers(port), ["web"], 40)
        return f"http://localhost:{port}"

    def kill(self, name: str) -> None:
        """kill -9."""
        self.processes.signal(name, "SIGKILL")
        until(lambda: self.processes.exit_code(name) is not None)

    def end(self, name: str, within: float = 30.0) -> int | None:
        """SIGTERM, and its exit code."""
        self.processes.signal(name, "SIGTERM")
        until(lambda: self.processes.exit_code(name) is not None, within)
        return self.processes.exit_code(name)

    def named(self, owner: str) -> str:
        """The worker that carries this lease owner's pid, empty when it is none of ours."""
        pid = int(owner.rpartition(":")[2] or 0)
        return next((n for n in ("one", "two", "three", "four") if self._pid(n) == pid), "")

    def _pid(self, name: str) -> int:
        try:
            return self.processes.pid(name) if self.processes.exit_code(name) is None else -1
        except Exception:
            return -1

    def logs(self) -> str:
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-3000:]}"
            for file in sorted(self.processes.folder.glob("*.log"))
        )

    # --- records and the cluster

    def do(self, code: str) -> Any:
        """Run Python in the driver; what it leaves in `answer`. A database that restarted is met by asking again."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        for _ in range(_POOL + 1):
            self._driver.stdin.write(json.dumps(code) + "\n")
            self._driver.stdin.flush()
            reply = json.loads(self._driver.stdout.readline())
            # The pool hands out connections that broke with the server, each once.
            if "OperationalError" not in reply.get("error", ""):
                break
        assert "error" not in reply, reply["error"]
        return reply["is"]

    def sql(self, query: str, *values: Any) -> list[Any]:
        """Rows of one query, on a connection of its own."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def status(self, app: str) -> tuple[str, str, str]:
        """(sync, health, phase of the newest operation)."""
        row = self.sql("SELECT id, sync_status, health_status FROM hub_application WHERE name = %s", app)[0]
        newest = self.sql(
            "SELECT phase FROM hub_syncoperation WHERE application_id = %s ORDER BY number DESC LIMIT 1",
            row[0],
        )
        return row[1], row[2], newest[0][0] if newest else ""

    def phase(self, operation: str) -> str:
        return str(self.sql("SELECT phase FROM hub_syncoperation WHERE id = %s", operation)[0][0])

    def wait_code(self, operation: str) -> str:
        return str(
            self.sql("SELECT wait->>'code' FROM hub_syncoperation WHERE id = %s", operation)[0][0] or ""
        )

    def owner(self, app: str) -> str:
        """Who holds the lease of an application now."""
        query = "SELECT lease_owner FROM hub_application WHERE name = %s AND lease_until > clock_timestamp()"
        found = self.sql(query, app)
        return str(found[0][0]) if found else ""

    def commit(self, files: dict[str, str | None]) -> str:
        """A commit that the hub has seen (another poll may be under way: then the next one has)."""
        sha = gitserver.commit(self.repository, files)
        self.do("nudges.look(polling.poll(Repository.objects.get().id))")
        query = "SELECT count(*) FROM hub_repository WHERE refs::text LIKE %s"
        until(lambda: self.sql(query, f"%{sha}%") == [(1,)], 30)
        return sha

    def application(self, name: str, namespace: str, policy: dict[str, Any] | None = None) -> None:
        """Register it as a door does, the nudge included."""
        document = {
            "name": name,
            "project": "shop",
            "sources": [{"repo_url": f"file://{self.repository}", "path": name}],
            "destination": {"cluster": "real", "namespace": namespace},
            "sync_policy": policy or {},
        }
        self.do(f"app = applications.create(dana, {document!r})\nnudges.look([app.id])")

    def sync(self, name: str, **values: Any) -> str:
        """Ask for a sync as a door does; the id of the operation."""
        code = (
            f"app = Application.objects.get(name={name!r})\n"
            f"operation, _ = operations.request(dana, app, {values!r})\nnudges.look([app.id])\n"
            "answer = str(operation.id)"
        )
        return str(self.do(code))

    def get(self, path: str) -> dict[str, Any] | None:
        """An object of the cluster, None when it is not there."""
        try:
            return self.plane.request("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def config(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")

    def open_gate(self, gate: str) -> None:
        """Let the pods of a `gated` Deployment be scheduled."""
        patch = {"metadata": {"labels": {f"gate-{gate}": "open"}}}
        self.plane.request(
            "PATCH", "/api/v1/nodes/fake-0", patch, content_type="application/merge-patch+json"
        )
