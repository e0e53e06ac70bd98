"""The documents are true: what they link to exists, what they name can be typed (house.md 7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from hub.services.fences import rule_errors
from tests.house.sources import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PRODUCTION = (ROOT / "docs" / "production.md").read_text()
# Named elsewhere, or for tests alone.
NOT_OF_A_USER = {"HUB_TEST_DIR", "PYTEST_XDIST_TESTRUNUID"}


def settings_read() -> set[str]:
    text = (ROOT / "hub" / "settings.py").read_text()
    names = set(re.findall(r'env\.[a-z_]+\(\s*"([A-Z_]+)"', text))
    return names - NOT_OF_A_USER


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).resolve().exists(), (page.name, target)


def test_every_setting_is_documented_and_every_documented_one_is_read() -> None:
    read = settings_read()
    assert {"DATABASE_URL", "HUB_URL", "HUB_METRICS_TOKEN"} <= read
    named = set(re.findall(r"`((?:HUB|DATABASE|REDIS)_[A-Z_]+)`", PRODUCTION))
    assert read - named == set()
    assert {name for name in named if not name.startswith("HUB_SOURCE_")} - read == set()


def commands(text: str) -> Iterator[str]:
    yield from re.findall(r"(?:manage\.py|(?<![\w/-])hub) ([a-z][a-z_-]+)", text)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "docker-compose.yml", ROOT / "deploy" / "Dockerfile"], ids=lambda page: page.name
)
def test_every_command_that_is_named_exists(page: Path) -> None:
    """In lines of code and in compose; prose may say hub and mean the hub."""
    text = page.read_text()
    typed = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ {4}(.+)$", text, re.MULTILINE)
    if page.suffix == ".yml":
        typed = [
            " ".join(line.replace(",", " ").split()) for line in text.splitlines() if "manage.py" in line
        ]
    known = {*get_commands(), "is"}
    for line in typed:
        for name in commands(line.partition("#")[0]):
            assert name.replace("-", "_") in known, (page.name, line)


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^ {4}|`)(?:[A-Z_]+=\S+ )*make ([a-z]+)", page.read_text(), re.MULTILINE)
        assert set(named) <= targets, (page.name, named)


def test_every_route_that_is_named_exists() -> None:
    known = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["paths"]
    shapes = [re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)) for path in known]
    for page in PAGES:
        for route in re.findall(r"/api/v1/[a-z0-9/_-]+", page.read_text()):
            found = route.rstrip("/") in {"/api/v1/docs", "/api/v1/schema"} or any(
                shape.fullmatch(route.rstrip("/")) for shape in shapes
            )
            assert found, (page.name, route)


def test_the_rules_that_are_shown_can_be_stored() -> None:
    block = re.search(r"^ {4}\{\n(?: {4}.*\n)+? {4}\}\n", PRODUCTION, re.MULTILINE)
    assert block is not None
    assert rule_errors(json.loads(block.group())) == {}
