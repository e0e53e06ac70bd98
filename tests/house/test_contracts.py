"""The import contracts of pyproject.toml hold, and an import knot of any size is found."""

from __future__ import annotations

import subprocess
import sys

from tests.house.sources import ROOT


def test_every_import_contract_is_kept() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "0 broken" in run.stdout
