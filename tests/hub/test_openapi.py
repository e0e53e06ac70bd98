"""OpenAPI: what is committed is what is served, and generated calls never break the hub (access-and-api.md AP12)."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
import yaml
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, settings

from clusters.models import Cluster
from hub.api import throttle
from hub.models import Project, Repository, User
from hub.services import probing
from tests.hub import factories
from tests.hub.conftest import Api

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "openapi.yaml"
EXAMPLES = 4
# These ask a real cluster, or end the session that the test lives in.
LEFT_OUT = (
    "/tree",
    "/resource",
    "/resource/actions",
    "/resource/events",
    "/logs",
    "/plan",
    "/rollback",
    "/schema",
    "/docs",
)


def generated() -> str:
    out = io.StringIO()
    call_command("spectacular", "--fail-on-warn", stdout=out)
    return out.getvalue()


def test_the_committed_document_is_current() -> None:
    assert COMMITTED.read_text() == generated(), "run: make openapi"


def test_every_route_of_the_api_says_what_it_answers() -> None:
    document = yaml.safe_load(COMMITTED.read_text())
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert operation.get("summary"), (verb, path)
            codes = set(operation["responses"])
            assert any(code.startswith("2") for code in codes), (verb, path)


def test_no_answer_describes_a_write_only_field() -> None:
    """A credential may be named in bodies alone."""
    shapes = yaml.safe_load(COMMITTED.read_text())["components"]["schemas"]
    for name in ("Cluster", "ClusterSummary", "Repository", "RepositorySummary", "Account", "Token"):
        found = {
            field
            for field in shapes[name]["properties"]
            if "password" in field or field in {"token", "value"}
        }
        assert not found, (name, found)


def test_signed_in_people_read_the_document_and_its_pages(db: None) -> None:
    person = factories.user("alice")
    assert Api().get("/schema").status_code == 401
    assert Api(person).get("/schema").json()["openapi"].startswith("3.1")
    page = Api(person).get("/docs").content.decode()
    assert "https://cdn" not in page
    assert "/static/drf_spectacular_sidecar/" in page


@pytest.fixture
def everything(db: None, monkeypatch: pytest.MonkeyPatch) -> User:
    """One row of each noun, so that generated calls find something."""
    for kind in throttle.RATES:
        monkeypatch.setitem(throttle.RATES, kind, throttle.Rate(1e9, 1e9))
    monkeypatch.setattr(probing.clusters, "probe", lambda connection: None)
    Repository.objects.create(url="https://git.example.com/a.git", normal_url="git.example.com/a")
    factories.application("web", cluster=Cluster.objects.create(name="dev", server="https://dev.example.com"))
    return factories.user("dana", is_superuser=True)


NAMES = {"name": "web", "username": "alice"}


def test_generated_calls_get_no_5xx_and_only_described_answers(everything: User) -> None:
    api = Api(everything)
    schema = schemathesis.openapi.from_dict(yaml.safe_load(COMMITTED.read_text()))
    tried: dict[str, int] = {}

    def check(case: Any) -> None:
        call(api, case, tried)

    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(LEFT_OUT) or (
            operation.path.endswith("/session") and operation.method != "get"
        ):
            continue
        bounded = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        bounded(hypothesis.given(operation.as_strategy())(check))()
    assert len(tried) > 40
    assert Project.objects.filter(name="default").exists()


def call(api: Api, case: Any, tried: dict[str, int]) -> None:
    """One generated request, half of the time for an object that exists."""
    number = tried.get(case.operation.label, 0)
    tried[case.operation.label] = number + 1
    path = case.formatted_path
    if number % 2:
        for name, value in NAMES.items():
            path = (
                path.replace(str(case.path_parameters.get(name, "\0")), value)
                if case.path_parameters
                else path
            )
    query = {name: value for name, value in (case.query or {}).items() if isinstance(value, (str, int))}
    body = case.body if isinstance(case.body, (dict, list, str, int, type(None))) else None
    text = "" if body is None else json.dumps(body)
    headers = {"If-Match": "*"} if case.method in {"PUT", "PATCH"} else {}
    answer = api.client.generic(
        case.method,
        path.split("?")[0],
        text.encode("utf-8", "surrogatepass"),
        "application/json",
        query_params=query,
        headers=headers,
    )
    where = (case.method, path, query, text[:300], answer.status_code, answer.content[:300])
    assert answer.status_code < 500, where
    if answer.status_code != 405 and "%2F" not in path:
        described = set(case.operation.definition.raw["responses"])
        assert str(answer.status_code) in described | {"304"}, where
    if answer.content:
        assert answer["Content-Type"].startswith("application/json"), where
