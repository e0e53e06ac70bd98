"""Custom health rules and jq paths through the hall (sync-semantics.md 6.2, 8.2, 8.3; D7, F17, F18)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hub.models import Application, ResourceStatus
from hub.services import fences, health_rules
from hub.tasks.watching import _fingerprint
from tests.flow.conftest import World

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: shop}\ndata: {colour: %s}\n"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
LUA = """data:
  resource.customizations.health.ConfigMap: |
    hs = {}
    if obj.data.colour == "red" then
      hs.status = "Degraded"
      hs.message = "it is red"
    else
      hs.status = "Healthy"
    end
    return hs
  resource.customizations.useOpenLibs.ConfigMap: "true"
  timeout.reconciliation: 180s
kind: ConfigMap
"""


def deployed(world: World, files: dict[str, str | None], **more: Any) -> Application:
    world.commit({"deploy/ns.yaml": NAMESPACE, **{f"deploy/{name}": text for name, text in files.items()}})
    app = world.application(**more)
    world.run(app)
    world.sync(app)
    return world.run(app)


def health(name: str) -> tuple[str, str]:
    row = ResourceStatus.objects.get(kind="ConfigMap", name=name)
    return row.health, row.health_message


def test_an_argocd_lua_script_decides_the_health(world: World, tmp_path: Path, settings: Any) -> None:
    settings.HUB_RESOURCE_RULES = str(tmp_path / "argocd-cm.yaml")
    Path(settings.HUB_RESOURCE_RULES).write_text(LUA)
    app = deployed(world, {"a.yaml": CONFIG % ("a", "blue"), "b.yaml": CONFIG % ("b", "red")})
    assert (health("a"), health("b")) == (("Healthy", ""), ("Degraded", "it is red"))
    assert (app.sync_status, app.health_status) == ("Synced", "Degraded")
    assert app.health_message == "Caused by ConfigMap:shop/b: it is red"


def test_a_changed_file_counts_at_the_next_look(world: World, tmp_path: Path, settings: Any) -> None:
    settings.HUB_RESOURCE_RULES = str(tmp_path / "rules.json")
    path = Path(settings.HUB_RESOURCE_RULES)
    path.write_text('{"health": {"ConfigMap": [{"when": "true", "status": "Degraded", "message": "one"}]}}')
    app = deployed(world, {"a.yaml": CONFIG % ("a", "blue")})
    assert (app.health_status, health("a")) == ("Degraded", ("Degraded", "one"))
    path.write_text(
        '{"health": {"Config*": [{"when": "self.data.colour == \'blue\'", "status": "Healthy"}]}}'
    )
    world.run(app)
    assert (app.health_status, health("a")) == ("Healthy", ("Healthy", ""))
    path.write_text("{")
    world.run(app)
    assert app.health_status == "Healthy"  # the last good rules stay


def test_project_rules_come_before_those_of_the_hub(world: World, tmp_path: Path, settings: Any) -> None:
    settings.HUB_RESOURCE_RULES = str(tmp_path / "argocd-cm.yaml")
    Path(settings.HUB_RESOURCE_RULES).write_text(LUA)
    rules = {
        "ConfigMap": [{"when": "self.data.colour == 'red'", "status": "Suspended", "message": "red is rest"}]
    }
    world.project.rules = {**world.project.rules, "health": rules}
    world.project.save()
    deployed(world, {"a.yaml": CONFIG % ("a", "blue"), "b.yaml": CONFIG % ("b", "red")})
    assert health("b") == ("Suspended", "red is rest")
    assert health("a")[0] == "Progressing"


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("error('no')", "no"),
        ("while true do end", "ran longer than 1 s"),
        ([{"when": "self.nothing.at.all", "status": "Healthy"}], "the health rule failed"),
        ([{"when": "true", "status": "Fine"}], "'Fine' is not a health status"),
        (7, "a rule is a Lua script or a list of cases"),
    ],
)
def test_f18_a_rule_that_fails_makes_only_its_objects_unknown(world: World, rule: Any, says: str) -> None:
    world.project.rules = {**world.project.rules, "health": {"ConfigMap": rule}}
    world.project.save()
    app = deployed(world, {"a.yaml": CONFIG % ("a", "blue")})
    found = health("a")
    assert found[0] == "Unknown"
    assert says in found[1]
    assert app.sync_status == "Synced"
    assert health_rules.speaks_of({"apiVersion": "v1", "kind": "ConfigMap"})
    assert not health_rules.speaks_of({"apiVersion": "v1", "kind": "Service"})


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {key: hunter2}\n"


@pytest.mark.parametrize(
    "rule",
    [
        "return {status = 'Degraded', message = obj.data.key}",
        "error(obj.data.key)",
        [{"when": "int(self.data.key) > 0", "status": "Healthy"}],
    ],
)
def test_e44_a_health_rule_never_sees_the_values_of_a_secret(world: World, rule: Any) -> None:
    """Its message is shown to whoever may see the application."""
    world.project.rules = {**world.project.rules, "health": {"Secret": rule}}
    world.project.save()
    app = deployed(world, {"a.yaml": SECRET})
    said = ResourceStatus.objects.get(kind="Secret").health_message
    assert said
    assert not any(text in f"{said} {app.health_message}" for text in ("hunter2", "aHVudGVyMg=="))


def ignoring(expression: str) -> dict[str, Any]:
    return {"ignore_differences": [{"kind": "ConfigMap", "jq_path_expressions": [expression]}]}


def test_jq_beyond_the_path_language_is_evaluated_in_a_child(world: World) -> None:
    app = deployed(world, {"a.yaml": CONFIG % ("a", "blue")}, **ignoring(".data | to_entries | error"))
    assert app.sync_status == "Synced"
    other = ignoring('.data[("col" + "our")]')
    app.ignore_differences = [
        {"kind": "ConfigMap", "jqPathExpressions": other["ignore_differences"][0]["jq_path_expressions"]}
    ]
    app.save()
    world.kube.patch("v1", "ConfigMap", "a", {"data": {"colour": "green"}}, "shop")
    world.run(app)
    assert app.sync_status == "Synced"
    world.kube.patch("v1", "ConfigMap", "a", {"data": {"colour": "green", "more": "x"}}, "shop")
    world.commit(
        {"deploy/a.yaml": (CONFIG % ("a", "blue")).replace("{colour: blue}", "{colour: blue, more: y}")}
    )
    world.poll()
    world.run(app)
    assert app.sync_status == "OutOfSync"
    lines = ResourceStatus.objects.get(name="a").drift
    assert [(line["path"], bool(line["ignored_by"])) for line in lines] == [
        (".data.more", False),
        (".data.colour", True),
    ]


def test_a_slice_is_ignored_with_all_its_items(world: World) -> None:
    files = {
        "a.yaml": "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: shop}\n"
        "imagePullSecrets: [{name: one}, {name: two}]\n"
    }
    rules = [{"kind": "ServiceAccount", "jq_path_expressions": [".imagePullSecrets[1:]"]}]
    app = deployed(world, files, ignore_differences=rules)
    world.kube.patch(
        "v1", "ServiceAccount", "a", {"imagePullSecrets": [{"name": "one"}, {"name": "x"}]}, "shop"
    )
    world.run(app)
    assert app.sync_status == "Synced"


def test_e45_runaway_jq_is_killed(world: World) -> None:
    app = deployed(world, {"a.yaml": CONFIG % ("a", "blue"), "b.yaml": CONFIG % ("b", "blue")})
    app.ignore_differences = [{"kind": "ConfigMap", "jqPathExpressions": ["until(false; .)"]}]
    app.save()
    world.kube.patch("v1", "ConfigMap", "a", {"data": {"colour": "green"}}, "shop")
    began = time.monotonic()
    world.run(app)
    assert time.monotonic() - began < 10  # one kill, not one per object and side
    assert app.sync_status == "Unknown"
    conditions = [c["message"] for c in app.conditions if c["type"] == "ComparisonError"]
    assert any("'until(false; .)' of the application" in text and "killed" in text for text in conditions)
    app.ignore_differences = []
    app.save()
    world.run(app)
    assert app.sync_status == "OutOfSync"
    assert [line["path"] for line in ResourceStatus.objects.get(name="a").drift] == [".data.colour"]


def test_a_project_is_not_stored_with_a_health_rule_that_cannot_be_read(world: World) -> None:
    rules = {"health": {"Pod": [{"when": "true", "status": "Fine"}], "Job": "return nil"}}
    errors = fences.rule_errors({**world.project.rules, **rules})
    assert list(errors) == ["health.Pod"]
    assert "'Fine' is not a health status" in errors["health.Pod"][0]


def test_a_status_that_only_a_custom_rule_reads_asks_for_a_look(world: World) -> None:
    """The built-in rules have no opinion about this kind; the watch must not pass over its status."""
    world.project.rules = {
        **world.project.rules,
        "health": {"example.com_Oven": "return {status = obj.status.heat}"},
    }
    world.project.save()
    oven = {
        "apiVersion": "example.com/v1",
        "kind": "Oven",
        "metadata": {"name": "a"},
        "status": {"heat": "low"},
    }
    other = {**oven, "kind": "Pan"}
    health_rules.book_of(world.project)
    assert _fingerprint(oven) != _fingerprint({**oven, "status": {"heat": "high"}})
    assert _fingerprint(other) == _fingerprint({**other, "status": {"heat": "high"}})
