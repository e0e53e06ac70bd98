"""The admin site without the theme (access-and-api.md AD4), in a process of its own: the choice is made at import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
from hub.settings import *
INSTALLED_APPS = [name for name in INSTALLED_APPS if name != "unfold"]
DATABASES["default"]["NAME"] = {database!r}
"""
SCRIPT = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.admin import ModelAdmin
from django.test import Client
from hub.admin.base import BaseAdmin
from hub.models import User
assert BaseAdmin is ModelAdmin
client = Client()
client.force_login(User.objects.create(username="dana", is_staff=True, is_superuser=True))
for page in ("hub/application", "hub/project", "hub/repository", "clusters/cluster", "hub/user", "hub/event"):
    assert client.get(f"/admin/{page}/").status_code == 200, page
for page in ("hub/application", "hub/project", "hub/repository", "clusters/cluster", "hub/user"):
    assert client.get(f"/admin/{page}/add/").status_code == 200, page
print("plain pages answer")
"""


def test_ad4_every_page_works_without_the_theme(tmp_path: Path) -> None:
    (tmp_path / "plain_settings.py").write_text(SETTINGS.format(database=str(tmp_path / "plain.sqlite3")))
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HUB_", "DATABASE_", "REDIS_"))
        },
        "DJANGO_SETTINGS_MODULE": "plain_settings",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "HUB_DATA_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "plain pages answer\n", done.stderr[-2000:]
