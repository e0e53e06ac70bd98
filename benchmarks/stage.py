"""The stage of the hub's benchmarks: a database, a cluster, a Git repository, and the hub in this process.

    with stage("real", "postgres") as hub: hub.applications(500); hub.wait_synced()

Everything is made anew in a temporary folder, on free ports, and gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import machine, raw_replay

GIT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "PATH": os.environ.get("PATH", "")}
for _who in ("AUTHOR", "COMMITTER"):
    GIT |= {f"GIT_{_who}_NAME": "bench", f"GIT_{_who}_EMAIL": "bench@example.com"}


class Hub:
    """The hub on its stage. Django is set up: records and services may be imported inside methods."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        from hub.models import Project
        from hub.services import clusters, repositories
        from hub.services.actors import Actor

        self.folder, self.kubeconfig = folder, kubeconfig
        self.actor = Actor(kind="user", name="bench", via="cli", is_admin=True)
        self.repository_folder = folder / "repository"
        self.repository_folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit({"README.md": "benchmark\n"})
        rules = {
            "sources": {"allow": ["*"]},
            "destinations": {"allow": [{"name": "*", "namespace": "*"}]},
            "cluster_kinds": {"allow": [{"group": "*", "kind": "*"}]},
        }
        self.project = Project.objects.create(name="bench", rules=rules)
        self.cluster = clusters.register(self.actor, {"name": "bench", "kubeconfig": kubeconfig.read_text()})
        self.repository = repositories.create(self.actor, {"url": f"file://{self.repository_folder}/.git"})

    def git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", *arguments], cwd=self.repository_folder, env=GIT, check=True, capture_output=True
        )

    def commit(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.repository_folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "bench")

    def commit_applications(
        self, count: int, objects: Callable[[str, str], list[dict[str, Any]]], namespace: str
    ) -> None:
        self.commit(
            {
                f"apps/app{n:04}/all.yaml": yaml.safe_dump_all(
                    objects(f"app{n:04}", namespace), sort_keys=False
                )
                for n in range(count)
            }
        )

    def register(self, name: str, path: str, namespace: str, **more: Any) -> Any:
        from hub.services import applications

        return applications.create(
            self.actor,
            {
                "name": name,
                "project": "bench",
                "sources": [{"repo_url": self.repository.url, "path": path}],
                "destination": {"cluster": "bench", "namespace": namespace},
                "sync_policy": {"automated": {"prune": True, "self_heal": True}},
                **more,
            },
        )

    def deploy(self, count: int, namespace: str) -> None:
        """Commit and register `count` applications of four objects, and wait until all are Synced."""
        from hub.tasks import nudges

        self.commit_applications(count, raw_replay.application_objects, namespace)
        self.poll()
        nudges.look([self.register(f"app{n:04}", f"apps/app{n:04}", namespace).id for n in range(count)])
        until(lambda: unsynced() == 0, 900, "all applications to be Synced", every=0.1)

    def poll(self) -> None:
        """What a webhook causes: one poll now, and looks at what it moved."""
        from hub.services import polling
        from hub.tasks import nudges

        nudges.look(polling.poll(self.repository.id))


def options(doc: str | None, *, cluster: str = "real", **counts: float) -> argparse.Namespace:
    """The command line of a benchmark: the numbers it takes, with their defaults, the cluster and the database."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in counts.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--cluster", choices=("real", "sandbox"), default=cluster)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    return parser.parse_args()


def until(holds: Callable[[], bool], seconds: float, what: str, every: float = 0.01) -> None:
    """Wait for a condition. Raises SystemExit with what was awaited."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s for {what}")
        pause.wait(every)


def quiet(process: Any) -> None:
    """Wait until the watches of a working hub are healthy and nothing is left to do."""
    until(process.watching.settled, 60, "all watches to be healthy", every=0.1)
    until(process.runtime.idle, 60, "the hub to be quiet", every=0.1)


def unsynced() -> int:
    from hub.models import Application

    return Application.objects.exclude(sync_status="Synced", operation_phase="Succeeded").count()


@contextmanager
def stage(cluster: str, database: str) -> Iterator[Hub]:
    """A hub with `cluster` sandbox or real and `database` sqlite or postgres. Nothing runs yet: see `working`."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        kubeconfig = _cluster(stack, folder, cluster)
        if database == "postgres":
            from tests.live.services import postgres

            os.environ["DATABASE_URL"] = stack.enter_context(postgres()).url
        os.environ |= {
            "HUB_DATA_DIR": str(folder / "data"),
            "HUB_DEMO": "true",
            "HUB_POLL_SECONDS": os.environ.get("HUB_POLL_SECONDS", "3600"),
            "DJANGO_SETTINGS_MODULE": "hub.settings",
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
        print(
            machine.as_text(machine.facts("django", "aiohttp")),
            f"cluster {cluster}, database {database}",
            sep="; ",
        )
        yield Hub(folder, kubeconfig)


def _cluster(stack: ExitStack, folder: Path, kind: str) -> Path:
    path = folder / "kubeconfig"
    if kind == "real":
        from tests.live.controlplane.instance import ControlPlane

        plane = stack.enter_context(ControlPlane())
        path.write_text(Path(plane.hub_kubeconfig).read_text())
    else:
        from clusters.sandbox import Sandbox

        sandbox = stack.enter_context(Sandbox(port=0, ready_after=0.1))
        path.write_text(sandbox.cluster("bench").kubeconfig())
    return path


@contextmanager
def working(threads: int = 0) -> Iterator[Any]:
    """The hub at work in this process: passes, watches, timers, tick."""
    from hub.tasks.process import Process, spare_the_collector

    spare_the_collector()
    with Process(tick=True, threads=threads) as process:
        yield process
