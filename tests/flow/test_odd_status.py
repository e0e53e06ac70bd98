"""Statuses as odd as custom kinds may write them end no pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flow.conftest import World
from tests.flow.faults import NAMESPACE
from tests.flow.test_actions import FILES, ROLLOUTS


@pytest.mark.parametrize(
    "status",
    [{"observedGeneration": "6f5d8c"}, {"observedGeneration": {"a": 1}}, {"observedGeneration": "1"}],
)
def test_an_observed_generation_that_is_no_number_says_nothing(world: World, status: dict[str, Any]) -> None:
    """Old Rollouts write a hash there, newer ones the number as text."""
    world.kube.create(NAMESPACE)
    world.kube.create(ROLLOUTS)
    world.commit({"deploy/all.yaml": FILES.partition("---")[0]})
    app = world.run(world.application(sync_policy={"automated": {}}))
    world.kube.patch(
        "argoproj.io/v1alpha1", "Rollout", "api", {"status": status}, "shop", subresource="status"
    )
    assert world.run(app).sync_status == "Synced"
