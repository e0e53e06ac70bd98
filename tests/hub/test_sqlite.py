"""The SQLite engine of an embedded hub: writers of one process queue up, and none waits longer than it may."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from hub.models import Project
from hub.services import locks

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the engine of an embedded hub"),
]
WITHIN = 10.0


class Writer:
    """A transaction of another thread that lasts until it is let go."""

    def __init__(self) -> None:
        self.wrote, self.go = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with transaction.atomic():
            Project.objects.create(name="theirs")
            self.wrote.set()
            self.go.wait(WITHIN)
        connection.close()

    def __enter__(self) -> Writer:
        self.thread.start()
        assert self.wrote.wait(WITHIN)
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self.thread.join(WITHIN)


def names() -> set[str]:
    return set(Project.objects.exclude(name="default").values_list("name", flat=True))


def test_a_writer_goes_on_as_soon_as_the_one_before_it_has_ended() -> None:
    with Writer() as other:
        threading.Timer(0.05, other.go.set).start()
        Project.objects.create(name="mine")
        assert names() == {"mine", "theirs"}


@pytest.mark.parametrize("inside", [True, False], ids=["transaction", "statement"])
def test_who_may_not_wait_long_is_told_that_the_database_is_locked(inside: bool) -> None:
    Project.objects.create(name="mine")
    turn: Any = connection.turn  # type: ignore[attr-defined]
    usual = turn.patience
    with Writer():
        with pytest.raises(OperationalError, match="locked"):
            if inside:
                with locks.patience(0.05):
                    pass
            else:
                with connection.patient(0.05):  # type: ignore[attr-defined]
                    Project.objects.filter(name="mine").update(archived=True)
        assert names() == {"mine"}  # and reads are not kept waiting
    assert turn.patience == usual
    Project.objects.filter(name="mine").update(archived=True)
    assert Project.objects.get(name="mine").archived


def test_a_transaction_that_fails_gives_its_turn_back() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Project.objects.create(name="never")
        raise ZeroDivisionError
    with Writer():
        pass
    assert names() == {"theirs"}


def test_a_connection_that_is_closed_inside_a_transaction_gives_its_turn_back() -> None:
    def close() -> None:
        with pytest.raises(Exception), transaction.atomic():  # noqa: B017
            Project.objects.create(name="never")
            connection.close()
            Project.objects.create(name="never")

    thread = threading.Thread(target=close)
    thread.start()
    thread.join(WITHIN)
    with Writer():
        pass
    assert names() == {"theirs"}


def test_percent_signs_and_placeholders_mean_what_they_mean_elsewhere() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT '%%', %s, %s", ["a%s", None])
        assert cursor.fetchone() == ("%", "a%s", None)
        cursor.execute("SELECT '%'")
        assert cursor.fetchone() == ("%",)
        cursor.execute("SELECT %(b)s || %(a)s", {"a": "1", "b": "2"})
        assert cursor.fetchone() == ("21",)
