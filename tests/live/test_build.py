"""The build of the control plane: once, complete or not at all, and with a clear word when it cannot be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.controlplane import build

REPOSITORY = Path(__file__).parents[2]
# Stands in for Go: notes each build, takes a moment, fails for the program named in $FAIL.
FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo "${FAKE_VERSION:-go1.26.0}"; exit 0; fi
while [ "$1" != -o ]; do shift; done
echo "$3" >> "$BUILDS"
sleep 0.05
if [ -n "$FAIL" ] && [ "$(basename "$2")" = "$FAIL" ]; then echo "undefined: x"; exit 1; fi
echo "$3" > "$2"
"""


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and a stand-in for Go; the file names each package it built."""
    programs = tmp_path / "bin"
    programs.mkdir()
    go = programs / "go"
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("CONTROLPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    return tmp_path / "builds"


def test_all_programs_are_built_once_and_then_found(builds: Path) -> None:
    folder = build.control_plane()
    assert sorted(path.name for path in folder.iterdir()) == [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
    ]
    assert build.control_plane() == folder
    assert len(builds.read_text().splitlines()) == 5


def test_two_callers_at_once_build_once(builds: Path) -> None:
    command = [sys.executable, "-m", "tests.live.controlplane.build"]
    callers = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [caller.communicate(timeout=60)[0].splitlines() for caller in callers]
    assert [caller.returncode for caller in callers] == [0, 0, 0]
    assert len({answer[-1] for answer in answers}) == 1
    assert len(builds.read_text().splitlines()) == 7


def test_a_failed_build_names_the_program_and_is_not_taken_for_a_finished_one(
    builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "kube-scheduler")
    with pytest.raises(build.BuildError, match="go build of kube-scheduler failed:\nundefined: x"):
        build.control_plane()
    assert not [path for path in build.cache().iterdir() if path.is_dir()]
    monkeypatch.delenv("FAIL")
    assert len(list(build.control_plane().iterdir())) == 5


def test_what_a_killed_build_left_is_swept_away(builds: Path) -> None:
    left_over = build.cache() / f"{build.folder_of(build.CONTROL_PLANE).name}.partial-x"
    left_over.mkdir(parents=True)
    (left_over / "etcd").write_text("half of it")
    assert len(list(build.control_plane().iterdir())) == 5
    assert not left_over.exists()


def test_without_go_the_error_says_what_to_install(builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(build.BuildError, match=r"Go 1\.26 or later, and there is no `go` on the PATH"):
        build.control_plane()


def test_an_old_go_is_refused_with_its_version(builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_VERSION", "go1.25.4")
    with pytest.raises(build.BuildError, match=r"says: go1\.25\.4"):
        build.control_plane()


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_the_folder_changes_with_the_modules(tmp_path: Path, name: str) -> None:
    for each in ("go.mod", "go.sum"):
        (tmp_path / each).write_text("one\n")
    programs = (build.Program("etcd", "go.etcd.io/etcd/server/v3", tmp_path),)
    before = build.folder_of(programs)
    assert build.folder_of(programs) == before
    (tmp_path / name).write_text("two\n")
    assert build.folder_of(programs) != before


def test_the_modules_name_the_kubernetes_version_that_is_built() -> None:
    modules = (Path(build.__file__).parent / "go.mod").read_text()
    required = re.findall(r"^\s*k8s\.io/kubernetes (v\S+)", modules, flags=re.MULTILINE)
    staged = set(re.findall(r"^\s*k8s\.io/\S+ => k8s\.io/\S+ (v\S+)", modules, flags=re.MULTILINE))
    assert required == [build.KUBERNETES_VERSION]
    assert staged == {f"v0{build.KUBERNETES_VERSION.removeprefix('v1')}"}
