"""What lies in a destination namespace and belongs to nobody (access-and-api.md 1.9)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from hub.models import Application, Event, Project, WorkerProcess
from hub.services import orphans
from hub.tasks import hints
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config


def looks_for_them(world: World, **more: Any) -> None:
    world.project.rules = {**world.project.rules, "orphans": {"enabled": True, "warn": True, **more}}
    world.project.save()


def left_behind(world: World, name: str, kind: str = "ConfigMap") -> None:
    world.kube.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}})


def deployed(world: World) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + faults.job("h", hook="PreSync")})
    app = world.run(world.application(sync_policy=AUTOMATED))
    assert app.sync_status == "Synced"
    return app


def found(app: Application) -> list[str]:
    app.refresh_from_db()
    return [name for _, _, _, name in app.orphans]


def test_orphans_are_told_once_and_stand_as_a_condition(world: World) -> None:
    """Not what is ignored, ours, a hook of ours, or brought forth by something."""
    app = deployed(world)
    looks_for_them(world, ignore=[{"kind": "Secret"}])
    left_behind(world, "old")
    left_behind(world, "ignored", "Secret")
    assert orphans.find(world.project.id) == [app.id]
    assert found(app) == ["old"]
    assert orphans.find(world.project.id) == []
    told = Event.objects.get(name="orphan-found")
    assert told.summary == "ConfigMap/shop/old in namespace shop belongs to no application"
    world.run(app)
    assert faults.conditions(app, "OrphanedResource") == ["ConfigMap/shop/old belongs to no application"]
    world.kube.delete("v1", "ConfigMap", "old", "shop")
    assert orphans.find(world.project.id) == [app.id]
    world.run(app)
    assert faults.conditions(app, "OrphanedResource") == []
    assert Event.objects.filter(name="orphan-found").count() == 1


def test_a_failed_list_neither_finds_orphans_nor_ends_them(world: World) -> None:
    app = deployed(world)
    looks_for_them(world)
    left_behind(world, "old")
    orphans.find(world.project.id)
    world.kube.faults.add("status", verb="list", resource="configmaps", code=403)
    left_behind(world, "newer")
    assert orphans.find(world.project.id) == []
    assert found(app) == ["old"]
    world.kube.faults.clear()
    orphans.find(world.project.id)
    assert found(app) == ["newer", "old"]


def test_without_warn_they_are_only_kept_and_without_enabled_not_looked_for(world: World) -> None:
    app = deployed(world)
    left_behind(world, "old")
    assert orphans.due() == []
    looks_for_them(world, warn=False)
    assert orphans.due() == [world.project.id]
    orphans.find(world.project.id)
    world.run(app)
    assert found(app) == ["old"]
    assert faults.conditions(app, "OrphanedResource") == []
    assert not Event.objects.filter(name="orphan-found").exists()


def test_the_tick_looks_for_them_every_ten_minutes(world: World, monkeypatch: Any) -> None:
    looks_for_them(world)
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(hints.nudges, "send", lambda name, ids: sent.append((name, ids)))
    hints.tick()
    hints.tick()
    wanted = ("hub.find_orphans", [str(world.project.id)])
    assert sent.count(wanted) == 1
    WorkerProcess.objects.filter(role="orphans").update(
        seen_at=timezone.now() - timezone.timedelta(minutes=11)  # type: ignore[attr-defined]
    )
    hints.tick()
    assert sent.count(wanted) == 2
    assert Project.objects.filter(id=world.project.id).exists()
