"""Killed workers, doubled messages, lost leases (security-and-reliability.md H1 to H3, H21)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict

import pytest
from django.db import close_old_connections

from clusters.services import carry_out
from hub.models import Application, Event, ResourceStatus, SyncOperation
from hub.reconcile import PassResult, operating, reconcile
from hub.reconcile.frame import Frame
from hub.reconcile.work import Work
from hub.services import leases
from tests.flow import faults
from tests.flow.conftest import World
from tests.flow.faults import AUTOMATED, NAMESPACE, Killed, config, job, killing, lapse, one_pass

KILL_POINTS = 50


def three_waves(prefix: str) -> str:
    """A PreSync Job, three waves of two objects, a PostSync Job."""
    waves = [config(f"{prefix}-w{n}-{side}", wave=str(n)) for n in range(3) for side in "ab"]
    return job(f"{prefix}-before", hook="PreSync") + "".join(waves) + job(f"{prefix}-after", hook="PostSync")


def converge(world: World, app: Application, operation: SyncOperation) -> None:
    """Passes until the operation has ended; it must have succeeded with everything in place."""
    lapse(app)
    faults.ended(world, operation)
    assert operation.phase == "Succeeded", operation.message
    world.run(app)
    assert (app.sync_status, app.operation_phase) == ("Synced", "Succeeded")


def test_h1_fifty_random_kill_points_fifty_converge(
    world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(2**32)
    print(f"kill points of seed {seed}")
    dice = random.Random(seed)
    world.kube.create(NAMESPACE)
    count = KILL_POINTS // 2
    world.commit({f"app{n}/all.yaml": three_waves(f"a{n}") for n in range(count)})
    apps = [world.application(f"app{n}", path=f"app{n}") for n in range(count)]
    for app in apps:
        world.run(app)
    seen = faults.writes(world)
    killed = 0
    for app in apps:
        operation = world.sync(app)
        for at in (dice.randrange(1, 60), dice.randrange(1, 60)):
            with killing(monkeypatch, at):
                try:
                    for _ in range(200):
                        one_pass(app)
                        operation.refresh_from_db()
                        if operation.phase == "Succeeded":
                            break
                except Killed:
                    killed += 1
            lapse(app)
        converge(world, app, operation)
    assert killed >= KILL_POINTS * 0.7, "most points lie inside the operation"
    jobs = Counter(name for resource, name, _, what in seen if resource == "jobs" and what == "new")
    assert set(jobs.values()) == {1}, f"seed {seed}: a hook ran twice: {jobs}"
    assert len(jobs) == count * 2
    changed = [name for resource, name, _, what in seen if resource == "configmaps" and what == "changed"]
    assert changed == [], f"seed {seed}: a second apply changed something"
    # Whatever was killed, each resource has its Baseline: drift, deletion and removed fields are seen.
    assert not ResourceStatus.objects.filter(baseline=None).exists(), f"seed {seed}"


def test_e58_killed_worker_resumes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in wave 2 of 3 after the hook: the same operation goes on at wave 2, the hook's uid is unchanged."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/all.yaml": three_waves("x")})
    app = world.application()
    world.run(app)
    operation = world.sync(app)
    real = carry_out

    def dies_in_wave_two(connection: object, step: object) -> object:
        keys = repr([action.key for group in step.groups for action in group])  # type: ignore[attr-defined]
        if "w1-a" in keys and step.name == "apply":  # type: ignore[attr-defined]
            raise Killed
        return real(connection, step)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", dies_in_wave_two)
        with pytest.raises(Killed):
            faults.ended(world, operation)
    hook = world.kube.get("batch/v1", "Job", "x-before", "shop")
    first = world.kube.get("v1", "ConfigMap", "x-w0-a", "shop")
    assert hook is not None
    assert first is not None
    assert world.kube.get("v1", "ConfigMap", "x-w1-a", "shop") is None
    assert reconcile(app.id) == PassResult(), "nobody may take over before the lease has lapsed"
    lapse(app)
    faults.ended(world, operation)
    assert operation.phase == "Succeeded"
    assert app.operations.count() == 1
    again = world.kube.get("batch/v1", "Job", "x-before", "shop")
    assert again is not None
    assert again["metadata"]["uid"] == hook["metadata"]["uid"]
    untouched = world.kube.get("v1", "ConfigMap", "x-w0-a", "shop")
    assert untouched is not None
    assert untouched["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_h2_three_lost_passes_end_the_operation_and_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"bad/c.yaml": config("bad"), "good/c.yaml": config("good")})
    bad, good = world.application("bad", path="bad"), world.application("good", path="good")
    world.run(bad)
    world.run(good)
    operation = world.sync(bad)

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", dies)
        for _ in range(3):
            with pytest.raises(Killed):
                one_pass(bad)
            lapse(bad)
        one_pass(bad)
    operation.refresh_from_db()
    bad.refresh_from_db()
    assert operation.phase == "Failed"
    assert operation.message.startswith("worker lost")
    assert bad.operation_phase == "Failed"
    assert "SyncError" in {c["type"] for c in bad.conditions}
    assert Event.objects.filter(name="sync-failed", application=bad.id).count() == 1
    assert bad.next_look_at is not None
    faults.ended(world, world.sync(good))
    assert world.kube.get("v1", "ConfigMap", "good", "shop") is not None


def test_h2_passes_that_die_before_any_operation_back_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A render that kills its worker is tried again later and later, and a condition says so."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application()
    world.run(app)
    from hub import render

    def dies(*_: object, **__: object) -> None:
        raise Killed

    world.commit({"deploy/c.yaml": config("one", "2")})
    world.poll()
    with monkeypatch.context() as patch:
        patch.setattr(render, "render", dies)
        for _ in range(3):
            with pytest.raises(Killed):
                one_pass(app)
            lapse(app)
        result = reconcile(app.id)
        assert result.again_in_s is not None
        assert result.again_in_s > 60
        assert "worker_lost" in faults.codes(app)
        with pytest.raises(Killed):
            one_pass(app)
        lapse(app)
        assert (reconcile(app.id).again_in_s or 0) > 60, "one attempt, then it backs off again"
    world.run(app)
    assert "worker_lost" not in faults.codes(app)
    assert app.sync_status == "OutOfSync"


def test_h2_an_operation_whose_passes_die_while_rendering_fails_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application()
    world.run(app)
    world.commit({"deploy/c.yaml": config("one", "2")})
    world.poll()
    operation = world.sync(app)
    from hub import render

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(render, "render", dies)
        for _ in range(3):
            with pytest.raises(Killed):
                one_pass(app)
            lapse(app)
        one_pass(app)
    operation.refresh_from_db()
    assert (operation.phase, operation.message[:11]) == ("Failed", "worker lost")


def test_h3_one_message_ten_times_at_once_is_one_execution(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": three_waves("x")})
    app = world.application()
    world.run(app)
    operation = world.sync(app)
    seen = faults.writes(world)
    running: Counter[str] = Counter()
    most: dict[str, int] = defaultdict(int)
    real, lock = operating.carry_out, threading.Lock()

    def watched(connection: object, step: object) -> object:
        with lock:
            running["n"] += 1
            most["n"] = max(most["n"], running["n"])
        try:
            return real(connection, step)  # type: ignore[arg-type]
        finally:
            with lock:
                running["n"] -= 1

    errors: list[BaseException] = []
    gate = threading.Barrier(10)

    def message() -> None:
        try:
            gate.wait(10)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                reconcile(app.id)
                if not SyncOperation.objects.filter(
                    id=operation.id, phase__in=("Queued", "Running")
                ).exists():
                    return
                threading.Event().wait(0.02)
        except BaseException as error:
            errors.append(error)
        finally:
            close_old_connections()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operating, "carry_out", watched)
        threads = [threading.Thread(target=message) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert errors == []
    operation.refresh_from_db()
    assert operation.phase == "Succeeded"
    assert most["n"] == 1, "two applies at once on one Application"
    made = Counter(name for _, name, _, what in seen if what == "new" and name.startswith("x-"))
    assert set(made.values()) <= {1, 2}
    assert made["x-before"] == made["x-after"] == 1
    assert not [name for kind, name, _, what in seen if kind == "configmaps" and what == "changed"]


def test_h3_an_old_fencing_token_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that slept through its lease finds every write refused: no Step, no status, no event."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": three_waves("x")})
    app = world.application()
    world.run(app)
    operation = world.sync(app)
    stolen: list[int] = []
    real = operating._store

    def stolen_before(frame: Frame, work: Work) -> None:
        if not stolen:
            stolen.append(1)
            Application.objects.filter(id=app.id).update(fence=app.fence + 100, lease_owner="somebody else")
        real(frame, work)

    with monkeypatch.context() as patch:
        patch.setattr(operating, "_store", stolen_before)
        before = Event.objects.count()
        assert reconcile(app.id).phase == ""
    operation.refresh_from_db()
    app.refresh_from_db()
    assert operation.phase == "Queued"
    assert faults.names(world) == []
    assert Event.objects.count() == before
    assert app.lease_owner == "somebody else"
    lapse(app)
    faults.ended(world, operation)
    assert operation.phase == "Succeeded"


def test_h21_no_write_starts_with_less_lease_left_than_a_request_may_take(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off from the database the keeper cannot renew: after 30 s nothing more is started."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application()
    world.run(app)
    lease = leases.claim(app.id)
    assert lease is not None
    lease.check()

    def away(*_: object) -> None:
        raise OSError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(leases.keeper, "renew", away)
        leases.keeper.renew_all()
        lease.check()
        now = time.monotonic()
        patch.setattr(time, "monotonic", lambda: now + 31)
        with pytest.raises(leases.LeaseLost):
            lease.check()
    leases.keeper.renew_all()
    lease.check()
    leases.release(lease)


def test_a_pass_that_cannot_even_begin_gives_the_lease_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that cannot be decrypted any more: a condition, and nobody holds the row for ever."""
    from hub.reconcile import frame as frames

    world.commit({"deploy/c.yaml": config("one")})
    app = world.application()

    def unreadable(*_: object) -> None:
        raise ValueError("no key opens this")

    with monkeypatch.context() as patch:
        patch.setattr(frames, "connection_of", unreadable)
        with pytest.raises(ValueError, match="no key"):
            reconcile(app.id)
    app.refresh_from_db()
    assert app.lease_until is None
    assert app.id not in leases.keeper._held
    assert "internal" in faults.codes(app)


@pytest.mark.parametrize("trouble", [leases.LeaseLost("slow"), ValueError("a bug")], ids=["lease", "error"])
def test_h1_a_pass_that_ends_early_leaves_its_operation_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """It began by itself, was stored, and only the Application's row did not know of it yet."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application(sync_policy=AUTOMATED)
    real = operating.carry_out

    def ends(connection: object, step: object) -> object:
        real(connection, step)  # type: ignore[arg-type]
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", ends)
        for _ in range(3):
            try:
                one_pass(app)
            except ValueError:
                break
            if app.operations.exists():
                break
    assert app.operations.get().phase == "Running"
    world.run(app)
    assert (app.sync_status, app.operations.get().phase) == ("Synced", "Succeeded")
