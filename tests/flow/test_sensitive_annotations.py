"""Annotations that hold secrets: their values are masked wherever a difference is shown (sync-semantics.md 6.6)."""

from __future__ import annotations

import zlib
from typing import Any

from clusters.core.diff import Baseline
from hub.models import Event, ResourceStatus, User
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import NAMESPACE
from tests.hub import factories
from tests.hub.conftest import Api

OURS, THEIRS = "hunter2", "hunter3"
TEXT = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: one, namespace: shop, annotations: {{example.com/token: {OURS}}}}}
data: {{value: one}}
"""


def test_e44_sensitive_annotations_are_masked_in_baseline_diff_and_plan(world: World, settings: Any) -> None:
    settings.HUB_SENSITIVE_ANNOTATIONS = ["example.com/token"]
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": TEXT})
    app = world.run(world.application(sync_policy={"automated": {}}))
    assert (app.sync_status, faults.names(world)) == ("Synced", ["one"])
    edit = {"metadata": {"annotations": {"example.com/token": THEIRS}}}
    world.kube.patch("v1", "ConfigMap", "one", edit, "shop")
    world.run(app)
    assert app.sync_status == "OutOfSync"
    row = ResourceStatus.objects.get(name="one")
    (line,) = row.drift
    assert line["path"] == ".metadata.annotations.example.com/token"
    assert (line["desired"], line["live"]) == ("++++++++ (a1)", "++++++++ (b2)")
    alice: User = factories.user("alice", "owner", world.project)
    api = Api(alice)
    told = [
        api.get(f"/applications/{app.name}/diff").content.decode(),
        api.post(f"/applications/{app.name}/plan", {}).content.decode(),
        str(list(Event.objects.values())),
    ]
    assert "example.com/token" in told[0]
    assert not any(value in text for value in (OURS, THEIRS) for text in told)
    packed = zlib.decompress(Baseline.from_bytes(bytes(row.baseline)).packed)
    assert OURS.encode() not in packed
