"""The modules of the house, parsed once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("hub", "clusters", "notifications", "guard")


@cache
def modules() -> dict[str, tuple[Path, str, ast.Module]]:
    """Dotted name -> (path, text, tree) of every module that is ours, migrations left out."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            text = path.read_text()
            found[name] = (path, text, ast.parse(text))
    return found


def core_modules() -> dict[str, tuple[Path, str, ast.Module]]:
    return {name: entry for name, entry in modules().items() if ".core" in name}
