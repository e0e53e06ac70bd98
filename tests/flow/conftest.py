"""A hub, a sandbox cluster and a Git repository, wired as a person would; passes run in the test's own thread."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusters.models import Cluster
from clusters.sandbox import Sandbox
from hub.models import Application, Project, SyncOperation
from hub.models.operation import UNFINISHED
from hub.reconcile import reconcile
from hub.services import applications, operations, polling, repositories
from hub.services.actors import Actor
from tests import gitserver
from tests.hub.factories import OPEN

DANA = Actor(kind="user", name="dana", via="api", is_admin=True)


class World:
    """What a flow test works with: `commit` files, `run` passes until nothing is due, look at the cluster."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.kube = sandbox.cluster("dev")
        self.folder = folder
        self.repository_path = gitserver.make_repo(folder)
        self.project = Project.objects.create(name="shop", rules=OPEN)
        self.cluster = Cluster.objects.create(name="dev", server=self.kube.server, token=self.kube.token)
        self.repository = repositories.create(DANA, {"url": f"file://{self.repository_path}"})

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        return gitserver.commit(self.repository_path, files, message=message)

    def application(self, name: str = "web", path: str = "deploy", **more: object) -> Application:
        return applications.create(
            DANA,
            {
                "name": name,
                "project": "shop",
                "sources": [{"repo_url": self.repository.url, "path": path}],
                "destination": {"cluster": "dev", "namespace": "shop"},
                **more,
            },
        )

    def poll(self) -> list[uuid.UUID]:
        type(self.repository).objects.update(lease_until=None)
        return polling.poll(self.repository.id)

    def sync(self, app: Application, **values: object) -> SyncOperation:
        operation, _ = operations.request(DANA, app, values)
        return operation

    def run(
        self, app: Application, until: Callable[[Application], bool] | None = None, passes: int = 40
    ) -> Application:
        """Passes in this thread until `until` holds, or nothing is asked for any more."""
        for _ in range(passes):
            result = reconcile(app.id)
            for repository in result.poll:
                polling.poll(repository)
            if not Application.objects.filter(id=app.id).exists():
                return app
            app.refresh_from_db()
            if until is not None and until(app):
                return app
            waits = result.phase in UNFINISHED
            if until is None and (result.again_in_s or 0) > 1 and not result.poll and not waits:
                return app
            if result.again_in_s is not None and 0 < result.again_in_s <= 3:
                # The pass asked for a timer; in a worker its runtime keeps it.
                threading.Event().wait(min(result.again_in_s, 0.05))
        raise AssertionError(
            f"{app.name}: {app.sync_status} {app.health_status} {app.operation_phase} {app.conditions}"
        )


@pytest.fixture
def world(tmp_path: Path, transactional_db: None, settings: object) -> Iterator[World]:
    settings.HUB_MIRROR_DIR = tmp_path / "mirrors"  # type: ignore[attr-defined]
    with Sandbox(port=0, ready_after=0.05) as sandbox:
        yield World(sandbox, tmp_path)
