"""Every management command has a test that names it (house.md 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(
    path.stem
    for room in ("hub", "clusters", "notifications")
    for path in (ROOT / room / "management" / "commands").glob("*.py")
    if path.stem != "__init__"
)


def test_there_are_commands() -> None:
    assert {"app", "alive", "cluster", "createadmin", "project", "repo", "rotate_keys"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_has_a_test_that_names_it(command: str) -> None:
    here = Path(__file__)
    texts = [path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != here]
    assert any(f'"{command}"' in text or f"'{command}'" in text for text in texts), (
        f"write a test that runs the command {command}"
    )
