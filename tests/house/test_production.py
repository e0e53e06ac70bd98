"""The description of production: complete, and in agreement with the code (issue 3 item 1)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PARTS = ("web", "worker", "beat")


def test_every_part_that_stays_has_a_health_check() -> None:
    services = COMPOSE["services"]
    without = {name for name, service in services.items() if "healthcheck" not in service}
    # Sockets are outgoing connections that come back by themselves: nothing there can be asked.
    assert without == {"migrate", "slack-socket"}


def test_no_part_meets_an_older_database() -> None:
    for name in PARTS:
        waits = COMPOSE["services"][name]["depends_on"]
        assert waits["migrate"] == {"condition": "service_completed_successfully"}, name
        assert {"postgres", "redis"} <= waits.keys()


def test_the_commands_of_the_services_exist() -> None:
    known = get_commands()
    for name in (*PARTS, "migrate"):
        service = COMPOSE["services"][name]
        for line in (service["command"], service.get("healthcheck", {}).get("test", [])):
            if "manage.py" in line:
                assert line[line.index("manage.py") + 1] in known, line


def test_every_secret_is_mounted_and_told_how_to_make() -> None:
    text = (ROOT / "docs/production.md").read_text()
    for name, secret in COMPOSE["secrets"].items():
        assert f"> {secret['file']}" in text, name
    mounted = {one for service in COMPOSE["services"].values() for one in service.get("secrets", ())}
    assert mounted == set(COMPOSE["secrets"])


def test_what_the_description_points_at_is_there() -> None:
    for text in ((ROOT / "docker-compose.yml").read_text(), (ROOT / "README.md").read_text()):
        for name in re.findall(r"docs/[a-z-]+\.md", text):
            assert (ROOT / name).is_file(), name


def test_one_container_that_writes_is_given_its_place() -> None:
    """The root is read-only: what is written lies in a volume or in memory, and no program is started there."""
    for name in PARTS:
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert "data:/data" in service["volumes"]
        assert service["environment"]["HUB_DATA_DIR"] == "/data"
