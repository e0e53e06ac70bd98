"""`manage.py demo`: a whole hub in one process, with a simulated cluster and a small repository to play with.

With KUBECONFIG (and DEMO_CONTEXT) set it deploys to that cluster instead. Everything lives below HUB_DATA_DIR
(`var/demo`); a second run goes on where the first one ended.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from clusters.errors import ClusterError
from clusters.models import Cluster
from clusters.sandbox import Sandbox
from guard import child
from hub.errors import HubError
from hub.management.demo_files import FILES
from hub.management.demo_words import what_next
from hub.models import Application, Project, Repository, User
from hub.services import applications, clusters, projects, repositories
from hub.services.actors import Actor
from hub.tasks import nudges
from hub.tasks.process import Process, spare_the_collector

ACTOR = Actor(kind="user", name="demo", via="cli", is_admin=True)
OPEN = {
    "sources": {"allow": ["*"]},
    "destinations": {"allow": [{"name": "*", "namespace": "*"}]},
    "cluster_kinds": {"allow": [{"group": "*", "kind": "*"}]},
}
GIT = {"GIT_AUTHOR_NAME": "Demo", "GIT_AUTHOR_EMAIL": "demo@example.com", "GIT_CONFIG_NOSYSTEM": "1"}


class Command(BaseCommand):
    help = "Start the hub here with a simulated cluster (or KUBECONFIG) and a sample application"

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="where the web server listens (next free one)"
        )
        parser.add_argument("--once", action="store_true", help="end as soon as the application is synced")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not settings.HUB_DEMO:
            raise CommandError("set HUB_DEMO=true: the demo talks to addresses that a real hub refuses")
        self.folder = settings.DATA_DIR
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as stack:
                stack.enter_context(_alone(self.folder))
                stack.enter_context(_ended_like_by_hand())
                self._run(stack, options)
                self._say("stopping")
        except KeyboardInterrupt:
            self._say("interrupted")
        except (HubError, ClusterError) as error:
            raise CommandError("\n".join(part for part in (error.message, error.hint) if part)) from None
        self._say("stopped; run it again to go on where you left")

    def _run(self, stack: ExitStack, options: dict[str, Any]) -> None:
        port = _free_port(options["port"])
        if "HUB_URL" not in os.environ:
            # Links in messages lead to this hub, wherever it listens.
            settings.HUB_URL = f"http://127.0.0.1:{port}"
        self._say("preparing the database")
        call_command("migrate", verbosity=0, interactive=False)
        password = self._administrator()
        cluster, kubeconfig = self._cluster(stack)
        repository = self._repository()
        spare_the_collector()
        stack.enter_context(Process(tick=True))
        self._say("hub is running in this process: web, workers, tick")
        server = _Web(port)
        stack.callback(server.stop)
        server.start()
        app = self._application(repository, cluster)
        self._wait(app)
        self.stdout.write(what_next(port, password, kubeconfig, cluster.server, self.folder))
        self.stdout.flush()
        if not options["once"]:
            server.serve_until_interrupted()

    def _say(self, text: str) -> None:
        self.stdout.write(f"  {text}")
        self.stdout.flush()

    def _administrator(self) -> str:
        """A user `admin` with a random password, kept in a file only the owner may read."""
        path = self.folder / "admin-password"
        if not path.exists() or not path.read_text().strip():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(12))
        password = path.read_text().strip()
        user = User.objects.filter(username="admin").first()
        if user is None:
            User.objects.create_superuser(username="admin", password=password)
        elif not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
        return password

    def _cluster(self, stack: ExitStack) -> tuple[Cluster, Path]:
        path = os.environ.get("KUBECONFIG", "")
        target = self.folder / "kubeconfig"
        if path:
            self._say(f"registering the cluster of {path}")
            try:
                text = Path(path).read_text()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", "") or "not text"
                raise CommandError(f"KUBECONFIG names {path}, which cannot be read: {reason}") from None
            document = {"name": "real", "kubeconfig": text, "context": os.environ.get("DEMO_CONTEXT", "")}
            target = Path(path)
        else:
            self._say("starting a simulated cluster")
            sandbox = stack.enter_context(
                Sandbox(
                    port=_kept_port(self.folder),
                    storage=str(self.folder / "cluster.sqlite3"),
                    ready_after=1.0,
                )
            )
            made = sandbox.cluster("demo")
            target.touch(mode=0o600)
            target.write_text(made.kubeconfig())
            document = {"name": "demo", "kubeconfig": made.kubeconfig()}
        known = Cluster.objects.filter(name=document["name"]).first()
        if known is None:
            document = {key: value for key, value in document.items() if value}
            return clusters.register(ACTOR, document), target
        clusters.update(
            ACTOR, known, {key: value for key, value in document.items() if value and key != "name"}
        )
        known.refresh_from_db()
        return known, target

    def _repository(self) -> Repository:
        path = self.folder / "repository"
        if not (path / ".git").is_dir():
            self._say(f"making a Git repository in {path}")
            # Whole or not at all: an interrupted run leaves no repository without a commit.
            made = self.folder / "repository.new"
            shutil.rmtree(made, ignore_errors=True)
            for name, text in FILES.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                (made / name).write_text(text)
            for line in (
                ["init", "-q", "-b", "main"],
                ["add", "-A"],
                ["commit", "-q", "-m", "A shop in two waves"],
            ):
                _git(made, line)
            made.rename(path)
        url = f"file://{path.resolve()}/.git"
        found = Repository.objects.filter(url=url).first()
        return found or repositories.create(ACTOR, {"url": url})

    def _application(self, repository: Repository, cluster: Cluster) -> Application:
        if not Project.objects.filter(name="demo").exists():
            projects.create(ACTOR, {"name": "demo", "description": "Open for everything", "rules": OPEN})
        app = Application.objects.filter(name="shop").first()
        if app is None:
            self._say("registering the application shop")
            app = applications.create(
                ACTOR,
                {
                    "name": "shop",
                    "project": "demo",
                    "sources": [{"repo_url": repository.url, "path": "shop"}],
                    "destination": {"cluster": cluster.name, "namespace": "shop"},
                    "sync_policy": {
                        "automated": {"prune": True, "self_heal": True},
                        "sync_options": ["CreateNamespace=true"],
                    },
                },
            )
        nudges.look([app.id])
        return app

    def _wait(self, app: Application) -> None:
        """Show what happens until the application is synced and healthy."""
        shown = ""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            app.refresh_from_db()
            operation = app.operations.first()
            waits = (operation.wait or {}).get("reason", "") if operation else ""
            line = f"shop: {app.sync_status}, {app.health_status}{'; ' + waits if waits else ''}"
            if line != shown:
                self._say(line)
                shown = line
            if app.sync_status == "Synced" and app.health_status == "Healthy":
                return
            threading.Event().wait(0.2)
        raise CommandError(f"shop did not become healthy in two minutes: {app.conditions}")


class _Web:
    """uvicorn in a thread of its own; the main thread waits for Ctrl-C."""

    def __init__(self, port: int) -> None:
        config = uvicorn.Config(
            "hub.asgi:application", host="127.0.0.1", port=port, log_level="warning", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def serve_until_interrupted(self) -> None:
        while self._thread.is_alive():
            self._thread.join(0.5)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One demo per folder: two would share a database and a cluster, and each would undo the other's address."""
    with (folder / "running").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CommandError(
                f"a demo is running in {folder}: stop it, or name another folder as HUB_DATA_DIR"
            ) from None
        yield


@contextmanager
def _ended_like_by_hand() -> Iterator[None]:
    """SIGTERM ends it as cleanly as Ctrl-C, which a shell takes from what it starts in the background."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _git(path: Path, arguments: list[str]) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(path), **GIT}
    environment |= {"GIT_COMMITTER_NAME": "Demo", "GIT_COMMITTER_EMAIL": "demo@example.com"}
    done = child.run(["git", *arguments], env=environment, cwd=str(path), timeout=30)
    if done.returncode:
        raise CommandError(f"git {arguments[0]} failed: {done.stderr.decode(errors='replace')[:300]}")


def _free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise CommandError(f"no free port from {wanted} on")


def _kept_port(folder: Path) -> int:
    """The simulated cluster keeps its port over runs, as long as that one is free."""
    path = folder / "cluster-port"
    port = _free_port(int(path.read_text()) if path.exists() else 18443)
    path.write_text(str(port))
    return port
