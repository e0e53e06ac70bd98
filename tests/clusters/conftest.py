"""Fixtures of the gate's tests: a misbehaving server, and a gate that does not really sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from clusters import kube
from clusters.kube.tuning import Tuning, tuning, use
from tests.clusters.faults import FaultServer


@dataclass
class Clock:
    """A clock that moves by hand; a sleep of the gate moves it and is recorded."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[FaultServer]:
    made = FaultServer()
    yield made
    kube.shutdown()
    made.close()


@pytest.fixture
def tune() -> Iterator[Callable[..., Tuning]]:
    """`tune(request=0.2)` changes numbers of the gate for this test."""
    former = tuning()

    def change(**numbers: object) -> Tuning:
        use(replace(tuning(), **numbers))  # type: ignore[arg-type]
        return tuning()

    yield change
    use(former)


@pytest.fixture
def clock(tune: Callable[..., Tuning]) -> Clock:
    made = Clock()
    tune(clock=made, sleep=made.sleep, jitter=lambda: 0.5)
    return made
