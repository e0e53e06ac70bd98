"""The fixed cast and its browsers: Alice owns `shop`, Bob reads it, Charlie is a stranger, Dana runs the platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from hub.api.throttle import buckets
from hub.models import Project, User
from hub.services.chat import clicks, people
from notifications.services import clock
from tests.hub import factories
from tests.hub.approvals import Cast
from tests.hub.chat import Chat
from tests.notifications.conftest import FakeClock
from tests.slackserver import SlackServer


@pytest.fixture(autouse=True)
def fresh_budgets() -> Iterator[None]:
    """Budgets count per process; a test starts with full ones."""
    for limit in (buckets, clicks.limit):
        limit.clear()
    people.forget()
    yield
    buckets.clear()


@pytest.fixture(autouse=True)
def static_root(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Collected static files are not part of a checkout; the middleware warns without the folder."""
    settings.STATIC_ROOT = tmp_path_factory.getbasetemp()


@pytest.fixture(autouse=True)
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What the doors would publish, instead of publishing it."""
    from hub.api import nudging

    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr(nudging, "look", lambda ids: sent.append(("look", list(ids))))
    monkeypatch.setattr(nudging, "poll", lambda ids: sent.extend(("poll", key) for key in ids))
    monkeypatch.setattr(nudging, "probe", lambda key: sent.append(("probe", key)))
    monkeypatch.setattr(nudging, "tell", lambda: None)
    return sent


@pytest.fixture
def shop(db: None) -> Project:
    return factories.project("shop")


@pytest.fixture
def bank(db: None) -> Project:
    return factories.project("bank")


@pytest.fixture
def alice(shop: Project) -> User:
    return factories.user("alice", "owner", shop)


@pytest.fixture
def bob(shop: Project) -> User:
    return factories.user("bob", "reader", shop)


@pytest.fixture
def charlie(bank: Project) -> User:
    return factories.user("charlie", "owner", bank)


@pytest.fixture
def dana(db: None) -> User:
    return factories.user("dana", is_superuser=True, is_staff=True)


@pytest.fixture
def cast(db: None) -> Cast:
    return Cast()


@pytest.fixture
def chat(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """A Slack whose channel #ops gets what happens."""
    time = FakeClock()
    monkeypatch.setattr(clock, "now", time)
    with SlackServer() as server:
        server.clock = lambda: time().timestamp()
        yield Chat(server, time)


class Api:
    """A signed-in browser that speaks JSON: `api.get("/applications")`."""

    def __init__(self, user: User | None = None, **options: Any) -> None:
        self.client = Client(raise_request_exception=False, **options)
        if user is not None:
            self.client.force_login(user)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = (
            path
            if path.startswith(("/api", "/admin", "/livez", "/readyz", "/healthz", "/metrics"))
            else f"/api/v1{path}"
        )
        if body is None:
            return self.client.generic(method, path, headers=named)
        import json

        return self.client.generic(method, path, json.dumps(body), "application/json", headers=named)

    def get(self, path: str, **headers: str) -> Any:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self("DELETE", path, **headers)
