"""The Git gate on real repositories over file:// (sources.md 2; security D2, D5, F2, F4, H10, H13)."""

from __future__ import annotations

import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.child import Completed
from hub import source
from hub.core.sources import RepositoryAccess, Resolution, SourceLimits, resolve
from hub.core.sources.urls import parse_url
from hub.errors import SourceError
from hub.source import Wanted, objects, obtain, poll, upkeep
from hub.source import mirror as mirrors
from hub.source.failures import MirrorCorrupt, failure
from hub.source.listing import read_listing
from hub.source.objects import Raw, parse_tree
from tests.gitserver import (
    BOB,
    Link,
    Submodule,
    commit,
    delete_branch,
    file_access,
    git,
    make_repo,
    raw_commit,
    raw_object,
    tag,
)

ALL = {"wanted": lambda _: True, "ignored": lambda _: False}
YAML = {"wanted": lambda path: path.endswith(".yaml"), "ignored": lambda _: False}


@pytest.fixture(autouse=True)
def _no_reader_is_left():
    yield
    source.close_all()


@pytest.fixture
def repo(tmp_path):
    return make_repo(tmp_path)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "mirrors"


def tree_of(repo, root, revision="main", **changes):
    found = obtain(file_access(repo, **changes), [Wanted(revision)], root=root)
    return found.mirror.tree(found.resolutions[0].sha)


def refused(code, work):
    with pytest.raises(SourceError) as caught:
        work()
    assert caught.value.code == code, caught.value
    return caught.value.message


def paths(tree, path="", recurse=True, **how):
    return [file.path for file in tree.listing(path, recurse=recurse, **(how or ALL)).files]


# Listing and resolving


def test_one_listing_tells_branches_tags_and_head(repo):
    first = commit(repo, {"a": "1"})
    second = commit(repo, {"a": "2"}, branch="feature/x")
    tag_object = tag(repo, "v1.0.0", first, message="one")
    tag(repo, "light", second)
    table = poll(file_access(repo))
    assert table.refs == {
        "refs/heads/main": first,
        "refs/heads/feature/x": second,
        "refs/tags/v1.0.0": first,
        "refs/tags/light": second,
    }
    assert table.tag_objects == {"refs/tags/v1.0.0": tag_object}
    assert (table.head, table.head_id) == ("refs/heads/main", first)
    assert poll(file_access(repo)).digest == table.digest


def test_other_refs_are_listed_when_asked_for(repo):
    sha = commit(repo, {"a": "1"})
    git(repo, "update-ref", "refs/pull/7/head", sha)
    assert "refs/pull/7/head" not in poll(file_access(repo)).refs
    assert poll(file_access(repo), extra_refs=["refs/pull/7/head"]).refs["refs/pull/7/head"] == sha


def test_s18_a_repository_without_commits_is_empty_and_raises_no_other_exception(repo, root):
    assert poll(file_access(repo)).empty
    refused("EmptyRepository", lambda: tree_of(repo, root, ""))


def test_head_of_an_unborn_branch_beside_other_branches_is_told(repo, root):
    commit(repo, {"a": "1"}, branch="other")
    assert "HEAD points to a branch" in refused("EmptyRepository", lambda: tree_of(repo, root, ""))


def test_names_no_rule_allows_are_dropped_from_a_listing():
    sha = b"a" * 40
    lines = [b"ref: refs/heads/main\tHEAD", sha + b"\tHEAD", sha + b"\trefs/heads/ok"]
    lines += [sha + b"\trefs/heads/" + name for name in (b"-x", b"a..b", b"a\xffb", b"x" * 300, b"")]
    lines += [b"garbage", b"zz\trefs/heads/x", sha + b"\trefs/remotes/o/HEAD", sha + b"\trefs/tags/x^{}"]
    assert list(read_listing(b"\n".join(lines), set()).refs) == ["refs/heads/ok"]


def test_more_refs_than_the_limit_are_refused():
    lines = b"".join(b"a" * 40 + b"\trefs/heads/b%d\n" % n for n in range(11))
    message = refused("LimitExceeded", lambda: read_listing(lines, set(), SourceLimits(max_refs=10)))
    assert "HUB_SOURCE_MAX_REFS" in message


def test_a_listing_longer_than_the_limit_is_refused(repo):
    commit(repo, {"a": "1"})
    limits = SourceLimits(max_listing_bytes=40)
    message = refused("LimitExceeded", lambda: poll(file_access(repo), source_limits=limits))
    assert "HUB_SOURCE_MAX_LISTING_BYTES" in message


def test_s13_an_annotated_tag_gives_the_peeled_commit(repo, root):
    sha = commit(repo, {"a": "1"})
    tag_object = tag(repo, "v1.2.0", sha, message="one")
    found = obtain(file_access(repo), [Wanted("v1.2.0")], root=root).resolutions[0]
    assert (found.sha, found.tag_object) == (sha, tag_object)


def test_s14_a_short_id_is_looked_up_in_the_mirror(repo, root):
    sha = commit(repo, {"a": "1"})
    refused("RevisionNotFound", lambda: tree_of(repo, root, sha[:9]))
    tree_of(repo, root, "main")
    assert tree_of(repo, root, sha[:9]).commit == sha


def test_all_that_is_missing_comes_with_one_fetch(repo, root):
    one = commit(repo, {"a": "1"})
    two = commit(repo, {"a": "2"}, branch="b", parent="")
    three = commit(repo, {"a": "3"}, branch="c", parent="")
    delete_branch(repo, "c")
    found = obtain(file_access(repo), [Wanted("main"), Wanted("b"), Wanted(three)], root=root)
    assert [each.sha for each in found.resolutions] == [one, two, three]
    assert all(found.mirror.has(sha) for sha in (one, two, three))
    refs = git(found.mirror.folder, "for-each-ref", "--format=%(refname)").split()
    assert refs == ["refs/hub/heads/b", "refs/hub/heads/main", f"refs/hub/pins/{three}"]


def test_s04_a_revision_that_is_here_is_not_fetched_again(repo, root):
    commit(repo, {"a": "1"})
    assert obtain(file_access(repo), [Wanted("main")], root=root).mirror.fetched
    assert not obtain(file_access(repo), [Wanted("main")], root=root).mirror.fetched


def test_a_sha256_repository_works(tmp_path, root):
    repo = make_repo(tmp_path, "wide.git", object_format="sha256")
    sha = commit(repo, {"a/x.yaml": "kind: X"})
    tree = tree_of(repo, root)
    assert len(sha) == len(tree.commit) == 64
    assert tree.read("a/x.yaml", 100) == b"kind: X"


def test_depth_is_honoured(repo, root):
    old = commit(repo, {"a": "1"})
    new = commit(repo, {"a": "2"})
    mirror = obtain(file_access(repo, depth=1), [Wanted("main")], root=root).mirror
    assert mirror.has(new)
    assert not mirror.has(old)


# What the world does to a ref (2.3, H10)


def test_s15_h10_a_force_push_is_a_new_revision_and_the_old_commit_stays_behind_its_keep_ref(repo, root):
    old = commit(repo, {"a": "1"})
    mirror = obtain(file_access(repo), [Wanted("main")], root=root).mirror
    mirror.keep([old])
    new = commit(repo, {"a": "2"}, parent="")
    found = obtain(file_access(repo), [Wanted("main")], root=root)
    assert found.resolutions[0].sha == new
    git(found.mirror.folder, "gc", "--quiet", "--prune=now")
    assert found.mirror.tree(old).read("a", 10) == b"1"
    found.mirror.keep([])
    assert git(found.mirror.folder, "for-each-ref", "refs/hub/keep/") == ""


def test_s16_h10_a_deleted_branch_is_not_found(repo, root):
    commit(repo, {"a": "1"})
    commit(repo, {"a": "1"}, branch="release")
    tree_of(repo, root, "release")
    delete_branch(repo, "release")
    refused("RevisionNotFound", lambda: tree_of(repo, root, "release"))


def test_s17_a_removed_path_is_told_and_a_path_that_is_a_file_too(repo, root):
    sha = commit(repo, {"apps/web/a.yaml": "x", "b.yaml": "x"})
    tree = tree_of(repo, root)
    assert (
        refused("PathNotFound", lambda: paths(tree, "apps/gone"))
        == f'path "apps/gone" does not exist at {sha[:7]}'
    )
    assert refused("PathNotFound", lambda: paths(tree, "b.yaml")) == 'path "b.yaml" is a file'


def test_a_commit_nobody_has_is_not_found(repo, root):
    commit(repo, {"a": "1"})
    refused("RevisionNotFound", lambda: tree_of(repo, root, "d" * 40))


def test_the_id_of_a_blob_is_no_revision(repo, root):
    commit(repo, {"a": "1"})
    blob = git(repo, "rev-parse", "main:a")
    refused("RevisionNotFound", lambda: tree_of(repo, root, blob))


def test_a_ref_that_moves_between_listing_and_fetching_is_listed_once_more(repo, root):
    commit(repo, {"a": "1"})
    table = poll(file_access(repo))
    new = commit(repo, {"a": "2"}, parent="")
    git(repo, "gc", "--quiet", "--prune=now")
    found = obtain(file_access(repo), [Wanted("main")], root=root, table=table)
    assert found.resolutions[0].sha == new
    assert found.table.digest != table.digest


def test_a_branch_deleted_between_listing_and_fetching_is_not_found(repo, root):
    commit(repo, {"a": "1"})
    commit(repo, {"a": "2"}, branch="gone")
    table = poll(file_access(repo))
    delete_branch(repo, "gone")
    git(repo, "gc", "--quiet", "--prune=now")
    refused("RevisionNotFound", lambda: obtain(file_access(repo), [Wanted("gone")], root=root, table=table))


def test_a_repository_that_is_gone_is_unavailable_and_may_come_back(repo, root):
    commit(repo, {"a": "1"})
    tree_of(repo, root)
    shutil.move(repo, repo.with_suffix(".away"))
    with pytest.raises(SourceError) as caught:
        poll(file_access(repo))
    assert caught.value.code == "RepositoryUnavailable"
    assert not caught.value.permanent


def test_one_target_that_does_not_exist_keeps_no_other_from_being_served(repo, root):
    main, other = commit(repo, {"a": "1"}), commit(repo, {"a": "2"}, branch="other")
    wanted = [Wanted(name) for name in ("main", "gone", "d" * 40, "other", "a..b")]
    found = source.obtain_each(file_access(repo), wanted, root=root)
    told = [each.code if isinstance(each, SourceError) else each.sha for each in found.outcomes]
    assert told == [main, "RevisionNotFound", "RevisionNotFound", other, "InvalidRef"]
    assert all(each.permanent for each in found.outcomes if isinstance(each, SourceError))
    assert found.mirror.tree(other).read("a", 10) == b"2"


def test_s15_a_planned_commit_is_still_fetched_after_its_branch_moved_or_went(repo, root):
    planned = commit(repo, {"a": "1"})
    commit(repo, {"a": "2"}, parent="")
    resolution = Resolution(planned, "main", "branch", "refs/heads/main")
    assert source.ensure(file_access(repo), [resolution], root=root).tree(planned).read("a", 10) == b"1"
    delete_branch(repo, "main")
    source.remove_mirror(root, file_access(repo))
    assert source.ensure(file_access(repo), [resolution], root=root).tree(planned).read("a", 10) == b"1"


# The mirror is a cache (S29, H13)


def _truncate(folder: Path) -> None:
    for pack in folder.rglob("*"):
        if pack.is_file() and "objects" in pack.parts:
            pack.chmod(0o600)
            os.truncate(pack, pack.stat().st_size // 2)


def _empty(folder: Path) -> None:
    for name in ("HEAD", "config"):
        (folder / name).write_bytes(b"")


BREAK = {
    "removed": shutil.rmtree,
    "truncated": _truncate,
    "objects gone": lambda folder: shutil.rmtree(folder / "objects"),
    "head and configuration empty": _empty,
    "a file instead": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
}


@pytest.mark.parametrize("how", BREAK)
def test_s29_h13_a_broken_mirror_is_built_again(repo, root, how):
    commit(repo, {f"f{n}.yaml": f"a: {n}\n" * 50 for n in range(20)})
    first = obtain(file_access(repo), [Wanted("main")], root=root)
    source.close_all()
    BREAK[how](first.mirror.folder)
    again = obtain(file_access(repo), [Wanted("main")], root=root)
    tree = again.mirror.tree(again.resolutions[0].sha)
    assert tree.read("f7.yaml", 10_000).startswith(b"a: 7")
    assert len(paths(tree)) == 20
    source.close_all()
    assert not obtain(file_access(repo), [Wanted("main")], root=root).mirror.fetched


@pytest.mark.parametrize(
    "left", ["refs/hub/heads/main.lock", "packed-refs.lock", "config.lock", "shallow.lock"]
)
def test_h1_the_lock_of_a_git_that_was_killed_is_no_end_of_the_repository(repo, root, left):
    commit(repo, {"a": "1"})
    folder = obtain(file_access(repo), [Wanted("main")], root=root).mirror.folder
    (folder / left).touch()
    sha = commit(repo, {"a": "2"})
    assert obtain(file_access(repo), [Wanted("main")], root=root).resolutions[0].sha == sha
    assert tree_of(repo, root).read("a", 10) == b"2"


@pytest.mark.parametrize(("first", "then"), [("release", "release/1.0"), ("release/1.0", "release")])
def test_a_branch_that_takes_the_place_of_a_folder_of_branches_is_fetched(repo, root, first, then):
    commit(repo, {"a": "1"})
    git(repo, "branch", first, "main")
    obtain(file_access(repo), [Wanted(first)], root=root)
    delete_branch(repo, first)
    sha = commit(repo, {"a": "2"})
    git(repo, "branch", then, "main")
    assert obtain(file_access(repo), [Wanted(then)], root=root).resolutions[0].sha == sha


def test_refs_that_nobody_tracks_any_more_leave_the_mirror_and_deployed_commits_stay(repo, root):
    old = commit(repo, {"a": "1"})
    git(repo, "branch", "feature", "main")
    new = commit(repo, {"a": "2"})
    mirror = obtain(file_access(repo), [Wanted("main"), Wanted("feature"), Wanted(old)], root=root).mirror
    mirror.keep([old, new], ["refs/heads/main"])
    names = git(mirror.folder, "for-each-ref", "--format=%(refname)").split()
    assert names == ["refs/hub/heads/main", *sorted(f"refs/hub/keep/{sha}" for sha in (old, new))]
    mirror.keep([new], ["refs/heads/main"])
    assert mirror.has(old), "a commit goes by age, not at once"


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(root, tmp_path, monkeypatch):
    monkeypatch.setattr(upkeep.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(upkeep, "MEMORY", tmp_path / "shm")
    root.mkdir()
    hour_ago = time.time() - 3600
    for place in (tmp_path / "tmp" / "hub-git-1", tmp_path / "shm" / "hub-git-2", root / "x.git.0.old"):
        for name in (str(place), f"{place}new" if place.suffix != ".old" else str(root / "y.git.0.old")):
            Path(name).mkdir(parents=True)
            (Path(name) / "password").write_text("SENTINEL")
        os.utime(place, (hour_ago, hour_ago))
    (tmp_path / "tmp" / "somebody-else").mkdir()
    upkeep.tidy(root)
    left = [
        path.name for base in (tmp_path / "tmp", tmp_path / "shm", root) for path in sorted(base.iterdir())
    ]
    assert left == ["hub-git-1new", "somebody-else", "hub-git-2new", "y.git.0.old"]


def test_the_night_comes_once_a_day(root):
    assert not upkeep.is_night(root)
    root.mkdir()
    assert [upkeep.is_night(root) for _ in range(3)] == [True, False, False]
    yesterday = time.time() - upkeep.DAY_S - 1
    os.utime(root / "tended", (yesterday, yesterday))
    assert upkeep.is_night(root)


def test_s29_a_mirror_that_breaks_while_it_is_read_is_built_again(repo, root):
    commit(repo, {f"dir{n}/f.yaml": f"a: {n}\n" * 50 for n in range(20)})
    found = obtain(file_access(repo), [Wanted("main")], root=root)
    tree = found.mirror.tree(found.resolutions[0].sha)
    source.close_all()
    _truncate(found.mirror.folder)
    assert len(paths(tree)) == 20
    assert found.mirror.rebuilt


def test_h13_a_mirror_folder_that_cannot_be_written_is_an_error_and_no_crash(repo, tmp_path):
    commit(repo, {"a": "1"})
    (tmp_path / "mirrors").write_text("a file where the folder should be")
    assert "cannot be written" in refused(
        "RepositoryUnavailable", lambda: tree_of(repo, tmp_path / "mirrors")
    )


def test_a_mirror_larger_than_the_limit_is_refused_and_removed(repo, root):
    commit(repo, {"big": os.urandom(400_000)})
    limits = SourceLimits(max_mirror_bytes=100_000)
    access = file_access(repo)
    message = refused(
        "LimitExceeded", lambda: obtain(access, [Wanted("main")], root=root, source_limits=limits)
    )
    assert "HUB_SOURCE_MAX_MIRROR_BYTES" in message


def test_the_nightly_repack_keeps_what_is_tracked(repo, root):
    for number in range(5):
        commit(repo, {"a": str(number)})
        mirror = obtain(file_access(repo), [Wanted("main")], root=root).mirror
    source.repack(mirror)
    assert len(list(mirror.folder.glob("objects/pack/*.pack"))) == 1
    assert tree_of(repo, root).read("a", 10) == b"4"


def test_mirrors_are_named_by_record_and_never_shared(repo, root):
    commit(repo, {"a": "1"})
    one = obtain(file_access(repo, id="one"), [Wanted("main")], root=root).mirror
    two = obtain(file_access(repo, id="../two"), [Wanted("main")], root=root).mirror
    assert one.folder != two.folder
    assert two.folder.parent == root
    source.remove_mirror(root, file_access(repo, id="one"))
    assert not one.folder.exists()
    assert two.folder.exists()


# Files without a checkout (D1, D2)


def test_files_are_listed_in_byte_order(repo, root):
    commit(repo, {"b.yaml": "", "a/z.yaml": "", "a.yaml": "", "a-b.yaml": "", "é.yaml": "", "Z.yaml": ""})
    expected = ["Z.yaml", "a-b.yaml", "a.yaml", "a/z.yaml", "b.yaml", "é.yaml"]
    assert paths(tree_of(repo, root)) == expected
    assert paths(tree_of(repo, root), recurse=False) == [path for path in expected if "/" not in path]


def test_s26_a_link_inside_the_repository_gives_the_targets_content_and_both_ids(repo, root):
    commit(
        repo,
        {"app/a.yaml": Link("../shared/b.yaml"), "shared/b.yaml": "kind: B", "app/dir": Link("../shared")},
    )
    tree = tree_of(repo, root)
    blob, link = git(repo, "rev-parse", "main:shared/b.yaml"), git(repo, "rev-parse", "main:app/a.yaml")
    files = {file.path: file for file in tree.listing("app", recurse=True, **YAML).files}
    assert list(files) == ["a.yaml", "dir/b.yaml"]
    assert (files["a.yaml"].id, files["a.yaml"].links) == (blob, (link,))
    assert list(tree.contents(list(files.values()), file_limit=100, total_limit=100)) == [
        b"kind: B",
        b"kind: B",
    ]
    assert tree.read("app/dir/b.yaml", 100) == b"kind: B"


LINKS = {
    "absolute": {"app/link.yaml": Link("/etc/passwd")},
    "escaping": {"app/link.yaml": Link("../../etc/passwd")},
    "escaping folder": {"app/other": Link("../../other")},
    "loop": {"app/link.yaml": Link("two.yaml"), "app/two.yaml": Link("link.yaml")},
    "itself": {"app/link.yaml": Link("link.yaml")},
    "folder loop": {"app/again": Link(".")},
    "parent folder loop": {"app/again": Link("..")},
    "through a link out": {"app/link.yaml": Link("d/../../x"), "app/d": Link("..")},
    "very long": {"app/link.yaml": Link("a/" * 4000)},
}


@pytest.mark.parametrize("case", LINKS)
def test_s25_d1_links_that_lead_out_are_refused_without_a_byte_of_the_target(repo, root, case):
    commit(repo, {"app/ok.yaml": "kind: A", **LINKS[case]})
    message = refused("OutOfBoundsPath", lambda: paths(tree_of(repo, root), "app", **YAML))
    assert message.startswith("app/")
    assert message.endswith("points outside the repository")
    assert "passwd" not in message


def test_s25_a_bad_link_outside_of_what_is_used_does_no_harm(repo, root):
    commit(repo, {"app/ok.yaml": "x", "app/README": Link("/etc/passwd"), "other/x.yaml": Link("/etc/shadow")})
    assert paths(tree_of(repo, root), "app", recurse=False, **YAML) == ["ok.yaml"]
    ignoring = {"wanted": YAML["wanted"], "ignored": lambda path: path == "README"}
    assert paths(tree_of(repo, root), "app", recurse=True, **ignoring) == ["ok.yaml"]


def test_a_link_to_nothing_is_told_when_it_is_used(repo, root):
    commit(repo, {"a.yaml": Link("gone.yaml"), "notes": Link("gone")})
    assert "a.yaml points to a file that does not exist" in refused(
        "PathNotFound", lambda: paths(tree_of(repo, root), **YAML)
    )


def test_s28_f4_submodules_filters_and_lfs_settings_fetch_and_run_nothing(repo, root, tmp_path):
    canary = tmp_path / "canary"
    commit(
        repo,
        {
            ".gitmodules": f'[submodule "m"]\n\tpath = m\n\turl = ext::touch {canary}\n',
            ".lfsconfig": f"[lfs]\n\turl = https://127.0.0.1:1/\n\tcustomtransfer.x.path = touch {canary}\n",
            ".gitattributes": "* filter=evil diff=evil\n",
            "ok.yaml": "kind: A",
            "m": Submodule("b" * 40),
        },
    )
    tree = tree_of(repo, root)
    assert paths(tree, recurse=False, **YAML) == ["ok.yaml"]
    assert refused("SubmoduleNotSupported", lambda: paths(tree, **YAML)) == "m is a submodule"
    assert "is a submodule" in refused("SubmoduleNotSupported", lambda: paths(tree, "m"))
    assert "is a submodule" in refused("SubmoduleNotSupported", lambda: tree.entry("m/x"))
    assert not canary.exists()


def test_an_lfs_pointer_in_a_used_file_is_told(repo, root):
    commit(repo, {"values.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"})
    tree = tree_of(repo, root)
    assert refused("LFSPointer", lambda: tree.read("values.yaml", 1000)) == "values.yaml is a Git LFS pointer"


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT", b"a/b"])
def test_d1_an_entry_with_a_forbidden_name_is_refused(repo, root, name):
    blob = bytes.fromhex(raw_object(repo, "blob", b"kind: A"))
    raw_commit(repo, raw_object(repo, "tree", b"100644 " + name + b"\0" + blob))
    refused("OutOfBoundsPath", lambda: paths(tree_of(repo, root)))


def test_s27_d5_a_tree_bomb_ends_at_the_limits(repo, root):
    """100 million paths in 9 objects: whichever of entries (50,000) and time (2 s) comes first ends it."""
    blob = bytes.fromhex(raw_object(repo, "blob", b"kind: A"))
    tree = raw_object(repo, "tree", b"".join(b"100644 f%d.yaml\0" % n + blob for n in range(10)))
    for _ in range(8):
        inner = bytes.fromhex(tree)
        tree = raw_object(repo, "tree", b"".join(b"40000 d%d\0" % n + inner for n in range(10)))
    raw_commit(repo, tree)
    found = tree_of(repo, root)
    message = refused("LimitExceeded", lambda: paths(found))
    assert "HUB_SOURCE_MAX_ENTRIES" in message or "HUB_SOURCE_MAX_LISTING_SECONDS" in message
    assert found.objects.requests < 100


def test_d5_a_listing_that_takes_too_long_ends(repo, root):
    commit(repo, {f"d{n}/f.yaml": "x" for n in range(20)})
    limits = SourceLimits(max_listing_seconds=0)
    found = obtain(file_access(repo), [Wanted("main")], root=root, source_limits=limits)
    tree = found.mirror.tree(found.resolutions[0].sha)
    assert "HUB_SOURCE_MAX_LISTING_SECONDS" in refused("LimitExceeded", lambda: paths(tree))


def test_d5_depth_and_length_of_paths_are_limited(repo, root):
    commit(repo, {"/".join(["d"] * 70) + "/f.yaml": "x"})
    commit(repo, {"/".join(["n" * 200] * 6) + "/f.yaml": "x"}, branch="long", parent="")
    assert "HUB_SOURCE_MAX_DEPTH" in refused("LimitExceeded", lambda: paths(tree_of(repo, root)))
    assert "HUB_SOURCE_MAX_PATH_BYTES" in refused("LimitExceeded", lambda: paths(tree_of(repo, root, "long")))


def test_d4_a_file_of_50_mb_is_refused_unread(repo, root):
    commit(repo, {"big.yaml": b"a" * 50_000_000})
    tree = tree_of(repo, root)
    message = refused("LimitExceeded", lambda: tree.read("big.yaml", 5_242_880))
    assert message == "a manifest file is 50 MB, limit 5.2 MB (HUB_SOURCE_MAX_FILE_BYTES)"
    assert tree.read("big.yaml", 60_000_000)[:3] == b"aaa"


def test_many_small_files_are_read_together(repo, root):
    commit(repo, {f"d{n % 50}/f{n}.yaml": f"n: {n}" for n in range(2000)})
    tree = tree_of(repo, root)
    files = tree.listing("", recurse=True, **ALL).files
    texts = list(tree.contents(files, file_limit=100, total_limit=100_000))
    assert [f"n: {file.path.rpartition('/f')[2][:-5]}" for file in files] == [text.decode() for text in texts]


# The closed environment (2.4, C1, C2, F2)


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch {canary}",
        "ext::sh -c touch% {canary}",
        "file://{canary}/$HOME",
        "-u{canary}",
        "a\nb",
    ],
)
def test_s24_a_hostile_address_in_a_record_is_refused_by_the_worker(root, tmp_path, url):
    canary = tmp_path / "canary"
    access = RepositoryAccess("x", url.format(canary=canary), allow_file=True)
    refused("InvalidURL", lambda: poll(access))
    wanted = [Resolution("a" * 40, "main", "branch", "refs/heads/main")]
    refused("InvalidURL", lambda: source.ensure(access, wanted, root=root))
    assert not canary.exists()


def test_git_children_see_nothing_of_our_environment(monkeypatch, repo, root):
    seen = []
    real = mirrors.run

    def spy(argv, **options):
        seen.append((list(argv), dict(options["env"])))
        return real(argv, **options)

    monkeypatch.setenv("DATABASE_URL", "postgres://SENTINEL")
    monkeypatch.setenv("GIT_SSH_COMMAND", "SENTINEL")
    monkeypatch.setattr(mirrors, "run", spy)
    commit(repo, {"a": "1"})
    tree_of(repo, root)
    assert seen
    for argv, env in seen:
        assert "SENTINEL" not in str((argv, env))
        assert env["GIT_CONFIG_NOSYSTEM"] == "1"
        assert env["GIT_TERMINAL_PROMPT"] == "0"
        assert "HUB" not in " ".join(env)
    fetch = next(argv for argv, _ in seen if "fetch" in argv)
    assert fetch.index("--end-of-options") < fetch.index(f"file://{repo}")


def test_c2_an_error_shows_neither_userinfo_nor_secrets():
    access = RepositoryAccess("x", "https://git.example.com/a", username="bob", password="SENTINEL-1")
    url = parse_url(access.url)
    words = b"fatal: unable to access 'https://bob:SENTINEL-1@git.example.com/a/': something odd SENTINEL-1"
    error = failure(Completed(128, b"", words), access, url)
    assert "SENTINEL" not in str(error)
    assert "something odd" in str(error)


def test_loopback_and_private_addresses_are_refused_unless_allowed():
    for url in ("https://127.0.0.1/a", "https://localhost/a", "ssh://git@127.0.0.1/a", "https://[::1]/a"):
        assert "loopback" in refused(
            "RepositoryUnavailable", lambda url=url: poll(RepositoryAccess("x", url))
        )
    for url in ("https://169.254.169.254/a", "https://10.0.0.1/a", "https://[::ffff:10.0.0.1]/a"):
        refused(
            "RepositoryUnavailable", lambda url=url: poll(RepositoryAccess("x", url, allow_loopback=True))
        )


# History


def test_commit_metadata_tells_who_when_why_and_the_tags(repo, root):
    first = commit(repo, {"a": "1"})
    sha = commit(repo, {"a": "2"}, author=BOB, message="Raise the limit\n\nBecause of load.", when=1700000100)
    tag(repo, "v2", sha)
    found = obtain(file_access(repo), [Wanted("main")], root=root)
    info = source.commit_of(found.mirror, sha, found.table)
    assert (info.author.name, info.author.email, info.committer.name) == ("Bob", "bob@example.com", "Alice")
    assert (info.subject, info.message) == ("Raise the limit", "Raise the limit\n\nBecause of load.")
    assert (info.parents, info.tags) == ((first,), ("v2",))
    assert info.author.at.isoformat() == "2023-11-14T22:15:00+00:00"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"tree x",
        b"author \xff <",
        b"author A <a> 99999999999999999 +9999\n\nm",
        b"encoding nope\n\n\xff",
    ],
)
def test_any_commit_text_is_read(raw):
    assert source.history.parse_commit("a" * 40, raw).sha == "a" * 40


def test_changed_paths_and_authors_between_two_commits(repo, root):
    old = commit(repo, {"a.yaml": "1", "d/b.yaml": "1", "d/c.yaml": "1", "e/x": "1", "f": "1"})
    commit(repo, {"d/b.yaml": "2"}, author=BOB)
    new = commit(repo, {"e/x": None, "f": None, "f/g": "1"})
    mirror = obtain(file_access(repo), [Wanted("main")], root=root).mirror
    assert source.changed_paths(mirror, old, new) == ["d/b.yaml", "e/x", "f", "f/g"]
    assert source.changed_paths(mirror, old, new, below="d") == ["d/b.yaml"]
    assert source.diff_paths(mirror, old, new, ["a.yaml", "d/b.yaml", "d", "gone"]) == {"d/b.yaml", "d"}
    assert source.authors_between(mirror, old, new) == {"alice@example.com", "bob@example.com"}
    assert source.authors_between(mirror, "", new) == {"alice@example.com"}
    assert source.commits_between(mirror, old, new)[0].sha == new
    refused("LimitExceeded", lambda: source.commits_between(mirror, old, new, limit=1))
    refused("LimitExceeded", lambda: source.changed_paths(mirror, old, new, limit=1))


def test_s15_a_force_push_is_told_from_growth(repo, root):
    old = commit(repo, {"a": "1"})
    grown = commit(repo, {"a": "2"})
    commit(repo, {"a": "2"}, branch="old", parent=old)
    pushed = commit(repo, {"a": "3"}, parent="")
    wanted = [Wanted("main"), Wanted("old"), Wanted(grown)]
    mirror = obtain(file_access(repo), wanted, root=root).mirror
    assert source.is_ancestor(mirror, old, grown)
    assert source.is_ancestor(mirror, old, old)
    assert not source.is_ancestor(mirror, grown, old)
    assert not source.is_ancestor(mirror, old, pushed)
    assert not source.is_ancestor(mirror, "d" * 40, pushed)


def test_history_agrees_with_git_itself(repo, root):
    """GitPython as the oracle: the same author, dates and message."""
    from git import Repo

    sha = commit(repo, {"a": "1"}, author="Zoë <zoe@example.com>", message="Grün\n\nund rot", when=1600000000)
    mirror = obtain(file_access(repo), [Wanted("main")], root=root).mirror
    ours = source.commit_of(mirror, sha)
    with Repo(repo) as oracle:
        theirs = oracle.commit(sha)
        assert (ours.author.name, ours.author.email) == (theirs.author.name, theirs.author.email)
        assert ours.author.at == theirs.authored_datetime
        assert ours.message == theirs.message.rstrip("\n")


def test_resolve_finds_nothing_for_reflog_syntax(repo):
    commit(repo, {"a": "1"})
    table = poll(file_access(repo))
    for text in ("main@{1}", "main~1", "main^", ":/fix", "HEAD^{tree}", "--all"):
        refused("InvalidRef", lambda text=text: resolve(table, text))


# Parsers are total, readers are shared


@given(st.binary(max_size=200))
def test_any_bytes_are_a_tree_or_a_corrupt_mirror(content):
    try:
        folder = parse_tree(Raw("a" * 40, "tree", content))
    except (MirrorCorrupt, SourceError):
        return
    assert all(len(entry.id) == 40 for entry in folder.values())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_listing_and_a_commit(content):
    read_listing(content, set())
    assert source.history.parse_commit("a" * 40, content).sha == "a" * 40


def test_many_threads_share_one_reader_and_one_fetch_builds_one_mirror(repo, root):
    sha = commit(repo, {f"d{n}/f.yaml": f"n: {n}" for n in range(40)})
    wrong = []

    def one(number):
        tree = tree_of(repo, root)
        for step in range(10):
            name = (number * 7 + step) % 40
            if tree.commit != sha or tree.read(f"d{name}/f.yaml", 100) != f"n: {name}".encode():
                wrong.append(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert wrong == []
    assert [path.name for path in root.iterdir() if path.suffix == ".git"] == ["app.git"]


def test_no_child_is_left_when_all_readers_are_closed(repo, root):
    commit(repo, {"a": "1"})
    tree_of(repo, root).read("a", 10)
    pids = [worker.pid for worker in objects._workers.values()]
    assert pids
    assert all(pids)
    source.close_all()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_f3_git_is_started_in_one_place_with_ended_options():
    root = Path(source.__file__).parents[2]
    starters = [
        str(path.relative_to(root))
        for room in ("hub", "clusters", "notifications", "guard")
        for path in (root / room).rglob("*.py")
        if re.search(r"""["']git["']\s*[,\]]|^\s*(?:import|from) git\b""", path.read_text(), re.MULTILINE)
    ]
    demo = "hub/management/commands/demo.py"  # makes a repository of its own, from fixed words
    assert [path for path in starters if path != demo] == ["hub/source/process.py"]
