"""`manage.py demo`: a hub in one process, from nothing to a healthy application, twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXEC = """apiVersion: v1
kind: Config
current-context: a
clusters: [{name: a, cluster: {server: "https://api.example.com"}}]
users: [{name: a, user: {exec: {command: aws}}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
"""


def _environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "HUB_DATA_DIR": str(folder / "demo"),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def _demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "demo", "--once", "--port", "18200"],
        cwd=ROOT,
        env=_environment(folder, **environment),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.timeout(240)
def test_the_demo_deploys_two_waves_and_survives_a_second_run(tmp_path: Path) -> None:
    first = _demo(tmp_path)
    assert first.returncode == 0, first.stderr[-2000:]
    assert "shop: Synced, Healthy" in first.stdout
    assert "Push a commit and watch it arrive" in first.stdout
    password = (tmp_path / "demo" / "admin-password").read_text()
    assert password in first.stdout
    again = _demo(tmp_path)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "making a Git repository" not in again.stdout
    assert "shop: Synced, Healthy" in again.stdout
    assert password in again.stdout


@contextmanager
def _running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo as it stands in somebody's terminal; killed if the test did not end it."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--port", "18260"],
        cwd=ROOT,
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it said up to the line with these words; the time-out of the test is the deadline."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


@pytest.mark.timeout(240)
def test_ctrl_c_stops_the_demo_cleanly_and_a_second_one_beside_it_is_refused(tmp_path: Path) -> None:
    with _running(tmp_path) as process:
        _read_until(process, "Ctrl-C ends everything")
        beside = _demo(tmp_path)
        assert beside.returncode == 1
        assert "a demo is running in" in beside.stderr
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "stopped; run it again" in rest
    assert "Traceback" not in rest


@pytest.mark.timeout(240)
def test_a_demo_that_is_ended_while_it_starts_goes_on_the_next_time(tmp_path: Path) -> None:
    with _running(tmp_path) as process:
        _read_until(process, "making a Git repository")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    again = _demo(tmp_path)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "shop: Synced, Healthy" in again.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "which cannot be read: No such file"),
        ("kind: [", "not readable YAML"),
        (EXEC, "runs a command"),
    ],
)
def test_a_kubeconfig_that_is_not_taken_is_refused_in_one_sentence(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    run = _demo(tmp_path, KUBECONFIG=str(path))
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr
