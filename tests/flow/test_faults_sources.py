"""Repositories that vanish, move, empty or attack (security-and-reliability.md H10, D2, D4 to D6; sources.md S15 to S18)."""

from __future__ import annotations

import fcntl
import shutil
import zlib

import pytest

import hub.source as source
from hub.models import Application, ManifestSet, SourceState
from hub.reconcile import operating, reconcile
from hub.services import repositories
from tests import gitserver
from tests.flow import faults
from tests.flow.conftest import DANA, World
from tests.flow.faults import AUTOMATED, NAMESPACE, config, later


@pytest.fixture
def web(world: World) -> Application:
    """An automated application, Synced, with two objects."""
    world.kube.create(NAMESPACE)
    world.commit(
        {"deploy/c.yaml": config("one"), "deploy/d.yaml": config("two"), "other/e.yaml": config("e")}
    )
    app = world.application(sync_policy=AUTOMATED)
    world.run(app)
    assert (app.sync_status, faults.names(world)) == ("Synced", ["one", "two"])
    return app


def look(world: World, app: Application) -> Application:
    world.poll()
    for _ in range(3):
        faults.one_pass(app)
    app.refresh_from_db()
    return app


def test_e59_transient_git_error_keeps_status(world: World, web: Application) -> None:
    """The host is away: status kept; after 180 s Unknown; no sync, no prune; back as soon as it answers."""
    away = world.repository_path.with_suffix(".away")
    for _ in range(2):
        world.repository_path.rename(away)
        look(world, web)
        assert web.sync_status == "Synced"
        assert "SourceWarning" in {c["type"] for c in web.conditions}
        later(web, 200)
        SourceState.objects.filter(application=web).exclude(error_since=None).update(error_since=None)
        look(world, web)
        assert web.sync_status == "Unknown"
        assert faults.conditions(web, "ComparisonError")
        away.rename(world.repository_path)
        look(world, web)
        assert web.sync_status == "Synced"
        assert web.conditions == []
    assert web.operations.count() == 1
    assert faults.names(world) == ["one", "two"]


def test_h10_a_repository_that_is_gone_for_good_keeps_what_runs(world: World, web: Application) -> None:
    shutil.rmtree(world.repository_path)
    look(world, web)
    later(web, 4000)
    look(world, web)
    assert web.sync_status == "Unknown"
    assert faults.names(world) == ["one", "two"]
    # Even a manual sync with prune must not take an error for an empty set.
    operation = world.sync(web, prune=True)
    look(world, web)
    later(web, 4000)
    look(world, web)
    operation.refresh_from_db()
    assert operation.phase == "Error", (operation.phase, operation.message)
    assert faults.names(world) == ["one", "two"]


def test_s16_a_deleted_branch_prunes_nothing(world: World) -> None:
    world.kube.create(NAMESPACE)
    gitserver.commit(world.repository_path, {"deploy/c.yaml": config("one")}, branch="stable")
    world.commit({"README": "main"})
    source = {"repo_url": world.repository.url, "path": "deploy", "target_revision": "stable"}
    app = world.application("web", sources=[source], sync_policy=AUTOMATED)
    world.run(app)
    assert app.sync_status == "Synced"
    gitserver.delete_branch(world.repository_path, "stable")
    look(world, app)
    assert "RevisionNotFound" in faults.codes(app)
    assert app.sync_status == "Unknown"
    assert faults.names(world) == ["one"]
    assert app.manifest_digest != ""
    gitserver.commit(world.repository_path, {"deploy/c.yaml": config("one", "2")}, branch="stable")
    look(world, app)
    world.run(app)
    assert (app.sync_status, faults.conditions(app)) == ("Synced", [])


def test_s17_a_removed_path_is_an_error_and_prunes_nothing(world: World, web: Application) -> None:
    world.commit({"deploy/c.yaml": None, "deploy/d.yaml": None})
    look(world, web)
    assert "PathNotFound" in faults.codes(web)
    assert web.sync_status == "Unknown"
    assert faults.names(world) == ["one", "two"]
    operation = world.sync(web, prune=True)
    look(world, web)
    later(web, 4000)
    look(world, web)
    operation.refresh_from_db()
    assert operation.phase == "Error", (operation.phase, operation.message)
    assert faults.names(world) == ["one", "two"]
    world.commit({"deploy/c.yaml": config("one", "2")})
    look(world, web)
    world.run(web)
    assert (web.sync_status, faults.names(world)) == ("Synced", ["one"])


def test_e30_empty_render_does_not_wipe(world: World, web: Application) -> None:
    world.commit({"deploy/c.yaml": None, "deploy/d.yaml": None, "deploy/README.md": "empty\n"})
    look(world, web)
    world.run(web)
    assert web.gate["reason"] == "auto-sync would delete all resources"
    assert faults.names(world) == ["one", "two"]
    Application.objects.filter(id=web.id).update(
        sync_policy={"automated": {"prune": True, "self_heal": True, "allow_empty": True}}
    )
    world.run(web)
    assert faults.names(world) == []
    assert web.sync_status == "Synced"


def test_h10_a_lost_render_is_no_empty_render(world: World, web: Application) -> None:
    """The kept manifests vanish from the database: they are rendered again, never taken for nothing."""
    Application.objects.filter(id=web.id).update(
        sync_policy={"automated": {"prune": True, "self_heal": True, "allow_empty": True}}
    )
    faults.forget_sets()
    operation = world.sync(web, prune=True)
    look(world, web)
    assert faults.names(world) == ["one", "two"]
    faults.ended(world, operation)
    world.run(web)
    assert faults.names(world) == ["one", "two"]
    assert (operation.phase, web.sync_status) == ("Succeeded", "Synced")


def test_h10_one_lost_source_of_two_is_rendered_again(world: World) -> None:
    world.kube.create(NAMESPACE)
    world.commit({"one/c.yaml": config("one"), "two/c.yaml": config("two")})
    sources = [{"repo_url": world.repository.url, "path": path} for path in ("one", "two")]
    app = world.run(world.application(sources=sources, sync_policy=AUTOMATED))
    assert faults.names(world) == ["one", "two"]
    faults.forget_sets()
    look(world, app)
    assert faults.codes(app) == set()
    assert app.sync_status == "Synced"
    kept = set(ManifestSet.objects.values_list("digest", flat=True))
    states = SourceState.objects.filter(application=app).values_list("manifest_digest", flat=True)
    assert kept == {*states, app.manifest_digest}


def test_a_pass_does_not_wait_for_the_fetch_of_another(world: World, web: Application) -> None:
    """It ends at once, says so, and looks again soon; the fetch was of another process of this host."""
    world.commit({"deploy/c.yaml": config("three")})
    world.poll()
    mirror = world.folder / "mirrors" / f"{world.repository.id}.git"
    source.close_all()
    shutil.rmtree(mirror)
    with mirror.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = reconcile(web.id)
        assert result.again_in_s is not None
        assert result.again_in_s <= 2
        assert faults.codes(web) == {"RepositoryUnavailable"}
        assert web.sync_status == "Synced", "the status is kept for a while"
    world.run(web)
    assert faults.codes(web) == set()


def test_a_commit_that_cannot_be_fetched_is_tried_again_on_the_ladder(world: World, web: Application) -> None:
    world.commit({"deploy/c.yaml": config("three")})
    world.poll()
    source.close_all()
    shutil.rmtree(world.folder / "mirrors" / f"{world.repository.id}.git")
    away = world.repository_path.rename(world.folder / "away.git")
    waits = [round(reconcile(web.id).again_in_s or 0) for _ in range(3)]
    assert waits[:2] == [30, 120]
    assert waits[2] <= 200, "the kept status ends before the next step"
    away.rename(world.repository_path)
    world.run(web)
    assert "source_tries" not in web.memory


def test_h10_a_lost_render_and_a_lost_repository_prune_nothing(world: World, web: Application) -> None:
    Application.objects.filter(id=web.id).update(
        sync_policy={"automated": {"prune": True, "self_heal": True, "allow_empty": True}}
    )
    faults.forget_sets()
    shutil.rmtree(world.repository_path)
    shutil.rmtree(world.folder / "mirrors", ignore_errors=True)
    operation = world.sync(web, prune=True)
    look(world, web)
    later(web, 4000)
    look(world, web)
    operation.refresh_from_db()
    assert faults.names(world) == ["one", "two"]
    assert (operation.phase, web.sync_status) == ("Error", "Unknown")


def test_s15_force_push_between_plan_and_apply(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was planned is applied, although its commit is no longer on any branch; the next pass plans the new one."""
    world.kube.create(NAMESPACE)
    world.commit({"deploy/c.yaml": config("one") + config("two", wave="1") + config("three", wave="2")})
    app = world.application()
    world.run(app)
    operation = world.sync(app)
    planned, real = list(app.revisions), operating.carry_out

    def pushes(connection: object, step: object) -> object:
        if not pushed:
            sha = gitserver.commit(
                world.repository_path, {"deploy/new.yaml": config("new", "9")}, parent="", message="forced"
            )
            pushed.append(sha)
            gitserver.git(world.repository_path, "reflog", "expire", "--expire=all", "--all")
            gitserver.git(world.repository_path, "gc", "--quiet", "--prune=now")
            world.poll()
        return real(connection, step)  # type: ignore[arg-type]

    pushed: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(operating, "carry_out", pushes)
        faults.ended(world, operation)
    assert (operation.phase, operation.revisions) == ("Succeeded", planned)
    assert faults.names(world) == ["one", "three", "two"]
    world.run(app)
    assert (app.sync_status, app.revisions) == ("OutOfSync", pushed)
    faults.ended(world, world.sync(app, prune=True))
    assert faults.names(world) == ["new"]


def test_s18_a_repository_without_commits_is_no_exception(world: World) -> None:
    empty = gitserver.make_repo(world.folder, "empty.git")
    repositories.create(DANA, {"url": f"file://{empty}"})
    app = world.application("hollow", sources=[{"repo_url": f"file://{empty}", "path": "."}])
    world.run(app, until=lambda found: "EmptyRepository" in faults.codes(found), passes=10)
    assert app.sync_status == "Unknown"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
ATTACKS: dict[str, dict[str, gitserver.Content]] = {
    "aliases": {"f.yaml": HEAD + BOMB},
    "deep flow": {"f.yaml": HEAD + "data: " + "[" * 100_000},
    "deep mapping": {"f.yaml": HEAD + "data: " + "{a: " * 100_000},
    "deep block": {"f.yaml": HEAD + "data:\n" + "".join("  " * n + "- a:\n" for n in range(1, 300))},
    "deep json": {
        "f.json": '{"apiVersion": "v1", "kind": "ConfigMap", "data":' + '{"a":' * 100_000 + "}" * 100_001
    },
    "tags": {"f.yaml": HEAD + "data: !!python/object/apply:os.system ['true']\n"},
    "duplicate keys": {"f.yaml": HEAD + "kind: Secret\n"},
    "many documents": {"f.yaml": f"---\n{HEAD}" * 6_000},
    "a list as object": {"f.yaml": HEAD + "---\n- apiVersion: v1\n  kind: ConfigMap\n"},
    "not text": {"f.yaml": HEAD.encode() + b"data: \xff\xfe\x00\x01\x80"},
    "control characters": {"f.yaml": HEAD + "data: {a: \x07}\n"},
    "a link outside": {"f.yaml": gitserver.Link("../../../../etc/passwd")},
    "an absolute link": {"f.yaml": gitserver.Link("/etc/passwd")},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_d6_hostile_manifests_stop_their_application_alone(world: World, attack: str) -> None:
    """A condition that names the file; nothing applied; the neighbour in the same repository goes on."""
    world.kube.create(NAMESPACE)
    hostile: dict[str, gitserver.Content] = {
        f"bad/{name}": content for name, content in ATTACKS[attack].items()
    }
    gitserver.commit(
        world.repository_path, {**hostile, "bad/ok.yaml": config("bad"), "good/c.yaml": config("ok")}
    )
    bad, good = (
        world.application("bad", path="bad"),
        world.application("good", path="good", sync_policy=AUTOMATED),
    )
    look(world, bad)
    world.run(good)
    assert faults.conditions(bad), "a condition says why"
    assert "internal" not in faults.codes(bad), bad.conditions
    assert bad.sync_status in {"Unknown", "OutOfSync"}
    assert (good.sync_status, faults.names(world)) == ("Synced", ["ok"])
    assert "root:" not in str(bad.conditions)


def test_d4_a_file_of_50_mb_is_refused(world: World) -> None:
    world.commit({"bad/big.yaml": "a: " + "x" * 50_000_000 + "\n"})
    app = world.application("bad", path="bad")
    look(world, app)
    assert app.sync_status == "Unknown"
    assert faults.codes(app) & {"TooLarge", "SourceTooLarge", "LimitExceeded"}, app.conditions


def test_d5_a_tree_that_unfolds_to_millions_of_paths_is_refused(world: World) -> None:
    """Ten levels of ten times the same tree: 10^10 paths in a few hundred bytes; only the named path is listed."""
    repo = world.repository_path
    blob = gitserver.raw_object(repo, "blob", config("x").encode())
    tree = _tree(repo, [("100644", f"f{n}.yaml", blob) for n in range(10)])
    for _ in range(10):
        tree = _tree(repo, [("40000", f"d{n}", tree) for n in range(10)])
    good = _tree(repo, [("100644", "c.yaml", gitserver.raw_object(repo, "blob", config("ok").encode()))])
    root = _tree(repo, [("40000", "bomb", tree), ("40000", "good", good)])
    gitserver.raw_commit(repo, root)
    world.kube.create(NAMESPACE)
    source = {"repo_url": world.repository.url, "path": "bomb", "directory": {"recurse": True}}
    bad = world.application("bad", sources=[source])
    fine = world.application("good", path="good", sync_policy=AUTOMATED)
    look(world, bad)
    world.run(fine)
    assert bad.sync_status == "Unknown"
    assert faults.codes(bad) & {"TooLarge", "TooManyFiles", "LimitExceeded", "SourceTooLarge"}, bad.conditions
    assert faults.names(world) == ["ok"]


def _tree(repo: object, entries: list[tuple[str, str, str]]) -> str:
    raw = b"".join(
        f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha) for mode, name, sha in sorted(entries)
    )
    assert zlib.crc32(raw) >= 0
    return gitserver.raw_object(repo, "tree", raw)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["../deploy", "deploy/../../x", "/etc", "-x", "deploy\x00"])
def test_d1_paths_that_leave_the_repository_are_refused_even_by_sql(
    world: World, web: Application, path: str
) -> None:
    Application.objects.filter(id=web.id).update(sources=[{"repoURL": world.repository.url, "path": path}])
    look(world, web)
    assert faults.conditions(web, "ComparisonError") or faults.conditions(web), path
    assert "internal" not in faults.codes(web), web.conditions
    assert web.sync_status == "Unknown"
    assert faults.names(world) == ["one", "two"]
