"""The statements of the hot path say what the ORM says."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connection

from hub.models import Project
from hub.services import statements

NAMED = statements.Prepared(lambda id_: Project.objects.filter(id=id_).order_by("name"))


@pytest.fixture
def projects(db: None) -> list[Project]:
    return [Project.objects.create(name=f"p{n}", rules={"n": [n]}, description="é") for n in range(3)]


def test_a_prepared_statement_reads_what_the_orm_reads_for_every_value(projects: list[Project]) -> None:
    for project in [*projects, *reversed(projects)]:
        (found,) = NAMED.rows(project.id)
        assert found == Project.objects.get(id=project.id)
        assert (found.rules, found.created_at) == (project.rules, project.created_at)
    assert NAMED.rows(uuid.uuid4()) == []


@pytest.mark.django_db(transaction=True)
def test_each_thread_reads_through_its_own_connection() -> None:
    projects = [Project.objects.create(name=f"p{n}") for n in range(4)]
    found: dict[str, list[str]] = {}

    def read(project: Project) -> None:
        found[project.name] = [row.name for _ in range(20) for row in NAMED.rows(project.id)]
        connection.close()

    threads = [threading.Thread(target=read, args=[project]) for project in projects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {project.name: [project.name] * 20 for project in projects}


def test_an_update_writes_values_and_computed_columns_of_the_rows_it_names(projects: list[Project]) -> None:
    hit = statements.update(
        Project,
        {"rules": {"a": None}, "archived": True},
        "id = %s AND name = %s",
        [statements.key(projects[1].id), "p1"],
        computed=[("description = CASE WHEN name = %s THEN %s ELSE description END", ["p1", "new"])],
    )
    assert hit == 1
    rows = {row.name: (row.rules, row.archived, row.description) for row in Project.objects.all()}
    assert rows["p1"] == ({"a": None}, True, "new")
    assert rows["p0"] == ({"n": [0]}, False, "é")
    assert not statements.exists("SELECT 1 FROM hub_project WHERE name = %s", ["none"])
    assert statements.exists("SELECT 1 FROM hub_project WHERE name = %s", ["p1"])
