"""One shape for every failure, pages, preconditions, replays (access-and-api.md AP2-AP8; C8, E12, F8; W30, W31)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from hub.api import lists, projects
from hub.models import Application, AuditEvent, Project, User
from tests.hub import factories
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db


def shaped(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert body["code"] == code
    assert set(body) <= {"code", "message", "hint", "fields"}
    assert body["message"]
    assert answer["X-Request-Id"]
    assert answer["Content-Type"].startswith("application/json")


def test_every_failure_has_one_shape(dana: User, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(dana)
    shaped(Api().get("/applications"), 401, "not_signed_in")
    shaped(api.get("/nowhere"), 404, "not_found")
    shaped(api.get("/api/v2/applications"), 404, "not_found")
    shaped(api.get("/applications/"), 404, "not_found")
    shaped(api("PUT", "/applications"), 405, "method_not_allowed")
    shaped(api.client.post("/api/v1/projects", "{", content_type="application/json"), 400, "malformed")
    shaped(api.client.post("/api/v1/projects", "[" * 500, content_type="application/json"), 400, "malformed")
    deep = "[" * 100 + "]" * 100
    shaped(api.client.post("/api/v1/projects", deep, content_type="application/json"), 400, "malformed")
    shaped(
        api.client.post("/api/v1/projects", b'{"name": "\xff"}', content_type="application/json"),
        400,
        "malformed",
    )
    shaped(api.post("/projects", {"name": "x" * 1_100_000}), 413, "too_large")
    shaped(
        api.client.post("/api/v1/projects", "a: b", content_type="text/yaml"), 415, "unsupported_media_type"
    )
    shaped(api.post("/projects", []), 400, "invalid")


def test_c8_an_unexpected_error_is_a_fixed_500_with_the_request_id(
    dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(request: Any) -> None:
        secret = "local-variable-secret"
        raise RuntimeError(secret)

    monkeypatch.setattr(projects.rights, "visible_projects", broken)
    answer = Api(dana).get("/projects", X_Request_Id="mine-1")
    shaped(answer, 500, "internal")
    assert answer["X-Request-Id"] == "mine-1"
    assert "secret" not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()


def test_h5_a_database_that_is_away_is_503_with_retry_after(
    dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(request: Any) -> None:
        raise OperationalError("connection refused at 10.0.0.1")

    monkeypatch.setattr(projects.rights, "visible_projects", away)
    answer = Api(dana).get("/projects")
    shaped(answer, 503, "unavailable")
    assert answer["Retry-After"] == "5"
    assert "10.0.0.1" not in answer.content.decode()


def test_a_request_id_that_is_not_harmless_is_replaced(dana: User) -> None:
    answer = Api(dana).get("/version", X_Request_Id="<script>")
    assert "<" not in answer["X-Request-Id"]
    assert len(answer["X-Request-Id"]) >= 32


def test_the_request_id_is_in_the_audit(dana: User) -> None:
    Api(dana).post("/projects", {"name": "team"}, X_Request_Id="req-7")
    assert AuditEvent.objects.get(action="create").request_id == "req-7"


@pytest.fixture
def many(shop: Project) -> None:
    cluster = factories.cluster("dev")
    Application.objects.bulk_create(
        Application(
            name=f"app-{number:03}",
            project=shop,
            cluster=cluster,
            labels={"team": "a" if number % 2 else "b"} | ({"canary": "yes"} if number < 3 else {}),
            annotations={"x": "y"},
            sync_status="OutOfSync" if number % 3 else "Synced",
            sources=[{"repoURL": "https://git.example.com/a.git", "path": f"apps/{number}"}],
            sync_policy=POLICIES[number] if number < len(POLICIES) else {},
            conditions=[{"type": "SyncError"}] if number == 5 else [],
            revisions=["c" * 40] if number == 6 else [],
        )
        for number in range(25)
    )


POLICIES: list[dict[str, Any]] = [
    {"automated": {}},
    {"automated": {"enabled": False}},
    {"automated": {"prune": True}},
    {"automated": None},
    {"automated": {"enabled": True}},
]


def pages(api: Api, query: str) -> list[str]:
    names, cursor = [], ""
    while True:
        page = api.get(f"/applications?limit=4&{query}&cursor={cursor}").json()
        names += [row["name"] for row in page["items"]]
        if not page["next"]:
            return names
        cursor = page["next"]


@pytest.mark.parametrize("sort", ["name", "-name", "sync", "-sync", "health"])
def test_ap4_pages_neither_skip_nor_repeat(dana: User, many: None, sort: str) -> None:
    columns = {"name": ["name"], "sync": ["sync_status", "name"], "health": ["health_status", "name"]}
    order = [("-" if sort.startswith("-") else "") + column for column in columns[sort.lstrip("-")]]
    assert pages(Api(dana), f"sort={sort}") == list(
        Application.objects.order_by(*order).values_list("name", flat=True)
    )


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("q=app-01", range(10, 20)),
        ("sync=Synced", range(0, 25, 3)),
        ("sync=Synced,OutOfSync", range(25)),
        ("drifted=false", range(0, 25, 3)),
        ("auto_sync=true", [0, 2, 4]),
        ("auto_sync=false", [n for n in range(25) if n not in (0, 2, 4)]),
        ("condition=SyncError", [5]),
        ("revision=" + "c" * 40, [6]),
        ("path=apps/7", [7]),
        ("selector=team=a,!canary", range(3, 25, 2)),
        ("selector=team!%3Da", range(0, 25, 2)),
        ("selector=team in (a, b),canary", range(3)),
        ("project=shop&cluster=dev", range(25)),
        ("project=bank", []),
        ("repository=https://GIT.example.com/a", []),
        ("updated_since=2999-01-01T00:00:00Z", []),
    ],
)
def test_filters(dana: User, many: None, query: str, numbers: Any) -> None:
    assert pages(Api(dana), query.replace(" ", "%20")) == [f"app-{number:03}" for number in numbers]


@pytest.mark.parametrize(
    "query",
    [
        "project__members__user__password__startswith=a",
        "sort=project__name",
        "sort=password",
        "_connector=OR",
        "labels__team=a",
        "limit=0",
        "limit=501",
        "limit=1e3",
        "count=perhaps",
        "fields=password",
        "cursor=abc",
        "sync=Nope",
        "selector=a=b'--",
        "selector=a__b__c",
        "updated_since=yesterday",
        "auto_sync=1",
        "view=everything",
        "q=%00",
    ],
)
def test_f8_parameters_never_become_lookups(dana: User, many: None, query: str) -> None:
    answer = Api(dana).get(f"/applications?{query}")
    if query == "selector=a__b__c":
        assert answer.json()["items"] == []
    else:
        shaped(answer, 400, "bad_parameter")


def test_e12_a_cursor_is_signed_and_bound_to_one_person(dana: User, alice: User, many: None) -> None:
    cursor = Api(dana).get("/applications?limit=2").json()["next"]
    assert Api(dana).get(f"/applications?limit=2&cursor={cursor}").status_code == 200
    shaped(Api(alice).get(f"/applications?limit=2&cursor={cursor}"), 400, "bad_parameter")
    shaped(Api(dana).get(f"/applications?cursor={cursor[:-2]}xx"), 400, "bad_parameter")
    shaped(Api(dana).get(f"/applications?sort=-name&cursor={cursor}"), 400, "bad_parameter")
    shaped(Api(dana).get(f"/projects?cursor={cursor}"), 400, "bad_parameter")


def test_ap4_totals_only_when_asked_and_stopped(
    dana: User, many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "total" not in Api(dana).get("/applications").json()
    assert Api(dana).get("/applications?count=true&sync=Synced").json()["total"] == 9
    monkeypatch.setattr(lists, "COUNTED", 10)
    assert Api(dana).get("/applications?count=true").json()["total"] == 10


def test_ap5_projection(dana: User, many: None) -> None:
    page = Api(dana).get("/applications?limit=1&fields=name,sync").json()
    assert page["items"] == [{"name": "app-000", "sync": "Synced"}]
    assert "sources" in Api(dana).get("/applications?view=full&limit=1").json()["items"][0]
    assert Api(dana).get("/applications?view=full&limit=51").status_code == 400
    line = Api(dana).get("/applications?limit=1").json()["items"][0]
    assert len(str(line)) <= 600


def test_w30_the_same_key_and_body_is_answered_and_not_done_again(dana: User) -> None:
    api = Api(dana)
    first = api.post("/projects", {"name": "payments"}, Idempotency_Key="k-1")
    again = api.post("/projects", {"name": "payments"}, Idempotency_Key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Idempotent-Replay"] == "true"
    assert Project.objects.filter(name="payments").count() == 1
    assert AuditEvent.objects.filter(action="create").count() == 1


def test_w31_the_same_key_with_another_body_is_refused(dana: User) -> None:
    api = Api(dana)
    api.post("/projects", {"name": "payments"}, Idempotency_Key="k-1")
    shaped(api.post("/projects", {"name": "other"}, Idempotency_Key="k-1"), 422, "idempotency_key_reused")


def test_e12_a_key_of_somebody_else_means_nothing(dana: User) -> None:
    other = factories.user("erin", is_superuser=True)
    Api(dana).post("/projects", {"name": "payments"}, Idempotency_Key="k-1")
    answer = Api(other).post("/projects", {"name": "erins"}, Idempotency_Key="k-1")
    assert answer.status_code == 201


def test_a_refused_request_is_not_kept(dana: User) -> None:
    api = Api(dana)
    assert api.post("/projects", {"name": "Bad"}, Idempotency_Key="k-1").status_code == 422
    assert api.post("/projects", {"name": "good"}, Idempotency_Key="k-1").status_code == 201


def test_an_answer_that_held_a_secret_is_not_replayed(dana: User) -> None:
    api = Api(dana)
    assert api.post("/me/tokens", {"name": "ci"}, Idempotency_Key="k-1").status_code == 201
    shaped(api.post("/me/tokens", {"name": "ci"}, Idempotency_Key="k-1"), 409, "secret_already_shown")


def test_settings_and_version_hold_no_secret(dana: User, settings: Any) -> None:
    text = Api(dana).get("/settings").content.decode() + Api(dana).get("/version").content.decode()
    for secret in (settings.SECRET_KEY, *settings.HUB_ENCRYPTION_KEYS, settings.DATABASES["default"]["NAME"]):
        assert str(secret) not in text


def test_ob3_health_tells_details_only_to_whoever_is_signed_in(dana: User) -> None:
    assert Api().get("/livez").json() == {"status": "ok"}
    assert Api().get("/readyz").json() == {"status": "ok"}
    assert Api().get("/healthz").json() == {"status": "degraded"}
    parts = Api(dana).get("/healthz").json()["parts"]
    assert parts["database"]["ok"]
    assert parts["worker"] == {"ok": False, "message": "never beat"}
