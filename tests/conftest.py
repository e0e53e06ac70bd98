"""What every test may use. Rows of the first migrations are there also after a transactional test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, not about us.
settings.register_profile("hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")


@pytest.fixture(scope="session", autouse=False)
def django_db_setup(django_db_setup: None, django_db_blocker: object) -> Iterator[None]:
    """Transactional tests empty all tables: the trigger that keeps the audit would refuse that on SQLite."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        if connection.vendor == "sqlite":
            connection.cursor().execute("DROP TRIGGER IF EXISTS audit_no_delete")
    yield


@pytest.fixture(autouse=True)
def _no_lease_outlives_its_test() -> Iterator[None]:
    """Tests of kills leave leases behind; a keeper that went on renewing them would meet the next test's database."""
    yield
    if "hub.services.leases" in sys.modules:
        sys.modules["hub.services.leases"].keeper.forget()


@pytest.fixture(autouse=True)
def _first_rows(request: pytest.FixtureRequest) -> None:
    """Transactional tests end by emptying all tables: the rows of the first migrations are made anew for the next."""
    marker = request.node.get_closest_marker("django_db")
    wants = "transactional_db" in request.fixturenames or bool(marker and marker.kwargs.get("transaction"))
    if not wants:
        return
    request.getfixturevalue("transactional_db")
    from hub.models import HubIdentity
    from hub.services import events

    if not HubIdentity.objects.exists():
        importlib.import_module("hub.migrations.0002_first_rows").first_rows(apps, None)
    events.hub_id.cache_clear()
    events.mask_key.cache_clear()
