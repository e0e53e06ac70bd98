"""Django's SQLite engine, where the writers of one process wait for each other by a lock.

SQLite lets one connection write at a time, and whoever finds it busy sleeps (1 ms, then 2, 5, 10 ... 100) and tries
again (sqlite.org/c3ref/busy_timeout.html). With many threads most of that sleep comes after the other writer has long
ended. A lock wakes the next writer at once. Writers of other processes are still met as SQLite meets them.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from django.db.backends.sqlite3 import base

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLAC"})
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@functools.lru_cache(maxsize=2048)
def _in_question_marks(query: str) -> str:
    """Statements come in few texts, and exchanging the placeholders of a long one takes as long as running it."""
    converted: str = base.SQLiteCursorWrapper.convert_query(None, query)  # type: ignore[arg-type]
    return converted


class Turn:
    """One connection's turn at writing, as a context. Raises OperationalError as SQLite does after `patience` seconds."""

    def __init__(self, lock: threading.Lock, patience: float) -> None:
        self.patience = patience
        self._lock, self._mine = lock, False

    def take(self) -> None:
        if not self._mine:
            self._mine = self._lock.acquire(timeout=self.patience)
            if not self._mine:
                raise sqlite3.OperationalError("database is locked")

    def give_back(self) -> None:
        if self._mine:
            self._mine = False
            self._lock.release()

    def __enter__(self) -> None:
        self.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()


class Cursor(base.SQLiteCursorWrapper):
    """Takes the turn for a statement that writes outside of a transaction."""

    def __init__(self, *args: Any, turn: Turn) -> None:
        super().__init__(*args)
        self._turn = turn

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or query.lstrip()[:6].upper() not in _WRITES:
            return self._execute(query, params)
        with self._turn:
            return self._execute(query, params)

    def _execute(self, query: str, params: Any) -> Any:
        if params is None or isinstance(params, dict):
            return super().execute(query, params)
        return sqlite3.Cursor.execute(self, _in_question_marks(query), params)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection. A transaction has the turn from its beginning (they are all immediate) to its end."""

    @functools.cached_property
    def turn(self) -> Turn:
        patience = float(self.settings_dict["OPTIONS"].get("timeout", 5.0))
        return Turn(_locks[str(self.settings_dict["NAME"])], patience)

    def connect(self) -> None:
        self.__dict__.pop("turn", None)  # tests move to a database of another name
        super().connect()

    def create_cursor(self, name: str | None = None) -> Any:  # noqa: ARG002, the name is for servers
        return self.connection.cursor(factory=functools.partial(Cursor, turn=self.turn))

    @contextmanager
    def patient(self, seconds: float) -> Iterator[None]:
        """Wait for the turn at most this long."""
        usual = self.turn.patience
        try:
            self._wait_for(seconds)
            yield
        finally:
            self._wait_for(usual)

    def _wait_for(self, seconds: float) -> None:
        with self.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {max(1, int(seconds * 1000))}")
        self.turn.patience = seconds

    def _start_transaction_under_autocommit(self) -> None:
        with self.wrap_database_errors:
            self.turn.take()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self.turn.give_back()
            raise

    def _commit(self) -> Any:
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            self.turn.give_back()

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self.turn.give_back()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self.turn.give_back()
