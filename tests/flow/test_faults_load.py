"""An embedded hub under load: "database is locked" never reaches a user (security-and-reliability.md H5)."""

from __future__ import annotations

import threading
import time

from django.db import close_old_connections

from hub.errors import HubError
from hub.models import Application, AuditEvent, SyncOperation
from hub.services import applications, looks, operations
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config

SECONDS = 4.0
WRITERS = 8


def test_h5_eight_writers_and_a_worker_meet_no_locked_database(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({f"app{n}/c.yaml": config(f"c{n}") for n in range(WRITERS)})
    apps = [world.application(f"app{n}", path=f"app{n}", sync_policy=AUTOMATED) for n in range(WRITERS)]
    errors: list[BaseException] = []
    counts = [0] * WRITERS
    ends = time.monotonic() + SECONDS

    def writer(number: int) -> None:
        try:
            while counts[number] == 0 or time.monotonic() < ends:
                app = Application.objects.select_related("project", "cluster").get(id=apps[number].id)
                document = applications.document(app)
                document["labels"] = {"turn": str(counts[number])}
                try:
                    applications.update(DANA, app, document)
                    operations.request(DANA, app, {"reason": f"turn {counts[number]}"})
                except HubError as expected:
                    assert expected.code in {"stale", "operation_running"}, expected
                looks.ask([app.id], level=2)
                counts[number] += 1
        except BaseException as error:
            errors.append(error)
        finally:
            close_old_connections()

    with faults.worker(threads=4):
        threads = [threading.Thread(target=writer, args=(n,)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert errors == []
    assert min(counts) >= 1, counts
    assert AuditEvent.objects.count() >= sum(counts)
    broken = [
        app for app in Application.objects.all() if "internal" in {c.get("code") for c in app.conditions}
    ]
    assert broken == []
    running = SyncOperation.objects.filter(phase__in=("Running", "Terminating")).values("application")
    assert len(running) == len({row["application"] for row in running})
