"""Django's own guards: migrations are complete, production settings are clean."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from tests.house.sources import ROOT

PRODUCTION = {
    "HUB_SECRET_KEY": "k9!" + "3f7Q_xZ" * 10,
    "HUB_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "HUB_ALLOWED_HOSTS": "hub.example.com",
    "HUB_URL": "https://hub.example.com",
    "REDIS_URL": "rediss://:secret@redis.example.com:6379/0",
    "DATABASE_URL": "postgres://hub:secret@db.example.com/hub",
}


def _check(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return _run(command, environment)


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    out = StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=out)
    assert "No changes detected" in out.getvalue()


def test_f11_production_settings_pass_the_deploy_check() -> None:
    run = _check(PRODUCTION)
    assert run.returncode == 0, run.stderr


def test_a_setting_from_a_file_does_not_end_with_its_newline(tmp_path: Path) -> None:
    environment = {}
    for name, value in PRODUCTION.items():
        (tmp_path / name).write_text(value + "\n")
        environment[f"{name}_FILE"] = str(tmp_path / name)
    names = ("SECRET_KEY", "HUB_ENCRYPTION_KEYS", "HUB_URL", "CELERY_BROKER_URL", "ALLOWED_HOSTS")
    shown = f"from django.conf import settings; print([getattr(settings, name) for name in {names}])"
    run = subprocess.run(
        [sys.executable, "-c", shown],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "hub.settings", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "\\n" not in run.stdout
    assert PRODUCTION["REDIS_URL"] in run.stdout


def test_f11_production_without_keys_is_refused() -> None:
    run = _check({**PRODUCTION, "HUB_SECRET_KEY": ""})
    assert run.returncode != 0
    assert "HUB_SECRET_KEY" in run.stderr


def test_e8_a_broker_on_the_network_without_a_password_is_refused() -> None:
    run = _check({**PRODUCTION, "REDIS_URL": "redis://redis.example.com:6379/0"})
    assert run.returncode != 0
    assert "REDIS_URL" in run.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"REDIS_URL": "redis://redis.example.com:6379/0"}, "REDIS_URL has no password"),
        ({"HUB_DEBUG": "true"}, "unset HUB_DEBUG"),
        ({"HUB_ENCRYPTION_KEYS": ""}, "HUB_ENCRYPTION_KEYS is empty"),
    ],
)
def test_e8_f11_no_process_of_an_unsafe_production_starts(change: dict[str, str], says: str) -> None:
    """The web process by itself, workers and beat by the checks of every command."""
    for start in (["-c", "import hub.asgi"], ["manage.py", "worker"]):
        run = _run([sys.executable, *start], {**PRODUCTION, **change})
        assert run.returncode != 0
        assert says in run.stderr


def test_the_demo_switch_fails_the_deploy_check() -> None:
    run = _check({**PRODUCTION, "HUB_DEMO": "true"})
    assert run.returncode != 0
    assert "HUB_DEMO" in run.stderr
