"""How this hub is: whether it can serve, and one line per part for people (access-and-api.md OB3)."""

from __future__ import annotations

import shutil
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

import hub.services.heartbeats as heartbeats
from guard.fields import DecryptionError
from hub.models import Application, HubIdentity

BEATS = {"worker": 60.0, "tick": 15.0}
LATE_S, DISK_FREE = 300.0, 0.05
_migrated = False


def readiness() -> dict[str, str]:
    """Why this process cannot serve, by part; empty when it can: database, migrations, encryption keys."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not migrated():
            return {"migrations": "some are not applied: manage.py migrate"}
        if not HubIdentity.objects.get().mask_key.reveal():
            return {"keys": "the hub has no mask key: manage.py migrate"}
    except DatabaseError:
        return {"database": "does not answer"}
    except DecryptionError:
        return {"keys": "a stored secret cannot be decrypted with HUB_ENCRYPTION_KEYS"}
    return {}


def migrated() -> bool:
    """All migrations are applied; true stays true for the life of the process."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def parts() -> dict[str, dict[str, Any]]:
    """One entry per part: {"ok", "message"}; a worker is alive only if it consumed something lately."""
    found = {name: {"ok": False, "message": why} for name, why in readiness().items()}
    if "database" in found:
        return found
    found.setdefault("database", {"ok": True, "message": "answers"})
    ages = heartbeats.ages()
    for role, most in BEATS.items():
        age = ages.get(role)
        said = "never beat" if age is None else f"last beat {age:.0f} s ago"
        found[role] = {"ok": age is not None and age <= most, "message": said}
    oldest = Application.objects.filter(next_look_at__isnull=False).order_by("next_look_at").first()
    wait = (timezone.now() - oldest.next_look_at).total_seconds() if oldest and oldest.next_look_at else 0.0
    found["queue"] = {"ok": wait < LATE_S, "message": f"oldest look is {max(0.0, wait):.0f} s late"}
    try:
        usage = shutil.disk_usage(settings.DATA_DIR)
        free = usage.free / usage.total
        found["disk"] = {"ok": free > DISK_FREE, "message": f"{free:.0%} free"}
    except OSError:
        found["disk"] = {"ok": False, "message": "the data folder is missing"}
    return found
