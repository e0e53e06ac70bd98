"""Who may see and do what, generated from the router: no route is forgotten (A12, B1, B3, B6; access-and-api.md 2)."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from clusters.models import Cluster
from guard.redact import redact
from hub.api import throttle
from hub.core.manifest_sets import Origin, manifest_set, pack
from hub.models import (
    ApiToken,
    Application,
    AuditEvent,
    ChatIdentity,
    Event,
    IdempotentAnswer,
    ManifestSet,
    Project,
    ProjectMember,
    Repository,
    ResourceStatus,
    SyncOperation,
    User,
)
from hub.services import accounts, rights
from hub.services.actors import SYSTEM
from notifications.models import Delivery, Destination, EventCopy, Service, Silence, Subscription
from tests.hub import factories
from tests.hub.approvals import DIGEST, opened, policy
from tests.hub.conftest import Api

pytestmark = pytest.mark.django_db
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SENTINEL = "sentinel-77aa01"
# What answers without a sign-in; a new route fails until somebody writes it here (A12).
OPEN = {
    ("POST", "/api/v1/session"),
    ("GET", "/livez"),
    ("HEAD", "/livez"),
    ("GET", "/readyz"),
    ("HEAD", "/readyz"),
    ("GET", "/healthz"),
    ("HEAD", "/healthz"),
}
# Addresses that exist for everybody: the catch-all that answers 404, the sign-in form, webhooks and chats that prove
# themselves, the page of a one-time code, old links that lead to a list of the admin site.
NOWHERE = re.compile(
    r"^/api/v1/$|^/admin/(login|jsi18n)/|^/admin/\(\?P<url>|^/webhooks|^/api/(v1/)?webhooks?"
    r"|^/api/v1/slack/interactions$|^/link/|^/applications/"
)
# Looking again changes nothing of what is wanted (AC2).
MAY_ALSO_READERS = ("/refresh", "/plan")
# These ask a real cluster for what is there now.
LIVE = re.compile(r"/(logs|tree|resource(/.*)?)$")
HEALTH = {"/livez", "/readyz", "/healthz"}


def routes(patterns: Any = None, prefix: str = "/") -> Iterator[str]:
    for pattern in patterns or get_resolver().url_patterns:
        address = prefix + str(pattern.pattern).lstrip("^").rstrip("$")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield address


def filled(route: str, **known: Any) -> str:
    def value(match: re.Match[str]) -> str:
        kind, name = match.group(1) or "", match.group(2)
        usual = {"uuid:": uuid.UUID(int=1), "int:": 7}.get(kind, "web")
        return str(known.get(name) or usual)

    return re.sub(r"<(?:(\w+:))?(\w+)>", value, route).replace("\\Z", "")


def test_a12_every_route_wants_a_sign_in_unless_it_is_listed() -> None:
    seen, nobody = set(), Api()
    for route in routes():
        if NOWHERE.search(route):
            continue
        address = filled(route)
        for verb in VERBS:
            seen.add((verb, route))
            if (verb, route) in OPEN or (route in HEALTH and verb != "GET"):
                continue
            status = nobody.client.generic(verb, address).status_code
            assert status in {301, 302, 401, 403}, (verb, address, status)
    assert seen >= OPEN


@pytest.fixture(autouse=True)
def generous_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask more than a person may."""
    for kind in throttle.RATES:
        monkeypatch.setitem(throttle.RATES, kind, throttle.Rate(1e6, 1e6))


@pytest.fixture
def world(shop: Project) -> dict[str, Any]:
    """Everything of Project `shop`, with sentinels in every secret field."""
    repository = Repository(
        url="https://git.example.com/shop/web.git", normal_url="git.example.com/shop/web", project=shop
    )
    for column in ("password", "bearer_token", "ssh_private_key", "client_key_pem", "proxy_url"):
        setattr(repository, column, f"{SENTINEL}-{column}")
    repository.save()
    cluster = Cluster(name="dev", server="https://dev.example.com", scope="shop")
    for column in ("token", "client_key_pem", "proxy_url"):
        setattr(cluster, column, f"{SENTINEL}-{column}")
    cluster.save()
    app = factories.application("web", cluster=cluster)
    app.source_states.create(index=0, repository=repository)
    operation = SyncOperation.objects.create(application=app, number=1)
    Event.objects.create(
        key="e/1", name="sync-failed", project="shop", application=app.id, occurred_at=timezone.now()
    )
    ResourceStatus.objects.create(application=app, kind="Secret", name="login", status="OutOfSync")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "login",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": SENTINEL},
        },
        "stringData": {"password": f"{SENTINEL}-rendered"},
    }
    rendered = manifest_set([secret], [Origin(1, "login.yaml")], b"k" * 32)
    ManifestSet.objects.create(digest=rendered.digest, data=pack(rendered), objects_count=1)
    Application.objects.filter(id=app.id).update(manifest_digest=rendered.digest)
    told = _told(shop)
    return {"app": app, "repository": repository, "cluster": cluster, "operation": operation, **told}


def _told(shop: Project) -> dict[str, Any]:
    """What people are asked and told about `shop`: rows of approvals and notifications."""
    policy("web")
    asked = opened(Application.objects.get(name="web"))
    Subscription.objects.create(name="web", owner="shop", destinations=[], events=["sync-failed"])
    service = Service.objects.create(
        name="ops", type="webhook", settings=f'{{"token": "{SENTINEL}-service"}}'
    )
    destination = Destination.objects.create(service=service, recipient="")
    now = timezone.now()
    copy = EventCopy.objects.create(
        key="e/1", name="sync-failed", project="shop", occurred_at=now, received_at=now, data={"key": "e/1"}
    )
    delivery = Delivery.objects.create(
        destination=destination, event=copy, dedupe="d", lane="l", next_at=now, created_at=now, state="failed"
    )
    silence = Silence.objects.create(
        matcher={"project": shop.name}, starts_at=now, ends_at=now + timedelta(hours=1), author="dana"
    )
    somebody = factories.user("erin")
    identity = ChatIdentity.objects.create(user=somebody, issuer="slack:T1", sub="U1")
    accounts.create_token(SYSTEM, somebody, {"name": "ci"})
    return {
        "approvals": asked,
        "deliveries": delivery,
        "destinations": destination,
        "silences": silence,
        "identities": identity,
        "tokens": ApiToken.objects.get(user=somebody),
    }


def known(route: str, world: dict[str, Any]) -> dict[str, Any]:
    """The real names of the objects of `shop` for the parameters of a route."""
    if "/repositories/" in route:
        return {"key": world["repository"].id}
    if "/operations/" in route:
        return {"key": world["operation"].id}
    if "/clusters/" in route:
        return {"name": "dev"}
    if "/accounts/" in route:
        return {"username": "erin"}
    for noun in ("approvals", "deliveries", "destinations", "silences", "identities", "tokens"):
        if f"/{noun}/" in route:
            return {"number": world[noun].pk, "key": world[noun].pk}
    return {"name": "shop"} if "/projects/" in route else {"name": "web"}


def object_routes() -> list[str]:
    found = [route for route in routes() if route.startswith("/api/v1/") and "<" in route]
    return [route for route in found if "/webhooks/" not in route]


BODIES: dict[str, dict[str, Any]] = {
    "confirm": {"digest": "x"},
    "sync": {},
    "votes": {"decision": "approve", "plan_digest": DIGEST},
    "break-glass": {"plan_digest": DIGEST, "reason": "x", "ticket": "x"},
    "review": {"text": "x"},
    "cancel": {},
}
# For administrators alone, of another person, or without a row in this world.
NOT_OF_READERS = re.compile(
    r"/(accounts|approval-policies|destinations|tokens|identities|triggers|templates|webhook-secrets)/"
)


def snapshot() -> dict[str, Any]:
    ignored = {AuditEvent, IdempotentAnswer}
    rooms = [room for room in apps.get_app_configs() if room.name in {"hub", "clusters", "notifications"}]
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for room in rooms
        for model in room.get_models()
        if model not in ignored
    }


def test_b1_b3_a_stranger_gets_the_same_404_everywhere_and_changes_nothing(
    world: dict[str, Any], charlie: User, nudged: list[Any]
) -> None:
    api = Api(charlie)
    before = snapshot()
    tried = 0
    for route in object_routes():
        if route.endswith("/stream"):
            continue
        for verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            body = None if verb in {"GET", "DELETE"} else BODIES.get(route.rsplit("/", 1)[-1], {})
            hidden = api(verb, filled(route, **known(route, world)), body, If_Match="*")
            nobody = {"name": "no-such-name", "username": "nobody", "key": uuid.UUID(int=2), "number": 999999}
            missing = api(verb, filled(route, **nobody), body, If_Match="*")
            if hidden.status_code == 405:
                continue
            tried += 1
            assert hidden.status_code == 404, (verb, route, hidden.content)
            assert hidden.content == missing.content, (verb, route)
    assert tried > 60
    assert snapshot() == before
    assert nudged == []


def test_b1_a_reader_reads_everything_and_changes_nothing(
    world: dict[str, Any], bob: User, nudged: list[Any]
) -> None:
    api = Api(bob)
    before = snapshot()
    for route in object_routes():
        address = filled(route, **known(route, world))
        for verb in ("POST", "PUT", "PATCH", "DELETE"):
            if route.endswith(MAY_ALSO_READERS) and verb == "POST":
                continue
            body = BODIES.get(route.rsplit("/", 1)[-1], {"digest": "x"} if verb == "POST" else {})
            answer = api(verb, address, body, If_Match="*")
            hidden = NOT_OF_READERS.search(route)
            refused = (
                {404, 405}
                if hidden
                else {403, 405, 409}
                if route.endswith(("/mine", "/review"))
                else {403, 405}
            )
            assert answer.status_code in refused, (verb, route, answer.content)
        if not route.endswith(("/stream", "/logs")) and not LIVE.search(route):
            assert api.get(address).status_code in {200, 404, 405}, route
    assert snapshot() == before
    assert nudged == []


def everything(api: Api, world: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every answer of every GET of the API, and of the writes that answer with objects."""
    for route in routes():
        if not route.startswith("/api/v1/") or route.endswith("/stream") or LIVE.search(route):
            continue
        yield route, api.get(filled(route, **{"username": "alice", **known(route, world)})).content.decode()
    for view in ("applications?view=full", "applications?count=true"):
        yield view, api.get(f"/{view}").content.decode()
    key = world["repository"].id
    patch = {"username": "robot", "password": f"{SENTINEL}-new-password"}
    yield "patch repository", api.patch(f"/repositories/{key}", patch, If_Match="*").content.decode()
    token = {"token": f"{SENTINEL}-new-token", "client_key_pem": ""}
    yield "patch cluster", api.patch("/clusters/dev", token, If_Match="*").content.decode()
    broken = {"url": f"https://x:{SENTINEL}-url@git.example.com:99999/a.git"}
    yield "bad repository", api.post("/repositories", broken).content.decode()
    bad = {
        "name": "x",
        "server": "https://127.0.0.1",
        "client_key_pem": f"{SENTINEL}-key",
        "client_certificate_pem": SENTINEL,
    }
    yield "bad cluster", api.post("/clusters", bad).content.decode()
    yield "audit", api.get("/audit").content.decode()


@pytest.mark.parametrize("role", ["owner", "reader", "admin"])
def test_b6_no_answer_contains_a_stored_secret(
    world: dict[str, Any], role: str, alice: User, bob: User, dana: User, capsys: Any
) -> None:
    person = {"owner": alice, "reader": bob, "admin": dana}[role]
    for where, text in everything(Api(person), world):
        assert SENTINEL not in text, where
    logged = capsys.readouterr()
    assert SENTINEL not in logged.out + logged.err
    assert SENTINEL not in str(list(AuditEvent.objects.values()))


def test_c4_rendered_secrets_are_masks_and_last_applied_is_gone(world: dict[str, Any], bob: User) -> None:
    manifest = Api(bob).get("/applications/web/manifests").json()["items"][0]["manifest"]
    assert manifest["stringData"]["password"].startswith("++++++++")
    assert manifest["metadata"]["annotations"] == {}


def test_w23_a_stranger_counts_only_what_is_his(world: dict[str, Any], charlie: User, bank: Project) -> None:
    factories.application("vault", project=bank)
    page = Api(charlie).get("/applications?count=true").json()
    assert (page["total"], [row["name"] for row in page["items"]]) == (1, ["vault"])
    assert Api(charlie).get("/events").json()["items"] == []
    assert Api(charlie).get("/operations").json()["items"] == []


def test_b14_an_owner_cannot_enlarge_the_fence(alice: User, shop: Project) -> None:
    rules = {**shop.rules, "sources": {"allow": ["**"]}}
    answer = Api(alice).patch("/projects/shop", {"rules": rules}, If_Match="*")
    assert answer.status_code == 403
    assert "clusters, update" in answer.json()["message"]
    assert Api(alice).patch("/projects/shop", {"description": "ours"}, If_Match="*").status_code == 200


def test_audit_is_for_owners_and_only_of_their_project(
    alice: User, bob: User, dana: User, bank: Project
) -> None:
    AuditEvent.objects.create(action="create", project="shop")
    AuditEvent.objects.create(action="create", project="bank")
    assert [row["project"] for row in Api(alice).get("/audit").json()["items"]] == ["shop"]
    assert Api(bob).get("/audit").json()["items"] == []
    assert len(Api(dana).get("/audit").json()["items"]) == 2


def test_a_disabled_person_may_nothing(alice: User, shop: Project) -> None:
    assert rights.may(alice, "sync", shop)
    accounts.update(SYSTEM, alice, {"active": False})
    assert not rights.may(alice, "get", shop)


def test_a_group_gives_its_role_to_its_members(charlie: User, shop: Project) -> None:
    accounts.update(SYSTEM, charlie, {"groups": ["shop-team"]})
    assert not rights.may(charlie, "get", shop)
    shop.members.create(group=charlie.groups.get(), role="reader")
    assert rights.may(charlie, "get", shop)
    assert not rights.may(charlie, "sync", shop)


def test_c2_a_poll_error_shows_no_credentials() -> None:
    assert redact("fatal: https://user:secret-word@git.example.com/x.git?token=abc") == (
        "fatal: https://git.example.com/x.git"
    )


@pytest.mark.parametrize("seed", range(20))
def test_b12_the_decision_and_the_filter_of_lists_always_agree(seed: int) -> None:
    """Random members, groups and projects: `may` says yes exactly for what `visible_*` shows."""
    dice = random.Random(seed)
    projects = [factories.project(f"p{number}") for number in range(4)]
    groups = [Group.objects.create(name=f"g{number}") for number in range(3)]
    people = [User.objects.create_user(username=f"u{number}") for number in range(4)]
    people[0].is_superuser = dice.random() < 0.3
    people[1].is_active = dice.random() < 0.7
    for person in people:
        person.save()
        person.groups.set(dice.sample(groups, dice.randrange(3)))
    for project in projects:
        factories.application(f"app-{project.name}", project=project)
        for group in groups:
            if dice.random() < 0.3:
                ProjectMember.objects.create(
                    project=project, group=group, role=dice.choice(["owner", "reader"])
                )
        for person in people:
            if dice.random() < 0.3:
                ProjectMember.objects.create(
                    project=project, user=person, role=dice.choice(["owner", "reader"])
                )
    for person in (each for each in people if each.is_active):
        permitted = {project.name for project in Project.objects.all() if rights.may(person, "get", project)}
        assert set(rights.visible_projects(person).values_list("name", flat=True)) == permitted
        shown = {app.project.name for app in rights.visible_applications(person)}
        assert shown == permitted - {"default"}
        owned = {project.name for project in Project.objects.all() if rights.may(person, "sync", project)}
        assert set(rights.owned_projects(person).values_list("name", flat=True)) == owned


def test_owners_read_in_their_audit_who_was_refused_what(bob: User, alice: User) -> None:
    factories.application("web")
    assert Api(bob).delete("/applications/web").status_code == 403
    (line,) = Api(alice).get("/audit?outcome=denied").json()["items"]
    assert (line["actor"]["name"], line["object"], line["project"]) == ("bob", "web", "shop")
