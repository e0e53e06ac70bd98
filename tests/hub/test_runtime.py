"""The threads of one worker process: what is slow delays its own kind only (performance.md 3.9; house.md 4)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
from django.conf import settings

from hub.tasks import runtime
from hub.tasks.runtime import Runtime

WITHIN = 10.0


class Passes:
    """Passes that last until they are let go; those of `quick` applications end at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.slow: set[uuid.UUID] = set()
        self.begun: list[uuid.UUID] = []
        self.changed = threading.Condition()

    def __call__(self, application: uuid.UUID) -> None:
        with self.changed:
            self.begun.append(application)
            self.changed.notify_all()
        if application in self.slow:
            self.go.wait(WITHIN)

    def have_begun(self, *applications: uuid.UUID) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: set(applications) <= set(self.begun), WITHIN)


@pytest.fixture
def passes() -> Passes:
    return Passes()


@pytest.fixture
def local(passes: Passes) -> Iterator[Runtime]:
    made = Runtime(passes, threads=4)
    yield made
    passes.go.set()
    made.stop()


def of_cluster(local: Runtime, count: int) -> list[uuid.UUID]:
    cluster, apps = uuid.uuid4(), [uuid.uuid4() for _ in range(count)]
    for app in apps:
        local.learn(app, cluster)
    return apps


def test_h6_a_cluster_that_hangs_does_not_take_all_threads(local: Runtime, passes: Passes) -> None:
    hanging, well = of_cluster(local, 20), of_cluster(local, 3)
    passes.slow = set(hanging)
    for app in (*hanging, *well):
        local.hint(app)
    assert passes.have_begun(*well)
    assert len(passes.slow & set(passes.begun)) == 3
    passes.go.set()
    assert passes.have_begun(*hanging)
    assert sorted(passes.begun) == sorted([*hanging, *well])


def test_h6_two_clusters_that_hang_leave_a_thread_for_a_third(
    local: Runtime, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "SLOW_S", -1.0)
    one, other, well = of_cluster(local, 9), of_cluster(local, 9), of_cluster(local, 3)
    passes.slow = {*one, *other}
    for app in (*one, *other, *well):
        local.hint(app)
    assert passes.have_begun(*well)
    passes.go.set()
    assert passes.have_begun(*one, *other)


def test_an_application_that_waits_for_its_cluster_is_folded_and_runs_once(
    local: Runtime, passes: Passes
) -> None:
    hanging = of_cluster(local, 5)
    passes.slow = set(hanging)
    for app in hanging:
        local.hint(app)
    with passes.changed:
        assert passes.changed.wait_for(lambda: len(passes.begun) == 3, WITHIN)
    (waiting, *_) = set(hanging) - set(passes.begun)
    for _ in range(9):
        local.hint(waiting)
    passes.go.set()
    assert passes.have_begun(*hanging)
    assert passes.begun.count(waiting) == 1


def test_repositories_that_hang_delay_no_pass_and_no_errand(local: Runtime, passes: Passes) -> None:
    go, delivered = threading.Event(), threading.Event()
    for number in range(50):
        local.submit_once(f"poll {number}", lambda: go.wait(WITHIN), poll=True)
    app = uuid.uuid4()
    local.hint(app)
    local.submit(delivered.set)
    assert passes.have_begun(app)
    assert delivered.wait(WITHIN)
    go.set()


def test_what_is_found_due_again_and_again_waits_in_one_place(local: Runtime) -> None:
    go, done = threading.Event(), threading.Semaphore(0)
    for number in range(runtime.ERRANDS):
        local.submit_once(f"slow {number}", lambda: go.wait(WITHIN))
    for _ in range(1000):
        local.submit_once("deliver 7", done.release)
    assert local._errands._work_queue.qsize() == 1
    go.set()
    assert done.acquire(timeout=WITHIN)


def test_the_pool_of_connections_is_enough_for_every_thread_of_a_worker() -> None:
    # Passes, polls, errands, the consumers of messages, the housekeeper and the keeper of leases.
    threads = settings.CELERY_WORKER_CONCURRENCY + runtime.POLLS + runtime.ERRANDS + 4 + 2
    assert threads <= settings.HUB_DB_CONNECTIONS


def test_a_look_at_health_alone_stands_behind_those_that_wait_and_is_not_forgotten(
    local: Runtime, passes: Passes
) -> None:
    busy, calm = of_cluster(local, 9), uuid.uuid4()
    passes.slow = set(busy)
    for app in busy:
        local.hint(app)
    for _ in range(3):
        local.hint_calmly(calm)
    assert not local.idle()
    passes.go.set()
    assert passes.have_begun(*busy, calm)
    assert passes.begun.index(calm) >= len(busy) - 3  # only those of the last passes may still run beside it
    assert passes.begun.count(calm) == 1


def test_it_stands_back_no_longer_than_a_moment(
    local: Runtime, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "CALM_S", 0.01)
    busy, calm = of_cluster(local, 9), uuid.uuid4()
    passes.slow = set(busy)
    for app in busy:
        local.hint(app)
    local.hint_calmly(calm)
    assert passes.have_begun(calm)


def test_it_is_looked_at_right_away_when_nothing_waits(local: Runtime, passes: Passes) -> None:
    calm = uuid.uuid4()
    local.hint_calmly(calm)
    assert passes.have_begun(calm)


def test_what_is_collected_is_handed_over_together_and_each_item_once(local: Runtime) -> None:
    handed: list[list[int]] = []
    enough = threading.Event()

    def take(items: list[int]) -> None:
        handed.append(items)
        if sum(map(len, handed)) == 20:
            enough.set()

    for number in range(20):
        local.collect("numbers", number, take, 0.05)
    assert enough.wait(WITHIN)
    assert sorted(number for items in handed for number in items) == list(range(20))
    assert len(handed) < 20
