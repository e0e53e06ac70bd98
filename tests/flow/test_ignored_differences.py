"""ignoreDifferences in its three forms at its three levels, and what is shown of it (sync-semantics.md 6.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.core import specs
from hub.models import Application, ResourceStatus
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config
from tests.hub import factories
from tests.hub.conftest import Api

# The sandbox writes edits as this manager.
FORMS = {
    "json_pointers": ["/data/value"],
    "jq_path_expressions": [".data.value"],
    "managed_fields_managers": ["kubectl-edit"],
}


def deployed(world: World, **more: Any) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.run(world.application(sync_policy=AUTOMATED, **more))
    assert (app.sync_status, faults.names(world)) == ("Synced", ["one"])
    return app


def edited(world: World, app: Application) -> Application:
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "edited"}}, "shop")
    return world.run(app)


@pytest.mark.parametrize("level", ["application", "project", "hub"])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_counts_at_each_level_and_the_line_names_its_rule(
    world: World, tmp_path: Path, settings: Any, level: str, form: str
) -> None:
    rule = {"group": "", "kind": "ConfigMap", form: FORMS[form]}
    more: dict[str, Any] = {}
    if level == "application":
        more["ignore_differences"] = [rule]
    elif level == "project":
        world.project.rules = {**world.project.rules, "ignore_differences": [rule]}
        world.project.save()
    else:
        settings.HUB_RESOURCE_RULES = str(tmp_path / "argocd-cm.yaml")
        body = yaml.safe_dump(specs.to_argo({form: FORMS[form]}))
        data = {"resource.customizations.ignoreDifferences.ConfigMap": body}
        Path(settings.HUB_RESOURCE_RULES).write_text(yaml.safe_dump({"kind": "ConfigMap", "data": data}))
    app = edited(world, deployed(world, **more))
    assert (app.sync_status, app.operations.count()) == ("Synced", 1)
    (line,) = ResourceStatus.objects.get(name="one").drift
    assert (line["path"], line["live"]) == (".data.value", '"edited"')
    origin = "system" if level == "hub" else level
    named = "fields of manager kubectl-edit" if form == "managed_fields_managers" else FORMS[form][0]
    assert line["ignored_by"] == f"{origin}: {named}"


def test_an_ignored_line_is_in_the_diff_and_changes_nothing_else(world: World) -> None:
    """Neither the identity of the drift nor who is said to fight: only the line that counts does."""
    rule = {"kind": "ConfigMap", "json_pointers": ["/data/value"]}
    app = edited(world, deployed(world, ignore_differences=[rule]))
    api = Api(factories.user("bob", "reader", world.project))
    (shown,) = api.get(f"/applications/{app.name}/diff").json()["items"]
    assert (shown["status"], shown["lines"][0]["ignored_by"]) == ("Synced", "application: /data/value")
    world.commit({"deploy/c.yaml": config("one").replace("\ndata: {", "\ndata: {more: x, ")})
    app.sync_policy = {}
    app.save()
    world.poll()
    world.run(app)
    assert app.sync_status == "OutOfSync"
    digest = app.memory["state"]["drift_digest"]
    lines = ResourceStatus.objects.get(name="one").drift
    assert [(line["path"], line["ignored_by"]) for line in lines] == [
        (".data.more", ""),
        (".data.value", "application: /data/value"),
    ]
    world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": "again"}}, "shop")
    world.run(app)
    assert app.memory["state"]["drift_digest"] == digest != ""


def test_a_manager_that_is_not_ignored_is_healed(world: World) -> None:
    rule = {"kind": "ConfigMap", "managed_fields_managers": ["somebody-else"]}
    app = edited(world, deployed(world, ignore_differences=[rule]))
    app = world.run(app, until=lambda app: app.operations.count() > 1)
    assert faults.ended(world, app.operations.latest("number")).phase == "Succeeded"


def test_while_nobody_knows_who_wrote_a_field_it_is_not_healed(world: World) -> None:
    """The one GET that tells is refused: Unknown, which automation leaves alone; then ignored as ever."""
    rule = {"kind": "ConfigMap", "managed_fields_managers": ["kubectl-edit"]}
    app = deployed(world, ignore_differences=[rule])
    refused = world.kube.faults.add("status", verb="get", resource="configmaps", code=403)
    app = edited(world, app)
    assert (app.sync_status, app.operations.count()) == ("Unknown", 1)
    assert any("who wrote the fields" in text for text in faults.conditions(app, "ComparisonError"))
    world.kube.faults.active.remove(refused)
    world.run(app)
    assert (app.sync_status, app.operations.count()) == ("Synced", 1)
    held = world.kube.get("v1", "ConfigMap", "one", "shop")
    assert held is not None
    assert held["data"] == {"value": "edited"}
