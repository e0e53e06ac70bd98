"""A cluster that is away, slow, refusing or lying (security-and-reliability.md H6 to H9; sync-semantics.md 7.3, 7.4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.core.plan.steps import Outcome, Step
from clusters.models import Cluster
from clusters.sandbox import Sandbox
from hub.core import gates
from hub.models import Application, Event
from hub.reconcile import operating
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, later, quick_gate

DEADLINE_S = 20.0


@pytest.fixture
def pair(world: World, tmp_path: Path) -> Iterator[tuple[Application, Application]]:
    """`web` on the cluster that gets the faults, `calm` on another one; both Synced and Healthy."""
    with Sandbox(port=0, ready_after=0.05) as other, quick_gate():
        kube = other.cluster("calm")
        Cluster.objects.create(name="calm", server=kube.server, token=kube.token)
        for cluster in (world.kube, kube):
            cluster.create(NAMESPACE)
        world.commit({"deploy/c.yaml": config("one") + config("two")})
        web = world.application("web", sync_policy=AUTOMATED)
        calm = world.application(
            "calm", sync_policy=AUTOMATED, destination={"cluster": "calm", "namespace": "shop"}
        )
        for app in (web, calm):
            world.run(app)
            assert (app.sync_status, app.health_status) == ("Synced", "Healthy")
        yield web, calm


def look(app: Application) -> Application:
    faults.one_pass(app)
    app.refresh_from_db()
    return app


TROUBLES: dict[str, tuple[str, dict[str, Any]]] = {
    "down": ("drop", {}),
    "slow": ("latency", {"seconds": 5.0}),
    "throttling": ("status", {"code": 429, "retry_after": 30}),
    "failing": ("status", {"code": 500}),
    "token expired": ("status", {"code": 401}),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_h6_only_the_applications_of_a_troubled_cluster_become_unknown_and_recover(
    world: World, pair: tuple[Application, Application], trouble: str
) -> None:
    web, calm = pair
    sort, values = TROUBLES[trouble]
    with quick_gate():
        for _ in range(2):
            # Twice: the second outage has its own grace, it does not inherit the start of the first.
            world.kube.faults.add(sort, **values)
            look(web)
            assert web.sync_status == "Synced", "within the grace of 30 s the last status is kept"
            assert faults.conditions(web, "ComparisonError")
            later(web, 31)
            assert look(web).sync_status == "Unknown"
            assert look(calm).sync_status == "Synced"
            assert not faults.conditions(calm)
            assert not web.operations.filter(phase__in=("Queued", "Running")).exists()
            world.kube.faults.clear()
            _forget_pauses()
            assert (look(web).sync_status, web.health_status) == ("Synced", "Healthy")
            assert not faults.conditions(web, "ComparisonError")
    assert faults.names(world) == ["one", "two"]
    assert web.operations.count() == 1


def _forget_pauses() -> None:
    """The breaker of the gate would ask a dead server only every 30 s: tests do not wait."""
    from clusters.kube import gate, loop

    async def work() -> None:
        for held in gate._gates.values():
            held.session.breaker.success()

    loop.run(work())


def test_h6_a_sync_waits_for_its_cluster_and_ends_when_it_stays_away(
    world: World, pair: tuple[Application, Application]
) -> None:
    web, _ = pair
    with quick_gate():
        world.kube.faults.add("drop")
        operation = world.sync(web)
        look(web)
        operation.refresh_from_db()
        assert operation.wait.get("code") == "problem"
        later(web, 700)
        look(web)
        operation.refresh_from_db()
        assert operation.phase == "Error"
        world.kube.faults.clear()
        _forget_pauses()
        assert look(web).sync_status == "Synced"


@pytest.mark.parametrize(
    "fault",
    [
        {"sort": "status", "code": 500, "verb": "list", "resource": "configmaps"},
        {"sort": "status", "code": 403, "verb": "list", "resource": "configmaps"},
        {"sort": "status", "code": 500, "verb": "list", "resource": "configmaps", "page": True},
    ],
    ids=["500", "403", "500 on page 2"],
)
def test_h6_a_failed_or_partial_list_never_prunes(world: World, fault: dict[str, Any]) -> None:
    """E29 with every sort of incomplete list; when it is whole again the extra goes."""
    world.kube.create(NAMESPACE)
    world.commit({f"deploy/{n}.yaml": config(f"c{n}") for n in range(5)})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    world.commit({"deploy/4.yaml": None})
    world.poll()
    with quick_gate(page=2):
        world.kube.faults.add(**fault)
        for _ in range(3):
            look(app)
        assert "c4" in faults.names(world)
        operation = world.sync(app, prune=True)
        for _ in range(6):
            look(app)
        operation.refresh_from_db()
        assert "c4" in faults.names(world), "a prune rests on a finished list alone"
        world.kube.faults.clear()
        world.run(app)
    if operation.phase not in {"Failed", "Error"} and "c4" in faults.names(world):
        later(app, 4000)
        world.run(app)
    assert faults.names(world) == ["c0", "c1", "c2", "c3"]
    assert app.sync_status == "Synced"


def test_e29_incomplete_list_prunes_nothing(world: World) -> None:
    """Automation: Unknown and no sync. By hand: PruneSkipped, no DELETE, other kinds as usual."""
    world.kube.create(NAMESPACE)
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: shop}\nstringData: {a: %s}\n"
    world.commit({"deploy/c.yaml": config("one"), "deploy/extra.yaml": config("extra")})
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    world.commit({"deploy/extra.yaml": None, "deploy/s.yaml": secret % "x"})
    world.poll()
    with quick_gate():
        world.kube.faults.add("status", code=500, verb="list", resource="configmaps")
        look(app)
        assert app.sync_status == "Unknown"
        assert app.operations.count() == 1
        assert any("incomplete" in text for text in faults.conditions(app, "ComparisonError"))
        operation = faults.ended(world, world.sync(app, prune=True))
        rows = {(row["kind"], row["name"]): row for row in operation.results}
        assert operation.phase == "Succeeded"
        assert rows["ConfigMap", "extra"]["code"] == "PruneSkipped"
        assert "listing of ConfigMap is incomplete" in rows["ConfigMap", "extra"]["message"]
        assert world.kube.get("v1", "Secret", "key", "shop") is not None
        assert faults.names(world) == ["extra", "one"]


def until(look: Callable[[], bool], what: str = "it") -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        threading.Event().wait(0.02)


def test_h7_a_watch_that_expires_or_drops_misses_no_drift(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """410, a cut connection, a lapsed history: what was edited meanwhile is healed."""
    # The pace of repeated heals is another test's subject.
    monkeypatch.setattr(gates, "HEAL_STEPS_S", (0.05,))
    monkeypatch.setattr(gates, "FIGHT_ROUNDS", 99)
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + config("two")})
    world.application(sync_policy=AUTOMATED)

    def value(name: str) -> str | None:
        found = world.kube.get("v1", "ConfigMap", name, "shop")
        return found["data"]["value"] if found else None

    with quick_gate(request=5.0, connect=5.0, watch_first_pause=0.05), faults.worker() as process:
        until(lambda: value("two") == "1")
        until(lambda: bool(process.watching._kinds) and process.watching.settled())
        edits: list[Callable[[], object]] = [
            lambda: world.kube.faults.add("cut_watch", verb="watch", seconds=0.05, times=6),
            lambda: world.kube.faults.add("expire", times=4),
            world.kube.expire,
            lambda: world.kube.faults.add("drop", verb="watch", times=4),
            lambda: world.kube.faults.add("status", verb="watch", code=410, times=4),
        ]
        for turn, trouble in enumerate(edits):
            trouble()
            _cut_watches(world)
            world.kube.patch("v1", "ConfigMap", "one", {"data": {"value": f"edit {turn}"}}, "shop")
            world.kube.delete("v1", "ConfigMap", "two", "shop")
            until(lambda: value("one") == "1" and value("two") == "1", str(turn))
            world.kube.faults.clear()
        until(lambda: Event.objects.filter(name="self-healed").count() >= len(edits), "every event")


def _cut_watches(world: World) -> None:
    """Every open watch ends at once, as when a load balancer restarts."""

    def cut(backend: Any) -> None:
        for table in backend.store.tables.values():
            for watcher in tuple(table.watchers):
                watcher.wake()

    world.kube.run(cut)


def test_h8_one_rejected_of_twenty_has_its_own_result(world: World) -> None:
    """Later waves are not started, nothing is pruned, a retry sends only what differs."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/extra.yaml": config("extra")})
    app = world.application()
    world.run(app)
    faults.ended(world, world.sync(app))
    first = {f"deploy/{n:02}.yaml": config(f"c{n:02}") for n in range(20)}
    world.commit({**first, "deploy/later.yaml": config("later", wave="1"), "deploy/extra.yaml": None})
    world.poll()
    world.kube.faults.add("deny", verb="create", name="^c07$", message="not today")
    operation = faults.ended(
        world, world.sync(app, prune=True, sync_options=["DryRun=local", "PruneLast=true"])
    )
    rows = {row["name"]: row for row in operation.results}
    assert operation.phase == "Failed"
    assert (rows["c07"]["state"], "not today" in rows["c07"]["message"]) == ("Failed", True)
    assert {rows[f"c{n:02}"]["state"] for n in range(20) if n != 7} == {"Succeeded"}
    assert "later" not in faults.names(world)
    assert "extra" in faults.names(world)
    world.kube.faults.clear()
    before = {name: _version(world, name) for name in faults.names(world)}
    sent: list[str] = []
    real = operating.carry_out

    def noted(connection: Any, step: Step) -> list[Outcome]:
        sent.extend(a.key.name for group in step.groups for a in group if not a.dry_run and a.verb == "apply")
        return real(connection, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operating, "carry_out", noted)
        again = faults.ended(world, world.sync(app, prune=True))
    assert again.phase == "Succeeded"
    assert sorted(set(sent)) == ["c07", "later"]
    assert "extra" not in faults.names(world)
    assert {name: _version(world, name) for name in before if name != "extra"} == {
        name: version for name, version in before.items() if name != "extra"
    }


def _version(world: World, name: str) -> str:
    found = world.kube.get("v1", "ConfigMap", name, "shop")
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def test_h9_an_answer_lost_after_an_apply_is_the_same_apply_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application()
    world.run(app)
    real, lost = operating.carry_out, []

    def loses_first(connection: Any, step: Step) -> list[Outcome]:
        outcomes = real(connection, step)
        if step.name == "apply" and not lost:
            lost.append(1)
            return [
                Outcome(o.action, ok=False, changed=False, code="unavailable", message="connection lost")
                for o in outcomes
            ]
        return outcomes

    seen = faults.writes(world)
    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", loses_first)
        operation = faults.ended(world, world.sync(app))
    assert (lost, operation.phase, operation.attempt) == ([1], "Succeeded", 1)
    assert [row["state"] for row in operation.results] == ["Succeeded"]
    assert [what for _, name, _, what in seen if name == "one"] == ["new"]
    world.run(app)
    assert app.sync_status == "Synced"
    assert app.operations.count() == 1
