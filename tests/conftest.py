"""What every test may use. Rows of the first migrations are there also after a transactional test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture(scope="session", autouse=False)
def django_db_setup(django_db_setup: None, django_db_blocker: object) -> Iterator[None]:  # noqa: PT004
    """Transactional tests empty all tables: the trigger that keeps the audit would refuse that on SQLite."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        if connection.vendor == "sqlite":
            connection.cursor().execute("DROP TRIGGER IF EXISTS audit_no_delete")
    yield
