"""Which events of a watch ask for a look, and how soon (performance.md 3.3)."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest

from clusters.core.manifests import TRACKING_ANNOTATION, Manifest, ResourceKey
from hub.tasks.watching import Watching

APP = uuid.uuid4()
KEY = ResourceKey("apps", "Deployment", "shop", "web")
ANSWER: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "generation": 1,
        "resourceVersion": "1",
        "annotations": {TRACKING_ANNOTATION: "web:apps/Deployment:shop/web"},
    },
    "spec": {"replicas": 1},
}


class Asked:
    """The runtime of a worker, as far as the watches know it."""

    def __init__(self) -> None:
        self.soon: list[uuid.UUID] = []
        self.calmly: list[uuid.UUID] = []
        self.hint, self.hint_calmly = self.soon.append, self.calmly.append

    def taken(self) -> tuple[int, int]:
        found = len(self.soon), len(self.calmly)
        self.soon.clear()
        self.calmly.clear()
        return found


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def watches(asked: Asked) -> Any:
    made: Any = Watching(asked)  # type: ignore[arg-type]
    made._by_name = {"web": APP}
    return made


def changed(**status: Any) -> Manifest:
    """As the controller leaves it: a status, and the number by which it counts."""
    made = copy.deepcopy(ANSWER)
    made["metadata"] |= {"resourceVersion": "2"}
    made["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    return {**made, "status": {"observedGeneration": 1, **status}}


HEALTHY = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}


def test_our_own_write_is_no_news_and_a_health_that_follows_it_asks_calmly(
    watches: Any, asked: Asked
) -> None:
    watches._event("c1", "WRITTEN", KEY, ANSWER)
    assert asked.taken() == (0, 0)
    watches._event("c1", "MODIFIED", KEY, changed(**HEALTHY))
    assert asked.taken() == (0, 1)
    watches._event("c1", "MODIFIED", KEY, changed(**HEALTHY, conditions=[]))
    assert asked.taken() == (0, 0), "the same health"


@pytest.mark.parametrize(
    "edit",
    [
        lambda obj: obj["spec"].update(replicas=5),
        lambda obj: obj["metadata"]["annotations"].update(note="x"),
        lambda obj: obj["metadata"].update(labels={"a": "b"}),
        lambda obj: obj["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"),
    ],
    ids=["specification", "annotation", "label", "deletion"],
)
def test_an_edit_asks_at_once(watches: Any, asked: Asked, edit: Any) -> None:
    watches._event("c1", "WRITTEN", KEY, ANSWER)
    obj = changed(**HEALTHY)
    edit(obj)
    watches._event("c1", "MODIFIED", KEY, obj)
    assert asked.taken() == (1, 0)


def test_what_is_seen_for_the_first_time_or_is_gone_asks_at_once(watches: Any, asked: Asked) -> None:
    watches._event("c1", "ADDED", KEY, ANSWER)
    watches._event("c1", "DELETED", KEY, ANSWER)
    assert asked.taken() == (2, 0)


def test_an_operation_that_waits_hears_every_event_at_once(watches: Any, asked: Asked) -> None:
    watches._restless = {APP}
    watches._event("c1", "WRITTEN", KEY, ANSWER)
    watches._event("c1", "MODIFIED", KEY, changed(**HEALTHY))
    assert asked.taken() == (1, 0)
