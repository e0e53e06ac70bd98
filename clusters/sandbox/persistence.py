"""Keeping clusters in one SQLite file, so that a sandbox can be stopped and started again.

Writes are gathered and stored together a moment later. After a start every older resourceVersion is Expired, as
after the restart of a real server.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from clusters.sandbox.backend import Backend, Timer
from clusters.sandbox.store import Change, Table

FLUSH_AFTER = 0.1
TABLES = """
create table if not exists clusters (name text primary key, token text not null, version integer not null);
create table if not exists objects (
    cluster text not null, grp text not null, resource text not null, namespace text not null, name text not null,
    body blob not null, primary key (cluster, grp, resource, namespace, name)
) without rowid;
"""
REMOVE = "delete from objects where cluster = ? and grp = ? and resource = ? and namespace = ? and name = ?"


class Persistence:
    """One SQLite file. Used in the thread of the server's loop, opened and closed from any."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=normal;" + TABLES)
        self._pending: dict[tuple[str, str, str, str, str], bytes | None] = {}
        self._versions: dict[str, int] = {}
        self._waiting = False

    def names(self) -> list[str]:
        return [row[0] for row in self._db.execute("select name from clusters order by name")]

    def load(self, backend: Backend, token: str) -> str:
        """Fill a new backend with what is stored of it; returns its token, which stays the same."""
        row = self._db.execute(
            "select token, version from clusters where name = ?", (backend.name,)
        ).fetchone()
        if row is None:
            values = (backend.name, token, backend.store.version)
            self._db.execute("insert into clusters values (?, ?, ?)", values)
            return token
        backend.store.version = backend.store.floor = row[1] + 1
        query = "select grp, resource, namespace, name, body from objects where cluster = ? order by grp, resource"
        for group, resource, namespace, name, body in self._db.execute(query, (backend.name,)):
            table = backend.store.table(group, resource)
            obj = orjson.loads(body)
            backend.store.load(table, (namespace, name), obj)
            if resource == "customresourcedefinitions":
                backend.registry.define(obj)
        return str(row[0])

    def follow(self, backend: Backend, later: Timer) -> None:
        """Store what is written to `backend` from now on."""

        def saw(table: Table, change: Change) -> None:
            key = (backend.name, table.group, table.resource, *change.place)
            self._pending[key] = None if change.gone else change.raw
            self._versions[backend.name] = change.version
            if not self._waiting:
                self._waiting = True
                later(FLUSH_AFTER, self.flush)

        backend.store.listeners.append(saw)

    def flush(self) -> None:
        """Store everything gathered."""
        self._waiting = False
        if not self._pending:
            return
        kept: list[Any] = [(*key, body) for key, body in self._pending.items() if body is not None]
        gone = [key for key, body in self._pending.items() if body is None]
        self._db.execute("begin")
        self._db.executemany("insert or replace into objects values (?, ?, ?, ?, ?, ?)", kept)
        self._db.executemany(REMOVE, gone)
        versions = [(version, name) for name, version in self._versions.items()]
        self._db.executemany("update clusters set version = ? where name = ?", versions)
        self._db.execute("commit")
        self._pending.clear()
        self._versions.clear()

    def close(self) -> None:
        self.flush()
        self._db.close()
