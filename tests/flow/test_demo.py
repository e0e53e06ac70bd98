"""`manage.py demo`: a hub in one process, from nothing to a healthy application, twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "demo", "--once", "--port", "18200"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "HUB_DATA_DIR": str(folder / "demo"),
            **environment,
        },
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
