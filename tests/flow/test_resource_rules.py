"""Settings of the whole hub about resources, as Argo CD writes them (sync-semantics.md 2.1, 6.1, 6.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.checks import resource_rules_can_be_read
from hub.models import Application
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config

IGNORE = """kind: ConfigMap
data:
  resource.customizations.ignoreDifferences.ConfigMap: |
    jsonPointers: [/data/value]
"""
EXCLUDE = """resource.exclusions: |
  - apiGroups: [""]
    kinds: [ConfigMap]
    clusters: ["*"]
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {a: b}\n---\n"


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> Path:
    settings.HUB_RESOURCE_RULES = str(tmp_path / "argocd-cm.yaml")
    found = Path(settings.HUB_RESOURCE_RULES)
    found.write_text("")
    return found


def deployed(world: World) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + SECRET})
    app = world.run(world.application(sync_policy=AUTOMATED))
    assert (app.sync_status, faults.names(world)) == ("Synced", ["one"])
    return app


def test_differences_that_the_hub_ignores_are_no_drift(world: World, file: Path) -> None:
    app = deployed(world)
    file.write_text(IGNORE)
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "edited"}}, "shop")
    world.run(app)
    assert app.sync_status == "Synced"
    file.write_text("{}")
    world.run(app, until=lambda app: app.operations.count() > 1)
    assert faults.ended(world, app.operations.latest("number")).phase == "Succeeded"


OLD_FORM = """kind: ConfigMap
data:
  resource.customizations: |
    ConfigMap:
      health.lua: |
        return {status = "Degraded", message = "as it was said before"}
      ignoreDifferences: |
        jsonPointers: [/data/value]
      health.lua.useOpenLibs: true
    example.com/*:
      knownTypeFields: [{field: spec, type: core/v1/PodSpec}]
"""


def test_customizations_in_one_text_count_as_well(world: World, file: Path) -> None:
    """The older form of an argocd-cm, which Argo CD still reads."""
    app = deployed(world)
    file.write_text(OLD_FORM)
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "edited"}}, "shop")
    world.run(app)
    assert (app.sync_status, app.health_status) == ("Synced", "Degraded")
    assert app.health_message == "Caused by ConfigMap:shop/one: as it was said before"
    file.write_text("resource.customizations: [x]")
    assert "has to be a map of <group>/<Kind>" in str(resource_rules_can_be_read()[0])


def test_excluded_kinds_are_not_seen_not_pruned_and_said(world: World, file: Path) -> None:
    """What was managed before it was excluded stays in the cluster, whatever Git says."""
    app = deployed(world)
    file.write_text(EXCLUDE)
    world.commit({"deploy/c.yaml": config("two") + SECRET})
    world.poll()
    world.run(app)
    assert app.sync_status == "Synced"
    assert faults.names(world) == ["one"]
    assert list(app.resources.values_list("kind", flat=True)) == ["Secret"]
    assert any("ConfigMap" in text for text in faults.conditions(app, "ExcludedResource"))


def test_a_file_that_cannot_be_read_is_told_at_the_start_and_changes_nothing(
    world: World, file: Path
) -> None:
    app = deployed(world)
    file.write_text(IGNORE)
    world.run(app)
    file.write_text("resource.exclusions: |\n  kinds: [ConfigMap]\n")
    assert "resource.exclusions has to be a list" in str(resource_rules_can_be_read()[0])
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "edited"}}, "shop")
    world.run(app)
    assert app.sync_status == "Synced", "the last good rules stay"
