"""A hub that runs: ticks that come twice, ports, descriptors, a restored backup (security-and-reliability.md D10, H12, H18, H19)."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from clusters.models import Cluster
from guard.fields import DecryptionError
from hub.models import Application, Event, Repository
from hub.services import clusters, repositories
from hub.tasks import hints, nudges
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, one_pass
from tests.live.worldview import until

LISTENING = "0A"


def listening() -> set[str]:
    """Inodes of the TCP sockets of this process that listen."""
    mine = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            mine.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING and f"socket:[{words[9]}]" in mine:
                found.add(words[9])
    return found


def test_h12_doubled_ticks_change_nothing(world: World) -> None:
    """A worker with its tick, and five more ticks at once: one operation, each object written once."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + config("two")})
    seen = faults.writes(world)
    with faults.worker():
        app = world.application(sync_policy=AUTOMATED)
        ticks = [threading.Thread(target=hints.tick) for _ in range(5)]
        for tick in ticks:
            tick.start()
        assert until(lambda: Application.objects.get(id=app.id).sync_status == "Synced")
        for tick in ticks:
            tick.join()
    assert app.operations.count() == 1
    assert sorted(name for kind, name, _, _ in seen if kind == "configmaps") == ["one", "two"]


def test_d10_a_worker_listens_on_no_port(world: World) -> None:
    before = listening()
    assert before, "the sandbox itself listens"
    world.commit({"deploy/c.yaml": config("one")})
    with faults.worker():
        app = world.application()
        assert until(lambda: Application.objects.get(id=app.id).revisions)
        assert listening() == before


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_h18_looks_leave_no_descriptor_thread_or_row_behind(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application(sync_policy=AUTOMATED))

    def round_() -> None:
        world.kube.patch("v1", "ConfigMap", "one", {"metadata": {"annotations": {"seen": "x"}}}, "shop")
        one_pass(app)
        world.poll()

    for _ in range(5):
        round_()
    counted = descriptors(), threading.active_count(), rows()
    for _ in range(60):
        round_()
    after = descriptors(), threading.active_count(), rows()
    assert after[0] <= counted[0] + 2
    assert after[1:] == counted[1:]


def rows() -> dict[str, int]:
    with connection.cursor() as cursor:
        tables = [name for name in connection.introspection.table_names(cursor) if name.startswith("hub_")]
        found = {}
        for table in tables:
            cursor.execute(f'SELECT COUNT(*) FROM "{table}"')
            found[table] = cursor.fetchone()[0]
    return found


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Path]:
    if connection.vendor != "sqlite":
        pytest.skip("copies the file of the embedded database")
    yield tmp_path / "backup.sqlite3"


def test_h19_a_restored_backup_finds_everything_in_sync(world: World, backup: Path) -> None:
    """An empty host with the backup and the keys: Synced, and not one write reaches the cluster."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + config("two")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    connection.ensure_connection()
    with sqlite3.connect(backup) as copy:
        connection.connection.backup(copy)
    call_command("flush", interactive=False, verbosity=0)
    assert not Application.objects.exists()
    with sqlite3.connect(backup) as copy:
        copy.backup(connection.connection)
    Application.objects.update(lease_until=None, next_look_at=timezone.now(), look_level=2)
    seen = faults.writes(world)
    world.poll()
    for _ in range(3):
        one_pass(app)
    app.refresh_from_db()
    assert (app.sync_status, app.operations.count(), seen) == ("Synced", 1, [])


def test_h19_a_missing_key_says_what_to_enter_again(world: World, settings: Any) -> None:
    made = repositories.create(
        DANA, {"url": "https://git.example.com/a.git", "username": "bot", "password": "not-shown"}
    )
    settings.HUB_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(DecryptionError) as refused:
        Repository.objects.get(id=made.id).access()
    assert "not-shown" not in str(refused.value)
    assert str(refused.value).startswith(f"hub_repository:{made.id}:password: ")


TABLES = ("hub_application", "hub_syncoperation", "hub_resourcestatus", "hub_event", "hub_repository")


@pytest.fixture
def newer_database(transactional_db: None) -> Iterator[None]:
    """What the migrations of the next version add while workers of this one still run: expand, then contract."""
    if connection.vendor != "sqlite":
        pytest.skip("alters the tables of the embedded database")
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN of_the_next_version text NULL")
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN counted_later integer NOT NULL DEFAULT 0")
    yield
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DROP COLUMN of_the_next_version")
            cursor.execute(f"ALTER TABLE {table} DROP COLUMN counted_later")


def test_h15_workers_of_this_version_go_on_while_the_next_one_migrates(
    world: World, newer_database: None
) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    assert app.sync_status == "Synced"
    world.commit({"deploy/c.yaml": config("two")})
    world.poll()
    world.run(app)
    assert (app.sync_status, faults.names(world)) == ("Synced", ["two"])


def test_an_embedded_hub_does_itself_what_other_hubs_publish(world: World) -> None:
    """Nobody reads an in-process broker: the tick's probe and that of a click go into the pool of the process."""

    def probed() -> Any:
        return Cluster.objects.get(id=world.cluster.id).probed_at

    clusters.probe_now(DANA, world.cluster)
    with faults.worker():
        first = until(probed)
        assert Cluster.objects.get(id=world.cluster.id).state == Cluster.State.CONNECTED
        nudges.send("hub.probe", [str(world.cluster.id)])
        assert until(lambda: probed() != first)


def test_who_plays_the_tick_also_prunes_history(world: World) -> None:
    long_ago = timezone.now() - timedelta(days=91)
    Event.objects.create(key="old", name="deployed", occurred_at=long_ago, dispatched_at=long_ago)
    with faults.worker():
        assert until(lambda: not Event.objects.filter(key="old").exists())
