"""Sizes stay within budgets.json; a budget is changed by a decision file, never quietly."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from tests.house.sources import modules

BUDGETS = json.loads((Path(__file__).parent / "budgets.json").read_text())


def _functions() -> list[tuple[int, str]]:
    return sorted(
        ((node.end_lineno or 0) - node.lineno + 1, f"{name}.{node.name}")
        for name, (_, _, tree) in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_no_module_is_longer_than_its_budget() -> None:
    long = {
        name: text.count("\n") + 1
        for name, (_, text, _) in modules().items()
        if text.count("\n") + 1
        > BUDGETS["exceptions"].get(name, BUDGETS["core_module_lines" if ".core" in name else "module_lines"])
    }
    assert long == {}


def test_no_function_is_longer_than_its_budget() -> None:
    assert [f for f in _functions() if f[0] > BUDGETS["function_lines_max"]] == []


def test_nine_of_ten_functions_are_short() -> None:
    lengths = [length for length, _ in _functions()]
    assert lengths[int(len(lengths) * 0.9)] <= BUDGETS["function_lines_p90"]


def test_every_package_has_a_door_plate() -> None:
    missing = [
        name
        for name, (path, _, tree) in modules().items()
        if path.name == "__init__.py" and "management" not in name and not ast.get_docstring(tree)
    ]
    assert missing == []
