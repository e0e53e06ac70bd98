"""Polls that are killed, cut off, doubled, refused, or in a hurry (sources.md 2.1, 2.6; security-and-reliability.md H)."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import hub.render as render
import hub.services.applications as applications
import hub.source as source
from hub.core.sources import RefTable, parse_sources
from hub.core.sources.backoff import back_off_key
from hub.errors import SourceError
from hub.models import Application, Repository, SourceState
from hub.reconcile import reconcile, sourcing
from hub.services import hints as repository_hints
from hub.services import leases, looks, polling, repositories
from hub.source import throttle
from hub.tasks import hints, runtime
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import NAMESPACE, Killed, config
from tests.live.worldview import until

Listing = Callable[..., RefTable]


@pytest.fixture
def web(world: World) -> Application:
    """An Application that has synced once."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    return world.run(world.application())


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses that were listed."""
    real, seen = source.poll, list[str]()

    def poll(access: Any, **more: Any) -> RefTable:
        seen.append(access.url)
        return real(access, **more)

    monkeypatch.setattr(source, "poll", poll)
    yield seen


def while_listing(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Run `action` once, after a listing was answered and before anything of it is stored."""
    real = source.poll

    def poll(access: Any, **more: Any) -> RefTable:
        table = real(access, **more)
        monkeypatch.setattr(source, "poll", real)
        action()
        return table

    monkeypatch.setattr(source, "poll", poll)


def lapse(world: World) -> None:
    Repository.objects.filter(id=world.repository.id).update(
        lease_until=Now() - timedelta(seconds=1), next_poll_at=Now()
    )


def wanted(app: Application) -> str:
    return app.source_states.get().wanted


def due(world: World) -> None:
    Repository.objects.filter(id=world.repository.id).update(next_poll_at=Now())


def test_h1_a_poll_that_is_killed_leaves_nothing_half_told(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = world.commit({"deploy/c.yaml": config("two")})

    def killed(*_: Any, **__: Any) -> list[uuid.UUID]:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(looks, "ask", killed)
        with pytest.raises(Killed):
            polling.poll(world.repository.id)
    lapse(world)
    assert polling.poll(world.repository.id) == [web.id]
    assert wanted(web) == sha


def test_h21_a_poll_that_was_cut_off_writes_nothing_over_a_newer_one(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.commit({"deploy/c.yaml": config("two")})
    newest: list[str] = []

    def overtaken() -> None:
        newest.append(world.commit({"deploy/c.yaml": config("three")}))
        lapse(world)
        assert polling.poll(world.repository.id) == [web.id]

    while_listing(monkeypatch, overtaken)
    assert polling.poll(world.repository.id) == []
    assert wanted(web) == newest[0]


def test_the_lease_of_a_long_poll_is_renewed(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[uuid.UUID]] = []

    def long() -> None:
        lapse(world)
        leases.keeper.renew_all()
        seen.append(polling.poll(world.repository.id))
        row = Repository.objects.annotate(now=Now()).get()
        assert row.lease_until is not None
        assert row.lease_until > row.now + timedelta(seconds=30)

    sha = world.commit({"deploy/c.yaml": config("two")})
    while_listing(monkeypatch, long)
    assert polling.poll(world.repository.id) == [web.id]
    assert seen == [[]]
    assert wanted(web) == sha
    assert Repository.objects.get().lease_until is None


def test_h3_a_doubled_message_lists_once(world: World, web: Application, listings: list[str]) -> None:
    due(world)
    for _ in range(3):
        hints.poll(str(world.repository.id))
    assert len(listings) == 1


def test_s30_a_hint_within_the_second_waits_for_its_end(
    world: World, web: Application, listings: list[str]
) -> None:
    due(world)
    hints.poll(str(world.repository.id))
    with faults.worker():
        for _ in range(20):
            for each in repository_hints.poll([world.repository.id]):
                hints.poll(str(each))
        row = Repository.objects.get()
        assert row.next_poll_at == row.checked_at + repository_hints.SPACING
        assert until(lambda: len(listings) == 2)
        assert until(lambda: Repository.objects.get().lease_until is None)
    assert len(listings) == 2


def test_a_commit_that_comes_while_an_older_one_is_rendered_is_not_lost(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.commit({"deploy/c.yaml": config("two")})
    world.poll()
    real, newest = render.render, list[str]()

    def rendering(*arguments: Any, **more: Any) -> Any:
        if not newest:
            newest.append(world.commit({"deploy/c.yaml": config("three")}))
            assert world.poll() == [web.id]
        return real(*arguments, **more)

    monkeypatch.setattr(sourcing.render, "render", rendering)
    reconcile(web.id)
    assert wanted(web) == newest[0]
    world.run(web)
    assert web.revisions == newest


def test_a_branch_that_goes_while_its_last_commit_is_rendered_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.commit({"deploy/c.yaml": config("one")})
    app = world.application(
        sources=[{"repo_url": world.repository.url, "path": "deploy", "target_revision": "side"}]
    )
    from tests import gitserver

    gitserver.git(world.repository_path, "branch", "side", "main")
    world.poll()
    real = render.render

    def rendering(*arguments: Any, **more: Any) -> Any:
        gitserver.delete_branch(world.repository_path, "side")
        world.poll()
        return real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(sourcing.render, "render", rendering)
        reconcile(app.id)
    assert app.source_states.get().error_code == "RevisionNotFound"


def test_a_new_application_begins_with_the_commit_of_the_last_listing(world: World, web: Application) -> None:
    new = world.application("new")
    assert wanted(new) == wanted(web) != ""
    assert new.source_states.get().ref_name == "refs/heads/main"


def test_who_took_its_commit_from_an_older_listing_is_brought_up_by_the_next_poll(
    world: World, web: Application
) -> None:
    old = wanted(web)
    world.commit({"deploy/c.yaml": config("two")})
    world.poll()
    newest = wanted(web)
    # Registered with the refs that were read right before that poll was stored.
    late = world.application("late")
    SourceState.objects.filter(application=late).update(wanted=old)
    world.poll()
    assert wanted(late) == newest != old


def test_an_edit_does_not_take_back_what_a_poll_found_meanwhile(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, found = applications.repository_for, list[str]()

    def serving(*arguments: Any, **more: Any) -> Repository | None:
        # A poll stores its commit between the edit's reading of the rows and its writing.
        SourceState.objects.update(wanted="f" * 40)
        found.append("once")
        return real(*arguments, **more)

    monkeypatch.setattr(applications, "repository_for", serving)
    document = applications.document(web) | {"labels": {"tier": "one"}}
    applications.update(DANA, web, document)
    assert found == ["once"]
    assert wanted(web) == "f" * 40


def test_an_application_whose_path_changed_meanwhile_is_not_taken_for_unaffected(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.commit({"other/c.yaml": config("two")})
    while_listing(monkeypatch, lambda: SourceState.objects.update(input_key="rendered from another path"))
    assert polling.poll(world.repository.id) == [web.id]


def test_s19_a_host_that_limits_gets_one_request_whatever_is_hinted(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def poll(access: Any, **_: Any) -> RefTable:
        asked.append(access.url)
        if "git.example.com" in access.url.lower():
            raise SourceError("RateLimited", "wait", permanent=False, retry_after=120)
        raise SourceError("RepositoryUnavailable", "refused", permanent=False)

    made = [repositories.create(DANA, {"url": f"https://git.example.com/shop/a{n}.git"}) for n in range(30)]
    made.append(repositories.create(DANA, {"url": "https://other.example.com/shop/a.git"}))
    Repository.objects.filter(id=made[0].id).update(url="https://GIT.example.com/shop/a0.git")
    monkeypatch.setattr(source, "poll", poll)
    ids = [row.id for row in made]
    for _ in range(3):
        Repository.objects.filter(id__in=ids).update(
            next_poll_at=timezone.now(), checked_at=timezone.now() - timedelta(hours=1)
        )
        for each in repository_hints.poll(ids):
            hints.poll(str(each))
    assert sum("git.example.com" in url.lower() for url in asked) == 1
    assert asked.count("https://other.example.com/shop/a.git") == 3
    assert not set(ids[:30]) & set(polling.due())
    assert ids[30] not in polling.due()


def test_a_changed_credential_is_tried_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repositories.create(DANA, {"url": "https://git.example.com/shop/a.git", "password": "wrong"})

    def refused(*_: Any, **__: Any) -> RefTable:
        raise SourceError("AuthenticationFailed", "401")

    monkeypatch.setattr(source, "poll", refused)
    polling.poll(made.id)
    repositories.poll_now(DANA, made)
    assert made.id not in polling.due()
    made.refresh_from_db()
    repositories.update(DANA, made, {"password": "right"})
    assert made.id in polling.due()


def test_a_busy_host_is_no_failure_of_the_repository(world: World, web: Application) -> None:
    access = world.repository.access()
    with throttle.one_request(access):
        lane = throttle._lanes[back_off_key("", access.credential_digest)]
        taken = 0
        while lane.slots.acquire(blocking=False):
            taken += 1
        assert polling.poll(world.repository.id) == []
        for _ in range(taken):
            lane.slots.release()
    row = Repository.objects.annotate(now=Now()).get()
    assert (row.state, row.error_code, row.failures, row.lease_until) == ("Connected", "", 0, None)
    assert row.next_poll_at <= row.now + timedelta(seconds=1)


def test_a_mistake_of_ours_in_a_poll_is_shown_and_backs_off(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> RefTable:
        raise RuntimeError("a mistake")

    with monkeypatch.context() as patch:
        patch.setattr(source, "poll", broken)
        with pytest.raises(RuntimeError):
            polling.poll(world.repository.id)
    row = Repository.objects.get()
    assert (row.state, row.error_code, row.lease_until) == ("Failed", "RepositoryUnavailable", None)
    assert row.id not in polling.due()
    world.poll()
    assert Repository.objects.get().state == "Connected"


def thousand(world: World) -> list[Application]:
    """1,000 Applications on one Repository, each with its own folder, all rendered at the newest commit."""
    names = [f"app{number:04}" for number in range(1000)]
    sha = world.commit({f"apps/{name}/f1.yaml": config(name) for name in names})
    apps = Application.objects.bulk_create(
        Application(
            name=name,
            project=world.project,
            cluster=world.cluster,
            destination_namespace="shop",
            sources=[{"repoURL": world.repository.url, "path": f"apps/{name}"}],
        )
        for name in names
    )
    SourceState.objects.bulk_create(SourceState(application=app, repository=world.repository) for app in apps)
    world.poll()
    mirror = source.ensure(world.repository.access(), [], root=world.folder / "mirrors")
    tree = mirror.tree(sha)
    states = list(SourceState.objects.select_related("application"))
    options = render.RenderOptions(b"k")
    for state in states:
        (entry,) = parse_sources({"sources": state.application.sources}, allow_file=True)
        done = render.render(
            tree,
            entry,
            application=render.ApplicationFacts(state.application.name),
            cluster=render.ClusterFacts(),
            options=options,
        )
        state.revision, state.inputs, state.input_key = sha, done.inputs.as_json(), done.inputs.key
    SourceState.objects.bulk_update(states, ["revision", "inputs", "input_key"], batch_size=200)
    Application.objects.update(next_look_at=timezone.now() + timedelta(hours=1), look_level=0)
    return apps


def writes(queries: CaptureQueriesContext, table: str) -> list[str]:
    return [query["sql"] for query in queries if query["sql"].startswith(f'UPDATE "{table}"')]


def test_s01_s02_s04_a_thousand_applications_cost_one_listing_and_those_that_moved(
    world: World, listings: list[str]
) -> None:
    thousand(world)
    listings.clear()
    with CaptureQueriesContext(connection) as idle:
        for _ in range(3):
            due(world)
            hints.tick()
            for each in polling.due():
                hints.poll(str(each))
    assert len(listings) == 3
    assert writes(idle, "hub_application") == writes(idle, "hub_sourcestate") == []

    sha = world.commit({"apps/app0500/f1.yaml": config("app0500", "2")})
    with CaptureQueriesContext(connection) as moved:
        asked = world.poll()
    assert [Application.objects.get(id=each).name for each in asked] == ["app0500"]
    assert SourceState.objects.filter(wanted=sha, revision=sha).count() == 999
    assert len(writes(moved, "hub_sourcestate")) == 2
    assert len(writes(moved, "hub_application")) == 1

    SourceState.objects.filter(application__name="app0500").delete()
    empty = world.commit({}, message="nothing")
    assert world.poll() == []
    assert SourceState.objects.filter(wanted=empty, revision=empty).count() == 999


def test_two_threads_that_poll_one_repository_list_once(
    world: World, web: Application, listings: list[str]
) -> None:
    due(world)
    together = threading.Barrier(4)

    def one() -> None:
        together.wait()
        hints.poll(str(world.repository.id))
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listings) == 1


def test_h14_a_worker_that_ends_calls_off_a_poll_that_hangs_and_leaves_it_to_others(
    world: World, web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "PATIENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/shop/a.git"
        made = repositories.create(DANA, {"url": address})
        with faults.worker():
            hints.poll(str(made.id))
            connected = silent.accept()[0]
            # The answer never comes; the end of the worker does not wait for it.
        connected.close()
        made.refresh_from_db()
        assert (made.state, made.error_code, made.failures, made.lease_until) == ("Unknown", "", 0, None)
        assert made.id in polling.due() or polling.soon(made.id, timedelta(seconds=2))
