"""The statements of the hot path say what the ORM says."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from hub.models import AuditEvent, Project
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


def test_an_insert_writes_what_the_orm_would_and_updates_only_the_named_fields(db: None) -> None:
    made = [Project(name=f"i{n}", rules={"n": [n]}, description="é", labels={"a": "b"}) for n in range(3)]
    statements.insert(made)
    assert [row._state.adding for row in made] == [False] * 3
    rows = Project.objects.filter(name__startswith="i").order_by("name")
    assert [(r.id, r.rules, r.description, r.labels) for r in rows] == [
        (p.id, p.rules, "é", {"a": "b"}) for p in made
    ]
    assert all(row.created_at == project.created_at for row, project in zip(rows, made, strict=True))

    again = [Project(name="i1", rules={"new": 1}, description="other"), Project(name="i9", rules={})]
    statements.insert(again, unique=["name"], update=["rules"])
    assert Project.objects.values_list("name", "rules", "description").get(name="i1") == (
        "i1",
        {"new": 1},
        "é",
    )
    statements.insert([Project(name="i9", rules={"lost": 1})], unique=["name"])
    assert Project.objects.get(name="i9").rules == {}
    with pytest.raises(IntegrityError), transaction.atomic():
        statements.insert([Project(name="i1")])


def test_more_rows_than_one_statement_takes_are_inserted_in_several(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_MOST_PARAMETERS", 40)
    statements.insert([Project(name=f"m{n}") for n in range(11)])
    assert Project.objects.filter(name__startswith="m").count() == 11
    before = AuditEvent.objects.count()
    statements.insert([AuditEvent(actor_kind="user", action=f"a{n}") for n in range(3)])
    assert AuditEvent.objects.count() == before + 3


PAIR = statements.Prepared(
    lambda name, text: Project.objects.filter(Q(description=text) | Q(name=text), name=name),
    "name",
    "description",
)


def test_a_prepared_statement_of_two_values_keeps_them_apart_even_when_they_are_equal(db: None) -> None:
    for name, text in [("same", "same"), ("a", "b"), ("b", "a")]:
        Project.objects.create(name=name, description=text)
    for _ in range(2):
        assert [row.name for row in PAIR.rows("same", "same")] == ["same"]
        assert [row.name for row in PAIR.rows("a", "b")] == ["a"]
        assert [row.name for row in PAIR.rows("b", "a")] == ["b"]
        assert [row.name for row in PAIR.rows("b", "b")] == ["b"]
        assert PAIR.rows("b", "c") == []


def test_an_insert_says_how_many_rows_it_wrote_and_leaves_those_alone_that_exist(db: None) -> None:
    first = Project(name="one", description="first")
    assert statements.insert([first], unique=["name"]) == 1
    again = [Project(name="one", description="second"), Project(name="two", archived=True, rules={"a": 1})]
    assert statements.insert(again, unique=["name"]) == 1
    assert Project.objects.get(name="one").description == "first"
    two = Project.objects.get(name="two")
    assert (two.archived, two.rules, two.generation) == (True, {"a": 1}, Project(name="x").generation)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, None, True, 1.5, "é\u2028"]}, [], {}, "text", 0, {1: "a"}, {"big": 2**70}, {"half": "\ud800"}],
    ids=repr,
)
def test_json_is_stored_as_the_orm_stores_it(db: None, value: object) -> None:
    if connection.vendor == "postgresql" and "half" in repr(value):
        pytest.skip("PostgreSQL refuses it, whoever writes it")
    Project.objects.create(name="orm", rules=value)
    statements.insert([Project(name="inserted", rules=value)])
    Project.objects.create(name="updated")
    statements.update(Project, {"rules": value}, "name = %s", ["updated"])
    rows = dict(Project.objects.values_list("name", "rules"))
    assert rows["inserted"] == rows["updated"] == rows["orm"]
    assert Project.objects.filter(rules=value).count() >= 3
