"""Queries per page, as data: the same number for 20 rows and for 10,000 (access-and-api.md AP5, AD2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hub.models import Application, AuditEvent, Event, Project, Repository, SyncOperation, User
from tests.hub import factories
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
BUDGETS: dict[str, int] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "query_counts.json").read_text()
)


def fill(start: int, end: int) -> None:
    project = factories.project("shop")
    clusters = [factories.cluster(name) for name in ("dev", "stage", "prod")]
    numbers = range(start, end)
    apps = [
        Application(
            name=f"app-{number:05}",
            project=project,
            cluster=clusters[number % 3],
            sync_status="OutOfSync" if number % 7 == 0 else "Synced",
            health_status="Healthy",
            sources=[{"repoURL": "https://git.example.com/a.git", "path": "x"}],
            revisions=["a" * 40],
        )
        for number in numbers
    ]
    Application.objects.bulk_create(apps, batch_size=500)
    few = apps[:60]
    SyncOperation.objects.bulk_create(
        SyncOperation(application=app, number=1, phase="Succeeded") for app in few
    )
    Event.objects.bulk_create(
        Event(key=app.name, name="sync-started", project="shop", occurred_at=timezone.now()) for app in few
    )
    AuditEvent.objects.bulk_create(AuditEvent(action="sync", object_name=app.name) for app in few)
    Project.objects.bulk_create(Project(name=f"team-{number}") for number in numbers[:60])
    Repository.objects.bulk_create(
        Repository(url=f"https://git.example.com/{app.name}", normal_url=app.name, project=project)
        for app in few
    )


def count(api: Api, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = api.get(address)
    assert answer.status_code == 200, (address, answer.content[:300])
    return len(queries)


def test_every_page_needs_a_constant_number_of_queries_within_its_budget(dana: User) -> None:
    api = Api(dana)
    fill(0, 20)
    few = {address: count(api, address) for address in BUDGETS}
    fill(20, 10_000)
    many = {address: count(api, address) for address in BUDGETS}
    assert many == few
    over = {address: number for address, number in many.items() if number > BUDGETS[address]}
    assert not over, over


def test_a_member_pays_the_same(bob: User) -> None:
    fill(0, 60)
    assert count(Api(bob), "/api/v1/applications") <= BUDGETS["/api/v1/applications"] + 2
