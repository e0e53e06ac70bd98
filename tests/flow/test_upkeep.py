"""What grows on a host is packed and removed: mirrors, rows, stored manifests (sources.md 1, 2.1, 6; H18)."""

from __future__ import annotations

import os
import time

import pytest

import hub.source as source
from hub.models import Application, Repository
from hub.services import mirrors, repositories
from hub.source import upkeep
from tests import gitserver
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import NAMESPACE, config
from tests.live.worldview import until


@pytest.fixture
def web(world: World) -> Application:
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one")})
    return world.run(world.application())


def mirror_of(world: World) -> source.Mirror:
    return source.ensure(world.repository.access(), [], root=world.folder / "mirrors")


def test_s15_a_deployed_commit_outlives_its_branch_in_the_mirror(world: World, web: Application) -> None:
    faults.ended(world, world.sync(web))
    web.refresh_from_db()
    old = web.synced_revisions[0]
    gitserver.git(world.repository_path, "update-ref", "-d", "refs/heads/main")
    new = world.commit({"deploy/c.yaml": config("two")}, message="another history")
    world.poll()
    world.run(web)
    mirrors.tend()
    mirror = mirror_of(world)
    kept = gitserver.git(mirror.folder, "for-each-ref", "--format=%(objectname)", "refs/hub/keep").split()
    assert sorted(kept) == sorted([old, new])
    assert mirror.packs() == 1


def test_the_mirror_of_a_repository_that_was_removed_leaves_the_disk(world: World, web: Application) -> None:
    other = gitserver.make_repo(world.folder, "other.git")
    gitserver.commit(other, {"deploy/c.yaml": config("two")})
    gone = repositories.create(DANA, {"url": f"file://{other}"})
    source.obtain(gone.access(), [source.Wanted("main")], root=world.folder / "mirrors")
    gone_id = str(gone.id)
    repositories.delete(DANA, Repository.objects.get(id=gone.id))
    assert gone_id in source.mirrors(world.folder / "mirrors")
    mirrors.tend()
    left = sorted(path.name for path in (world.folder / "mirrors").iterdir())
    mine = str(world.repository.id)
    assert left == sorted([f"{mine}.git", f"{mine}.lock", "tended"])


def test_one_mirror_that_cannot_be_tended_keeps_no_other_from_it(world: World, web: Application) -> None:
    theirs = world.folder / "mirrors" / "0-not-ours.git"
    theirs.mkdir()
    broken = repositories.create(DANA, {"url": f"file://{world.folder}/nowhere.git"})
    (world.folder / "mirrors" / f"{broken.id}.git").mkdir()
    for number in range(3):
        world.commit({"deploy/c.yaml": config("one", str(number))})
        world.poll()
    assert mirror_of(world).packs() > 1
    mirrors.tend()
    assert mirror_of(world).packs() == 1
    assert theirs.is_dir()


def test_a_worker_tends_the_mirrors_of_its_host_by_itself(world: World, web: Application) -> None:
    left = world.folder / "mirrors" / "x.git.0.old"
    left.mkdir()
    os.utime(left, (time.time() - 3600,) * 2)
    with faults.worker():
        assert until(lambda: not left.exists())
        assert until(lambda: not upkeep.is_night(world.folder / "mirrors"))
