"""The watches of a worker: another address, an unreadable credential, operations that end elsewhere (house.md 4.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from clusters.models import Cluster
from clusters.services import live_state, set_listener, unwatch_cluster, watched
from hub.models import Application, ResourceStatus, WorkerProcess
from hub.reconcile.frame import connection_of
from hub.services import clusters, leases, looks
from hub.services.events import hub_id
from hub.tasks import watching
from hub.tasks.process import Process
from hub.tasks.runtime import Runtime
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config
from tests.live.worldview import until

MAPS = {("", "ConfigMap")}


@pytest.fixture
def web(world: World) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    return world.run(world.application(sync_policy=AUTOMATED))


@pytest.fixture
def watches(world: World) -> Any:
    """The watches of a process without its threads; `tend` is called by the test."""
    runtime = Runtime(lambda _: None, threads=1)
    made = watching.Watching(runtime)
    for number in range(16):
        watching.Shard.objects.get_or_create(number=number)
    yield made
    made.stop()
    set_listener(None)
    runtime.stop()
    unwatch_cluster(str(world.cluster.id))


def move(world: World, name: str) -> Any:
    """The Cluster gets the address of another one."""
    other = world.sandbox.cluster(name)
    other.create(NAMESPACE)
    clusters.update(DANA, world.cluster, {"server": other.server, "token": other.token})
    world.cluster.refresh_from_db()
    return other


def test_another_address_of_a_cluster_is_watched_and_deployed_to(world: World, web: Application) -> None:
    with faults.worker():
        assert until(lambda: watched(str(world.cluster.id)))
        other = move(world, "moved")
        assert until(lambda: other.get("v1", "ConfigMap", "one", "shop") is not None)
        assert until(lambda: Application.objects.get(id=web.id).sync_status == "Synced")
        # And it is watched: an edit there is healed.
        other.delete("v1", "ConfigMap", "one", "shop")
        assert until(lambda: other.get("v1", "ConfigMap", "one", "shop") is not None)


def test_h6_what_was_seen_at_the_old_address_proves_nothing_about_the_new_one(
    world: World, web: Application, watches: Any
) -> None:
    watches.tend()
    assert until(watches.settled)
    move(world, "moved")
    seen = live_state(connection_of(world.cluster), hub_id=hub_id(), kinds=MAPS, keys=(), owner="web")
    assert not seen.watched
    assert not seen.objects


def test_a_cluster_whose_credential_cannot_be_read_keeps_no_other_from_being_watched(
    world: World, web: Application, watches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Cluster.objects.create(name="a-bad-one", server="https://127.0.0.1:1")
    other = world.application("other")
    Application.objects.filter(id=other.id).update(cluster=bad)
    ResourceStatus.objects.create(application_id=other.id, kind="ConfigMap", namespace="shop", name="x")

    def connection(cluster: Cluster) -> Any:
        if cluster.id == bad.id:
            raise ValueError("the key that encrypted it is gone")
        return connection_of(cluster)

    monkeypatch.setattr(watching, "connection_of", connection)
    watches.tend()
    assert until(lambda: watched(str(world.cluster.id)))


def test_an_operation_that_ended_elsewhere_makes_no_event_a_hint(
    world: World, web: Application, watches: Any
) -> None:
    Application.objects.filter(id=web.id).update(operation_phase="Running")
    watches.tend()
    assert web.id in watches._restless
    Application.objects.filter(id=web.id).update(operation_phase="Succeeded")
    watches.tend()
    assert web.id in watches._restless, "a pass here may just have begun one"
    watches.tend()
    assert web.id not in watches._restless


def test_h18_a_cluster_that_another_process_has_leaves_nothing_in_memory(
    world: World, web: Application, watches: Any
) -> None:
    watches.tend()
    assert until(watches.settled)
    world.kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "one", "namespace": "shop"},
            "data": {"x": "1"},
        }
    )
    assert until(lambda: bool(watches._known))
    Cluster.objects.update(paused=True)
    watches.tend()
    assert watches._known == {}
    assert not watched(str(world.cluster.id))


def test_h14_the_share_of_a_worker_that_ended_is_taken_at_the_next_round(
    world: World, web: Application, watches: Any
) -> None:
    gone = WorkerProcess.objects.create(id="worker@elsewhere:1", role="worker", seen_at=timezone.now())
    WorkerProcess.objects.create(
        id=f"worker@{watching.process_name()}", role="worker", seen_at=timezone.now()
    )
    watches.tend()
    assert len(watches._shards) == 8
    gone.delete()
    watches.tend()
    assert len(watches._shards) == 16


def due_now(app: Application, level: int = 0) -> None:
    Application.objects.filter(id=app.id).update(next_look_at=Now(), look_level=level, lease_until=None)


def owned_by(world: World, owner: str, seconds: int) -> None:
    watching.Shard.objects.update_or_create(
        number=world.cluster.shard,
        defaults={"owner": owner, "lease_until": timezone.now() + timedelta(seconds=seconds)},
    )


def test_regular_looks_are_left_to_the_process_that_watches_the_cluster(
    world: World, web: Application
) -> None:
    due_now(web)
    assert looks.due(10) == [web.id]
    owned_by(world, "elsewhere:1", 30)
    assert (looks.due(10), looks.due_here(10)) == ([], [])
    owned_by(world, leases.process_name(), 30)
    assert (looks.due(10), looks.due_here(10)) == ([web.id], [web.id])


def test_h21_they_are_everybodys_as_soon_as_that_process_is_gone_or_somebody_asks(
    world: World, web: Application
) -> None:
    due_now(web)
    owned_by(world, "elsewhere:1", -1)
    assert looks.due(10) == [web.id]
    owned_by(world, "elsewhere:1", 30)
    assert looks.due(10) == []
    due_now(web, level=2)
    assert looks.due(10) == [web.id]


def test_the_process_that_watches_a_cluster_settles_its_regular_looks_without_a_tick(
    world: World, web: Application
) -> None:
    with faults.worker():
        assert until(lambda: watched(str(world.cluster.id)))
    world.run(web)
    Application.objects.filter(id=web.id).update(next_look_at=Now() - timedelta(minutes=5), look_level=0)
    with Process(tick=False, threads=2):
        assert until(
            lambda: (Application.objects.get(id=web.id).next_look_at or timezone.now()) > timezone.now()
        )
