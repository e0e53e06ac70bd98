"""The admin site: who may be there, what it shows and never shows (access-and-api.md 6; F10, AD1-AD4)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker

from clusters.models import Cluster
from hub.admin.site import site
from hub.models import (
    Application,
    ApprovalPolicy,
    AuditEvent,
    ChatIdentity,
    Event,
    Project,
    Repository,
    ResourceStatus,
    SyncOperation,
    User,
)
from hub.services.guessing import LIMITS
from hub.tasks import nudges
from notifications.models import Service
from tests.hub import factories
from tests.hub.approvals import opened, policy

pytestmark = pytest.mark.django_db
SENTINEL = "sentinel-0b54c1-value"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Hints instead of messages."""
    found: list[Any] = []
    monkeypatch.setattr(nudges, "look", lambda ids, **_: found.append(("look", list(ids))))
    monkeypatch.setattr(nudges, "send", lambda task, args, **_: found.append((task, *args)))
    return found


@pytest.fixture
def browser(dana: User) -> Client:
    client = Client()
    client.force_login(dana)
    return client


@pytest.fixture
def world(shop: Project) -> dict[str, Any]:
    """One row of everything, with a sentinel in every secret column."""
    repository = Repository(url="https://git.example.com/shop/web.git", normal_url="git.example.com/shop/web")
    for column in ("password", "bearer_token", "ssh_private_key", "client_key_pem", "proxy_url"):
        setattr(repository, column, f"{SENTINEL}-{column}")
    repository.save()
    cluster = factories.cluster("dev")
    for column in ("token", "client_key_pem", "proxy_url"):
        setattr(cluster, column, f"{SENTINEL}-{column}")
    cluster.save()
    app = factories.application("web", cluster=cluster)
    operation = SyncOperation.objects.create(application=app, number=1)
    event = Event.objects.create(key="k/1", name="sync-failed", summary="no", occurred_at=timezone.now())
    audit = AuditEvent.objects.create(action="create", object_name="web")
    return {
        **_of_notifications(),
        "application": app,
        "repository": repository,
        "cluster": cluster,
        "project": shop,
        "syncoperation": operation,
        "event": event,
        "auditevent": audit,
        **_of_approvals(app, factories.user("eve")),
    }


def _of_approvals(app: Application, eve: User) -> dict[str, Any]:
    policy()
    return {
        "user": eve,
        "approvalpolicy": ApprovalPolicy.objects.get(),
        "approvalrequest": opened(app),
        "chatidentity": ChatIdentity.objects.create(user=eve, issuer="slack:T1", sub="UEVE"),
    }


def _of_notifications() -> dict[str, Any]:
    """A row of every page that the room of notifications brings."""
    rows = {}
    for model in site._registry:
        if model._meta.app_label == "notifications":
            secret = {"settings": f'{{"token": "{SENTINEL}"}}'} if model._meta.model_name == "service" else {}
            rows[model._meta.model_name] = baker.make(model, **secret)
    return rows


def change_url(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_url(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def application_form(**changes: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "project": "shop",
        "cluster": "dev",
        "namespace": "shop",
        "sources": '[{"repo_url": "https://git.example.com/shop/web.git", "path": "deploy"}]',
        "sync_policy": "{}",
        "ignore_differences": "[]",
        "labels": "{}",
        "annotations": "{}",
        "on_delete": "detach",
    } | changes


def test_ad3_who_is_not_staff_gets_404_and_who_is_not_signed_in_the_sign_in(alice: User) -> None:
    outsider = Client()
    outsider.force_login(alice)
    for address in ("/admin/", list_url(Application), list_url(User)):
        assert outsider.get(address).status_code == 404
        assert Client().get(address).status_code == 302


def test_ad3_staff_sees_its_projects_alone(alice: User, bank: Project, shop: Project) -> None:
    alice.is_staff = True
    alice.save()
    ours, theirs = factories.application("web"), factories.application("vault", project=bank)
    client = Client()
    client.force_login(alice)
    page = client.get(list_url(Application)).content.decode()
    assert "web" in page
    assert "vault" not in page
    assert client.get(change_url(ours)).status_code == 200
    assert client.get(change_url(theirs)).status_code == 302
    assert client.get(list_url(User)).status_code == 403


def test_f10_no_page_shows_a_stored_secret(browser: Client, world: dict[str, Any]) -> None:
    for row in world.values():
        for address in (list_url(row), change_url(row), f"{change_url(row)}../history/"):
            page = browser.get(address, follow=True)
            assert page.status_code == 200, address
            assert SENTINEL not in page.content.decode(), address


def test_f10_every_page_of_the_site_was_looked_at(world: dict[str, Any]) -> None:
    assert {model._meta.model_name for model in site._registry} == set(world)


def test_f10_no_search_or_filter_reaches_a_secret_or_another_table(
    browser: Client, world: dict[str, Any]
) -> None:
    hostile = [
        (Repository, "password__startswith"),
        (Repository, "project__members__user__password__startswith"),
        (Cluster, "token__isnull"),
        (User, "password__startswith"),
        (Application, "project__repositories__password__contains"),
        (SyncOperation, "application__cluster__token__startswith"),
    ]
    for model, parameter in hostile:
        assert browser.get(list_url(model), {parameter: "s"}).status_code == 400, parameter
    for row in world.values():
        page = browser.get(list_url(row), {"q": SENTINEL})
        assert page.status_code == 200
        if "cl" in page.context and page.context["cl"].search_fields:
            assert page.context["cl"].result_count == 0


def test_f10_an_empty_credential_keeps_and_a_new_one_replaces(browser: Client, world: dict[str, Any]) -> None:
    repository = world["repository"]
    form = {"url": repository.url, "project": "", "username": "robot", "password": ""}
    assert browser.post(change_url(repository), form).status_code == 302
    repository.refresh_from_db()
    assert repository.username == "robot"
    assert repository.password.reveal() == f"{SENTINEL}-password"
    assert browser.post(change_url(repository), form | {"password": "another-secret"}).status_code == 302
    assert Repository.objects.get().password.reveal() == "another-secret"
    assert SENTINEL not in str(AuditEvent.objects.values_list("before", "after"))
    assert AuditEvent.objects.filter(via="admin", resource="repository", action="update").count() == 2


def test_an_application_is_made_changed_and_removed_through_its_service(
    browser: Client, shop: Project, sent: list[Any]
) -> None:
    factories.cluster("dev")
    assert browser.post(reverse("admin:hub_application_add"), application_form()).status_code == 302
    app = Application.objects.get(name="web")
    assert ("look", [app.id]) in sent
    assert browser.post(change_url(app), application_form(labels='{"team": "shop"}')).status_code == 302
    app.refresh_from_db()
    assert (app.labels, app.generation) == ({"team": "shop"}, 2)
    gone = browser.post(reverse("admin:hub_application_delete", args=[app.pk]), {"post": "yes"})
    assert gone.status_code == 302
    app.refresh_from_db()
    assert app.deletion_requested_at is not None
    rows = AuditEvent.objects.filter(via="admin", actor_name="dana", object_name="web").order_by("id")
    assert [row.action for row in rows] == ["create", "update", "delete (detach)"]


def test_errors_of_the_service_stand_beside_the_fields(browser: Client, shop: Project) -> None:
    page = browser.post(
        reverse("admin:hub_application_add"), application_form(cluster="nope", name="Bad Name")
    )
    assert page.status_code == 200
    assert "Bad Name" in str(page.context["adminform"].form.errors["name"])
    assert not Application.objects.exists()


def test_sync_asks_first_and_then_calls_the_service(
    browser: Client, world: dict[str, Any], sent: list[Any]
) -> None:
    app = factories.application("api", cluster=world["cluster"])
    order = {"action": "sync", "_selected_action": [str(app.pk)]}
    asked = browser.post(list_url(Application), order)
    assert asked.status_code == 200
    assert "Sync applications: 1" in asked.content.decode()
    assert not app.operations.exists()
    assert browser.post(list_url(Application), order | {"confirmed": "yes"}).status_code == 302
    assert app.operations.get().initiator["via"] == "admin"
    assert ("look", [app.id]) in sent
    assert AuditEvent.objects.filter(action="sync", object_name="api", via="admin").exists()


def test_a_running_operation_is_terminated_and_a_cluster_probed(
    browser: Client, world: dict[str, Any], sent: list[Any]
) -> None:
    order = {"confirmed": "yes"}
    browser.post(
        list_url(SyncOperation),
        order | {"action": "terminate", "_selected_action": [str(world["syncoperation"].pk)]},
    )
    assert SyncOperation.objects.get().terminate_requested
    for action in ("probe", "pause", "resume"):
        browser.post(
            list_url(Cluster), order | {"action": action, "_selected_action": [str(world["cluster"].pk)]}
        )
    assert ("hub.probe", str(world["cluster"].pk)) in sent
    actions = list(
        AuditEvent.objects.filter(resource="cluster").order_by("id").values_list("action", flat=True)
    )
    assert actions == ["probe", "pause", "resume"]


def test_an_operation_that_ended_is_not_terminated_in_place_of_the_running_one(
    browser: Client, world: dict[str, Any]
) -> None:
    running = world["syncoperation"]
    ended = SyncOperation.objects.create(application=running.application, number=99, phase="Succeeded")
    order = {"confirmed": "yes", "action": "terminate", "_selected_action": [str(ended.pk)]}
    browser.post(list_url(SyncOperation), order)
    assert not SyncOperation.objects.filter(terminate_requested=True).exists()


def test_filters_narrow_the_list_by_closed_sets_of_values(browser: Client, world: dict[str, Any]) -> None:
    factories.application("api", cluster=world["cluster"], sync_status="OutOfSync")
    for query, names in (
        ({"sync": "OutOfSync"}, ["api"]),
        ({"sync": "Unknown", "cluster": "dev", "project": "shop"}, ["web"]),
        ({"cluster": "nope"}, []),
        ({"q": "we"}, ["web"]),
    ):
        page = browser.get(list_url(Application), query)
        assert [row.name for row in page.context["cl"].result_list] == names, query


def test_the_bulk_delete_that_goes_past_the_services_is_not_there(
    browser: Client, world: dict[str, Any]
) -> None:
    for row in world.values():
        order = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        browser.post(list_url(row), order)
        assert type(row).objects.filter(pk=row.pk).exists()


def test_a_project_in_use_stays_with_a_sentence(browser: Client, world: dict[str, Any]) -> None:
    page = browser.post(
        reverse("admin:hub_project_delete", args=[world["project"].pk]), {"post": "yes"}, follow=True
    )
    assert "has 1 applications" in page.content.decode()
    assert Project.objects.filter(name="shop").exists()


def test_a1_a_new_user_gets_a_random_password_that_is_shown_once(browser: Client) -> None:
    form = {"username": "frank", "email": "", "password": "", "active": "on", "groups": '["team-shop"]'}
    page = browser.post(reverse("admin:hub_user_add"), form, follow=True)
    frank = User.objects.get(username="frank")
    shown = page.content.decode().split("shown once: ")[1].split("<")[0].strip()
    assert frank.check_password(shown)
    assert shown not in browser.get(change_url(frank)).content.decode()
    assert shown not in str(AuditEvent.objects.values_list("before", "after", "reason"))
    assert list(frank.groups.all()) == [Group.objects.get(name="team-shop")]


def test_the_audit_and_events_cannot_be_written(browser: Client, world: dict[str, Any]) -> None:
    for name in ("event", "auditevent", "syncoperation"):
        assert browser.post(change_url(world[name]), {"name": "x", "action": "x"}).status_code == 403
        assert browser.get(reverse(f"admin:hub_{name}_add")).status_code == 403


def test_a2_guessing_at_the_admin_site_is_limited_too(dana: User) -> None:
    client = Client()
    wrong = {"username": "dana", "password": "wrong"}
    for _ in range(LIMITS["user"]):
        assert client.post("/admin/login/", wrong).status_code == 200
    late = client.post("/admin/login/", wrong | {"password": "dana-has-a-long-password"})
    assert late.status_code == 429
    assert int(late["Retry-After"]) > 0


def test_the_page_of_an_application_says_what_it_waits_for_and_what_differs(
    browser: Client, world: dict[str, Any]
) -> None:
    app, operation = world["application"], world["syncoperation"]
    operation.phase, operation.wait = "Running", {"code": "health", "reason": "waiting for <web>"}
    operation.save()
    app.gate = {"gate": 7, "reason": "only pruning is left and automated prune is off"}
    app.save()
    ResourceStatus.objects.create(
        application=app,
        kind="Deployment",
        namespace="shop",
        name="web",
        status="OutOfSync",
        health="Degraded",
        health_message="1 of 3 updated",
        drift=[{"path": "spec.replicas"}],
    )
    page = browser.get(f"/admin/hub/application/{app.pk}/change/").content.decode()
    for text in (
        "sync 1 of web",
        "Running, waiting for &lt;web&gt;",
        "only pruning is left",
        "Deployment shop/web",
        "1 of 3 updated",
        "spec.replicas",
        f"/api/v1/applications/{app.name}/diff",
    ):
        assert text in page, text


@pytest.mark.parametrize(
    ("mode", "sentence"), [("detach", "stay as they are"), ("cascade", "are deleted first")]
)
def test_who_removes_an_application_reads_what_becomes_of_its_objects(
    browser: Client, world: dict[str, Any], mode: str, sentence: str
) -> None:
    app = world["application"]
    app.on_delete = mode
    app.save()
    page = browser.get(f"/admin/hub/application/{app.pk}/delete/").content.decode()
    assert f"its 0 objects in cluster dev {sentence}" in page


def test_ad4_a_confirmation_also_says_the_call_and_the_command(
    browser: Client, world: dict[str, Any]
) -> None:
    asked = browser.post(
        "/admin/hub/application/", {"action": "sync", "_selected_action": [world["application"].pk]}
    )
    assert "hub app sync NAME" in asked.content.decode()
    done = {"action": "refresh", "confirmed": "yes", "_selected_action": [world["application"].pk]}
    browser.post("/admin/hub/application/", done)
    assert AuditEvent.objects.get(action="refresh").request_id != ""


def test_f10_what_is_written_on_pages_of_notifications_is_audited(
    browser: Client, world: dict[str, Any]
) -> None:
    """Who changed the secret of a channel is known; the secret itself is not in the audit."""
    url = reverse("admin:notifications_service_add")
    form = {"name": "hooks", "type": "webhook", "project": "", "recipients": "", "projects": ""}
    text = "url: https://hooks.example.com\nheaders: [{name: Authorization, value: 'Bearer %s'}]"
    assert browser.post(url, form | {"settings_text": text % SENTINEL}).status_code == 302
    row = Service.objects.get(name="hooks")
    browser.post(change_url(row), form | {"settings_text": text % f"{SENTINEL}-new"})
    order = {"action": "enable", "_selected_action": [str(row.pk)]}
    browser.post(list_url(Service), order)
    browser.post(change_url(row).replace("/change/", "/delete/"), {"post": "yes"})
    rows = AuditEvent.objects.filter(resource="service", object_name=str(row)).order_by("id")
    assert list(rows.values_list("action", "actor_name", "via", "outcome")) == [
        ("create", "dana", "admin", "done"),
        ("update", "dana", "admin", "done"),
        ("enable", "dana", "admin", "done"),
        ("delete", "dana", "admin", "done"),
    ]
    assert SENTINEL not in str(list(AuditEvent.objects.values()))
