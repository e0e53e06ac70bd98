"""Passes take turns at computing in an embedded hub, and never wait for one that waits (decision 0015)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hub.tasks import turns
from hub.tasks.turns import Turns

WITHIN = 10.0


class Crowd:
    """Threads between `taken` and its end: how many there are, and how many there were at most."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.changed = threading.Condition()

    @contextmanager
    def inside(self) -> Iterator[None]:
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.now -= 1


def run(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 2)])
def test_no_more_compute_at_a_time_than_there_are_places(
    monkeypatch: pytest.MonkeyPatch, places: int, most: int
) -> None:
    monkeypatch.setattr(turns, "LONG_S", WITHIN)
    made, crowd = Turns(places), Crowd()

    def work() -> None:
        for _ in range(50):
            with made.taken():
                with crowd.inside():
                    pass
                with made.aside():
                    pass
                with crowd.inside():
                    pass

    run(8, work)
    assert 1 <= crowd.most <= most


def test_who_stands_aside_leaves_its_place_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONG_S", WITHIN)
    made, waiting = Turns(1), threading.Barrier(4)

    def work() -> None:
        with made.taken(), made.aside():
            waiting.wait(WITHIN)  # all four are here at once

    run(4, work)


def test_who_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONG_S", 0.01)
    made, waiting = Turns(1), threading.Barrier(4)

    def work() -> None:
        with made.taken():
            waiting.wait(WITHIN)

    run(4, work)


def test_without_a_limit_nobody_waits_and_who_has_no_turn_may_stand_aside() -> None:
    made, waiting = Turns(0), threading.Barrier(4)

    def work() -> None:
        with made.taken(), made.aside():
            waiting.wait(WITHIN)

    run(4, work)
    with Turns(1).aside():
        pass
