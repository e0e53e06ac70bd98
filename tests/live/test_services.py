"""PostgreSQL and Redis of the live suite answer, can crash and come back, and leave nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from tests.live import services
from tests.live.worldview import running_in, until

pytestmark = pytest.mark.production


def test_postgres_has_an_empty_database_and_asks_for_the_password(live_machine: None) -> None:
    with services.postgres() as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("hub",)
            assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)
        address = server.url.rpartition("@")[2]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"postgres://hub:wrong@{address}")


def test_postgres_keeps_what_was_committed_over_a_crash(live_machine: None) -> None:
    with services.postgres() as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url)
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_redis_answers_and_comes_back_empty(live_machine: None) -> None:
    with services.redis() as server, redis_client.Redis.from_url(server.url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
        server.stop()
        with pytest.raises(redis_client.ConnectionError):
            client.get("key")
        server.start()
        assert client.get("key") is None


def test_nothing_is_left_of_either(live_machine: None) -> None:
    with services.postgres() as database, services.redis() as broker:
        folders = [database.folder, broker.folder]
        assert [bool(running_in(folder)) for folder in folders] == [True, True]
        broker.pause()
    assert [running_in(folder) for folder in folders] == [[], []]
    assert not any(folder.exists() for folder in folders)


def test_postgres_and_its_children_end_when_even_the_supervisor_is_killed(live_machine: None) -> None:
    with services.postgres() as server:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        assert children
        os.kill(server.supervisor_pid, signal.SIGKILL)
        assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
