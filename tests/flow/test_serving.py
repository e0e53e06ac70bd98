"""Which Repository serves a source, and what follows when that changes (sources.md 1, 2.6)."""

from __future__ import annotations

import pytest

from hub.models import Application, Project, Repository, SourceState
from hub.reconcile import reconcile
from hub.services import repositories
from tests import gitserver
from tests.flow.conftest import DANA, World
from tests.flow.faults import NAMESPACE, config
from tests.hub.factories import OPEN


@pytest.fixture
def web(world: World) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    return world.run(world.application())


def reasons(app: Application) -> set[str]:
    app.refresh_from_db()
    return {condition["code"] for condition in app.conditions}


def test_s22_a_repository_of_another_project_serves_nobody_here(world: World, web: Application) -> None:
    """Also when the binding was written by SQL; the mirror of the other Project stays as it is."""
    bank = Project.objects.create(name="bank", rules=OPEN)
    vault = gitserver.make_repo(world.folder, "vault.git")
    gitserver.commit(vault, {"deploy/c.yaml": config("secret")})
    theirs = repositories.create(DANA, {"url": f"file://{vault}", "project": "bank"})
    sources = [{"repoURL": theirs.url, "path": "deploy"}]
    Application.objects.filter(id=web.id).update(sources=sources)
    SourceState.objects.update(repository=theirs, wanted="")
    mirrors = sorted((world.folder / "mirrors").iterdir())
    reconcile(web.id)
    assert reasons(web) == {"SourceNotPermitted"}
    assert sorted((world.folder / "mirrors").iterdir()) == mirrors
    assert bank.repositories.get() == theirs
    assert web.manifest_digest, "the last good set stays"


def test_s22_a_repository_that_moves_to_another_project_stops_serving(world: World, web: Application) -> None:
    Project.objects.create(name="bank", rules=OPEN)
    world.repository.refresh_from_db()
    repositories.update(DANA, world.repository, {"project": "bank"})
    assert web.source_states.get().repository is None
    world.run(web, until=lambda app: bool(app.conditions))
    assert reasons(web) == {"SourceNotPermitted"}


def test_the_repository_of_the_own_project_goes_before_that_of_everybody(
    world: World, web: Application
) -> None:
    own = repositories.create(DANA, {"url": world.repository.url, "project": "shop"})
    assert web.source_states.get().repository == own
    world.run(web)
    assert web.sync_status == "OutOfSync"
    assert not web.conditions


def test_a_changed_address_serves_those_who_name_it_and_no_longer_the_others(
    world: World, web: Application
) -> None:
    other = gitserver.make_repo(world.folder, "other.git")
    sha = gitserver.commit(other, {"deploy/c.yaml": config("two")})
    new = world.application("new", sources=[{"repo_url": f"file://{other}", "path": "deploy"}])
    assert new.source_states.get().repository is None
    world.repository.refresh_from_db()
    repositories.update(DANA, world.repository, {"url": f"file://{other}"})
    assert web.source_states.get().repository is None
    assert new.source_states.get().repository == world.repository
    assert Repository.objects.get().refs == {}
    world.poll()
    world.run(new)
    assert new.revisions == [sha]
