"""/applications through the REST door (access-and-api.md 4; worked examples W24 and W29)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hub.models import Application, AuditEvent, Event, Project, Repository, User
from tests.hub import factories
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db


def document(**changes: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "project": "shop",
        "sources": [{"repo_url": "https://git.example.com/shop/web.git", "path": "deploy"}],
        "destination": {"cluster": "dev", "namespace": "shop"},
    } | changes


def test_an_owner_creates_reads_changes_and_deletes(alice: User, nudged: list[Any]) -> None:
    factories.cluster("dev")
    api = Api(alice)
    made = api.post("/applications", document())
    assert made.status_code == 201, made.content
    assert made["ETag"] == '"1"'
    app = Application.objects.get(name="web")
    assert ("look", [app.id]) in nudged
    read = api.get("/applications/web").json()
    assert read["destination"] == {"cluster": "dev", "namespace": "shop"}
    assert read["status"]["sync"] == "Unknown"
    changed = api.patch("/applications/web", {"labels": {"team": "shop"}}, If_Match='"1"')
    assert changed.status_code == 200, changed.content
    assert changed["ETag"] == '"2"'
    assert changed.json()["labels"] == {"team": "shop"}
    gone = api.delete("/applications/web?mode=detach")
    assert gone.status_code == 202
    assert gone.json()["deletion_requested_at"] is not None
    actions = list(AuditEvent.objects.filter(object_name="web").order_by("id").values_list("action", "via"))
    assert actions == [("create", "api"), ("update", "api"), ("delete (detach)", "api")]


def test_what_was_read_may_be_put_back_unchanged(alice: User) -> None:
    factories.application("web")
    api = Api(alice)
    read = api.get("/applications/web")
    stored = api.put("/applications/web", read.json(), If_Match=read["ETag"])
    assert stored.status_code == 200, stored.content


def test_w24_hidden_and_missing_are_byte_identical(charlie: User, shop: Project) -> None:
    factories.application("shop-web", project=shop)
    api = Api(charlie)
    for suffix in ("", "/resources", "/history", "/manifests"):
        hidden = api.get(f"/applications/shop-web{suffix}")
        missing = api.get(f"/applications/nope{suffix}")
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content


def test_b3_a_name_taken_by_something_hidden_is_not_available(
    charlie: User, shop: Project, bank: Project
) -> None:
    factories.application("shop-web", project=shop)
    answer = Api(charlie).post("/applications", document(name="shop-web", project="bank"))
    assert answer.status_code == 409
    assert answer.json()["code"] == "name_not_available"


def test_w29_a_stale_change_names_the_fields_that_differ(alice: User, dana: User) -> None:
    factories.application("web")
    first = Api(alice).get("/applications/web")["ETag"]
    Api(dana).patch("/applications/web", {"labels": {"team": "x"}, "on_delete": "cascade"}, If_Match=first)
    stale = Api(alice).patch("/applications/web", {"labels": {"team": "y"}}, If_Match=first)
    assert stale.status_code == 412
    assert stale.json()["fields"] == {"labels": ["was changed by dana"], "on_delete": ["was changed by dana"]}


def test_a_change_without_if_match_is_428_and_star_forces(alice: User) -> None:
    factories.application("web")
    api = Api(alice)
    assert api.patch("/applications/web", {"labels": {}}).status_code == 428
    assert api.patch("/applications/web", {"labels": {"a": "b"}}, If_Match="*").status_code == 200


def test_put_with_if_none_match_only_creates(alice: User) -> None:
    factories.cluster("dev")
    api = Api(alice)
    body = document()
    assert api.put("/applications/web", body, If_None_Match="*").status_code == 201
    again = api.put("/applications/web", body, If_None_Match="*")
    assert (again.status_code, again.json()["code"]) == (409, "name_not_available")


def test_an_unchanged_document_is_304(alice: User) -> None:
    factories.application("web")
    assert Api(alice).get("/applications/web", If_None_Match='"1"').status_code == 304


def test_a_dry_run_answers_and_stores_nothing(alice: User, nudged: list[Any]) -> None:
    factories.cluster("dev")
    answer = Api(alice).post("/applications?dry_run=true", document())
    assert answer.status_code == 200, answer.content
    assert answer.json()["dry_run"] is True
    assert not Application.objects.exists()
    assert not AuditEvent.objects.filter(action="create").exists()


def test_every_error_of_a_document_comes_at_once_by_path(alice: User) -> None:
    answer = Api(alice).post("/applications", document(name="Web", destination={"namespace": "A"}, typo=1))
    assert answer.status_code == 422
    assert set(answer.json()["fields"]) == {"name", "destination.cluster", "destination.namespace", "typo"}


def test_f2_addresses_and_paths_that_could_become_options_are_refused_at_the_door(alice: User) -> None:
    factories.cluster("dev")
    hostile = [
        {"repo_url": "--upload-pack=/bin/true", "path": "x"},
        {"repo_url": "ext::sh -c true", "path": "x"},
        {"repo_url": "https://git.example.com/a.git", "path": "../x"},
        {"repo_url": "https://git.example.com/a.git", "path": "x", "target_revision": "--output=/x"},
        {"repo_url": "https://git.example.com/a.git", "path": "x", "target_revision": "HEAD@{1}"},
        {"repo_url": "https://git.example.com/a.git\n", "path": "x"},
        {"repo_url": "https://git.example.com/$HOME/a.git", "path": "x", "target_revision": "a\u0000b"},
    ]
    for source in hostile:
        answer = Api(alice).post("/applications", document(sources=[source]))
        assert answer.status_code in {400, 422}, (source, answer.content)
    assert not Application.objects.exists()


def test_a_reader_sees_and_may_not_change(bob: User) -> None:
    factories.application("web")
    api = Api(bob)
    assert api.get("/applications/web").status_code == 200
    for answer in (
        api.patch("/applications/web", {"labels": {}}, If_Match="*"),
        api.delete("/applications/web"),
        api.post("/applications/web/sync", {}),
        api.post("/applications", document(name="other")),
    ):
        assert answer.status_code == 403, answer.content
        assert answer.json()["code"] == "forbidden"
    assert Application.objects.get().generation == 1
    assert AuditEvent.objects.filter(outcome="denied", actor_name="bob").count() == 4


def test_b2_moving_into_a_foreign_project_is_refused(alice: User, bank: Project) -> None:
    factories.application("web")
    answer = Api(alice).patch("/applications/web", {"project": "bank"}, If_Match="*")
    missing = Api(alice).patch("/applications/web", {"project": "nope"}, If_Match="*")
    assert answer.status_code == 422
    assert answer.content == missing.content
    assert Application.objects.get().project.name == "shop"


def test_refresh_makes_the_repository_due_and_nudges(alice: User, nudged: list[Any]) -> None:
    repository = Repository.objects.create(
        url="https://git.example.com/shop/web.git", normal_url="git.example.com/shop/web"
    )
    app = factories.application("web")
    app.source_states.create(index=0, repository=repository)
    assert Api(alice).post("/applications/web/refresh").status_code == 202
    repository.refresh_from_db()
    assert repository.next_poll_at is not None
    assert nudged == [("poll", repository.id), ("look", [app.id])]


def test_a_change_is_found_by_when_it_was_made(alice: User) -> None:
    app = factories.application("web")
    api = Api(alice)
    before = app.updated_at
    api.patch("/applications/web", {"labels": {"team": "shop"}}, If_Match="*")
    app.refresh_from_db()
    assert app.updated_at > before
    since = app.updated_at.isoformat().replace("+00:00", "Z")
    assert [row["name"] for row in api.get(f"/applications?updated_since={since}").json()["items"]] == ["web"]


@pytest.mark.parametrize(
    ("retry", "path"),
    [
        ({"limit": -2}, "limit"),
        ({"duration": "soon"}, "duration"),
        ({"duration": "-5m"}, "duration"),
        ({"factor": 0}, "factor"),
        ({"max_duration": ""}, "max_duration"),
    ],
)
def test_a_retry_that_cannot_be_read_is_refused_at_the_door(alice: User, retry: Any, path: str) -> None:
    factories.cluster("dev")
    answer = Api(alice).post("/applications", document(sync_policy={"retry": retry}))
    assert answer.status_code == 422, answer.content
    assert list(answer.json()["fields"]) == [f"sync_policy.retry.{path}"]


def test_pr15_windows_say_who_may_sync_now_and_until_when(alice: User, shop: Project) -> None:
    freeze = {
        "kind": "deny",
        "schedule": "0 0 1 1 *",
        "duration": "8760h",
        "applications": ["web"],
        "manual_sync": True,
    }
    other = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["api"]}
    shop.rules = shop.rules | {"windows": [freeze | {"description": "freeze"}, other]}
    shop.save()
    factories.application("web", project=shop)
    found = Api(alice).get("/applications/web/windows").json()
    assert (found["automatic"]["allowed"], found["automatic"]["reason"]) == (
        False,
        "sync window freeze denies",
    )
    assert found["manual"]["allowed"] is True
    assert [(row["name"], row["active"], row["manual_sync"]) for row in found["windows"]] == [
        ("freeze", True, True)
    ]


def test_events_are_found_by_the_name_of_their_application(alice: User) -> None:
    web, api = factories.application("web"), factories.application("api")
    for app in (web, api):
        Event.objects.create(
            key=app.name, name="deployed", project="shop", application=app.id, occurred_at=timezone.now()
        )
    for value in ("web", str(web.id)):
        found = Api(alice).get(f"/events?application={value}").json()["items"]
        assert [row["key"] for row in found] == ["web"]
    assert Api(alice).get("/events?application=nope").json()["items"] == []


def test_the_hint_for_signing_in_can_be_read(client: Client) -> None:
    hint = client.get("/api/v1/me").json()["hint"]
    assert "Bearer" in hint
    assert "***" not in hint


def test_an_event_to_explain_has_to_be_named(dana: User) -> None:
    answer = Api(dana).get("/notifications/explain")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


@pytest.mark.parametrize("strategy", [[], {}, 1, "fly"])
def test_a_strategy_that_is_none_is_refused(alice: User, strategy: Any) -> None:
    factories.application("web")
    answer = Api(alice).post("/applications/web/sync", {"strategy": strategy})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["strategy"])
