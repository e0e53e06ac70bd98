"""The cores are pure: no clock, no files, no environment, no chance; and they import without Django."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.house.sources import ROOT, core_modules

CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
ATTRIBUTES = {
    "now",
    "today",
    "utcnow",
    "environ",
    "getenv",
    "urandom",
    "monotonic",
    "perf_counter",
    "time_ns",
}
MODULES = {
    "random",
    "secrets",
    "os",
    "io",
    "socket",
    "subprocess",
    "threading",
    "asyncio",
    "time",
    "tempfile",
}


def _impurities(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            target = node.func
            if isinstance(target, ast.Name) and target.id in CALLS:
                found.append(f"line {node.lineno}: {target.id}()")
            if isinstance(target, ast.Attribute) and target.attr in ATTRIBUTES:
                owner = ast.unparse(target.value)
                if owner.split(".")[-1] in {"datetime", "date", "time", "os", "timezone"}:
                    found.append(f"line {node.lineno}: {owner}.{target.attr}()")
        elif isinstance(node, ast.Attribute) and node.attr == "environ":
            found.append(f"line {node.lineno}: environ")
        elif isinstance(node, ast.Import):
            found += [
                f"line {node.lineno}: import {a.name}" for a in node.names if a.name.split(".")[0] in MODULES
            ]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in MODULES:
            found.append(f"line {node.lineno}: from {node.module} import ...")
    return found


def test_the_core_touches_nothing_of_the_world() -> None:
    impure = {name: hits for name, (_, _, tree) in core_modules().items() if (hits := _impurities(tree))}
    assert impure == {}


def test_the_purity_check_sees_a_clock() -> None:
    assert _impurities(ast.parse("import datetime\nx = datetime.datetime.now()"))
    assert _impurities(ast.parse("import random"))
    assert _impurities(ast.parse("open('x')"))


def test_the_core_imports_with_django_blocked() -> None:
    names = sorted(name for name in core_modules() if "__main__" not in name)
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('django', 'celery', 'rest_framework', 'aiohttp', 'git', 'slack_sdk'):\n"
        "            raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Block())\n"
        f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
