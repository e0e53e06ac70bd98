"""The command and the admin pages: what people see, and that secrets never come out."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory

from hub.models import AuditEvent, User
from notifications import admin as pages
from notifications.models import Delivery, Destination, Service, Silence, Subscription, Template, Trigger
from notifications.services import dispatch, saving
from tests.notifications.conftest import FakeClock, event, run, slack_service, states, subscribe
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db
CONFIG = """
kind: ConfigMap
data:
  trigger.on-x: |
    - when: app.status.operationState.phase == 'Failed'
      oncePer: app.status.sync.revision
      send: [told]
  trigger.bad: "- when: ["
  template.told: |
    message: "{{ .app.metadata.name }} failed"
  service.slack: |
    token: $slack-token
  subscriptions: |
    - recipients: ["slack:ops"]
      triggers: [on-x]
  context: |
    argocdUrl: https://hub.example.com
"""
SECRET = "kind: Secret\nstringData: {slack-token: xoxb-from-the-secret}\n"
APPLICATION = """
kind: Application
metadata: {name: web, namespace: argocd}
spec: {project: shop}
status: {operationState: {phase: Failed}, sync: {revision: abc}}
"""


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("notifications", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    made = {}
    for name, text in (("config", CONFIG), ("secret", SECRET), ("app", APPLICATION)):
        (tmp_path / name).write_text(text)
        made[name] = str(tmp_path / name)
    return made


def test_an_import_is_tried_dry_and_then_stored(files: dict[str, str]) -> None:
    dry = told("import", "--config-map", files["config"], "--secret", files["secret"], "--dry-run")
    assert "refused  trigger.bad" in dry
    assert "nothing was stored" in dry
    assert Trigger.objects.count() == 0
    told("import", "--config-map", files["config"], "--secret", files["secret"])
    told("import", "--config-map", files["config"], "--secret", files["secret"])
    service = Service.objects.get()
    assert json.loads(service.settings.reveal()) == {"token": "xoxb-from-the-secret"}
    assert Trigger.objects.get().active_since != {}
    assert Template.objects.get().name == "told"
    assert Subscription.objects.get().destinations == ["slack:ops"]


def test_what_reads_works_with_files_alone(files: dict[str, str], django_assert_num_queries: Any) -> None:
    rendered = told("render", "told", "--file", files["app"], "--config-map", files["config"])
    assert '"text": "web failed"' in rendered
    table = told("trigger", "on-x", "--file", files["app"], "--config-map", files["config"])
    assert table.splitlines()[0].split() == ["CONDITION", "RESULT", "ONCEPER", "ERROR"]
    assert table.splitlines()[1].split()[1:] == ["true", "abc"]
    assert told("triggers", "--config-map", files["config"], "-o", "name").split() == ["bad", "on-x"]
    assert "failed" in told("templates", "told", "--config-map", files["config"], "-o", "yaml")


def test_a_missing_template_shows_the_fallback(files: dict[str, str]) -> None:
    rendered = told("render", "nothing", "--file", files["app"], "--config-map", files["config"])
    assert "fallback: there is no template 'nothing'" in rendered


def test_looking_and_mending(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    dispatch(event())
    run(time_)
    number = str(Delivery.objects.get().pk)
    assert "sent" in told("deliveries", "--state", "sent")
    assert "slack:#a is told of event:sync-failed" in told("explain", "web/sync-failed/1")
    assert "web/sync-failed/1" in told("events", "--app", "web")
    assert "sent again" in told("resend", number)
    run(time_)
    assert states() == ["sent", "sent"]
    with pytest.raises(CommandError, match="only an unconfirmed delivery"):
        told("mark-sent", number)
    assert "sent to slack:#a" in told("send-test", "slack:#a")
    assert "silence" in told("silence", "--app", "web", "--hours", "1", "--reason", "maintenance")
    silence = Silence.objects.get()
    assert "maintenance" in told("silence")
    told("silence", "--end", str(silence.pk))
    assert told("silence") == ""
    with pytest.raises(CommandError, match="needs --hours"):
        told("silence", "--app", "web")


def test_a_place_is_tested_before_anything_was_sent_there(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    assert "sent to slack:#a" in told("send-test", "slack:#a")
    with pytest.raises(CommandError, match="there is no destination 'mail:x'; services: slack"):
        told("send-test", "mail:x")


# -- admin


@pytest.fixture
def site() -> AdminSite:
    made = AdminSite()
    pages.register(made)
    return made


def request(person: User, **data: Any) -> Any:
    made = RequestFactory().post("/", data)
    made.user = person
    made.session, made._messages = {}, _Messages()  # type: ignore[attr-defined, assignment]
    return made


class _Messages(list):  # type: ignore[type-arg]
    def add(self, level: int, message: str, extra_tags: str = "") -> None:
        self.append(str(message))


@pytest.fixture
def dana() -> User:
    return User.objects.create_superuser("dana", password="dana-has-a-long-password")


def test_pages_are_for_administrators_only(site: AdminSite, dana: User) -> None:
    charlie = User.objects.create_user("charlie", password="charlie-has-a-long-password", is_staff=True)
    for page in site._registry.values():
        assert not page.has_view_permission(request(charlie))
        assert page.has_view_permission(request(dana))
    delivery = site._registry[Delivery]
    assert not delivery.has_add_permission(request(dana))
    assert not delivery.has_delete_permission(request(dana))


def test_secrets_go_in_and_never_come_out(site: AdminSite, dana: User, slack: SlackServer) -> None:
    row = slack_service(slack, settings={"username": "hub"})
    page = site._registry[Service]
    form_class = page.get_form(request(dana), row)
    form = form_class(instance=row)
    assert "xoxb" not in form.as_p()
    shown = saving.shown_settings(row)
    assert "token: '********'" in shown
    values = {"name": "slack", "type": "slack", "project": "", "settings_text": shown.replace("hub", "robot")}
    form = form_class(values, instance=row)
    assert form.is_valid(), form.errors
    page.save_model(request(dana), form.save(commit=False), form, True)
    row.refresh_from_db()
    settings = json.loads(row.settings.reveal())
    assert (settings["token"], settings["username"]) == ("xoxb-good-token-1", "robot")
    bad = form_class({**values, "settings_text": "username: x"}, instance=row)
    assert not bad.is_valid()
    assert "token is missing" in str(bad.errors)


def test_pages_render_through_the_admin(
    site: AdminSite, dana: User, slack: SlackServer, time_: FakeClock
) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    dispatch(event(buttons=[{"kind": "approve", "value": "token-of-a-button"}]))
    run(time_)
    row = Delivery.objects.get()
    page = site._registry[Delivery]
    assert "token-of-a-button" in json.dumps(row.steps)
    assert "token-of-a-button" not in page.sent_payload(row)
    assert "slack:#a is told" in site._registry[type(row.event)].told(row.event)


def test_actions_call_the_services(site: AdminSite, dana: User, slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#gone", events=["sync-failed"])
    dispatch(event())
    run(time_)
    rows = Destination.objects.all()
    page = site._registry[Destination]
    asked = request(dana)
    page.test(asked, rows)
    assert "channel_not_found" in asked._messages[0]
    slack.channel("gone")
    page.enable(asked, rows)
    assert "1 held deliveries go out" in asked._messages[1]
    run(time_)
    site._registry[Delivery].resend(asked, Delivery.objects.filter(state="sent", kind="event"))
    assert "is sent again as" in asked._messages[-1]
    site._registry[Delivery].mark_sent(asked, Delivery.objects.filter(state="sent", kind="event"))
    assert "only an unconfirmed delivery" in asked._messages[-1]


def test_bad_texts_are_refused_beside_their_field(site: AdminSite, dana: User) -> None:
    form = site._registry[Trigger].get_form(request(dana))(
        {"name": "x", "kind": "native", "text": "on: [a]\nrepeat: often"}
    )
    assert not form.is_valid()
    assert "repeat is a duration" in str(form.errors["text"])
    form = site._registry[Subscription].get_form(request(dana))(
        {
            "name": "s",
            "destinations": "slack:#a\nmail:b",
            "app_selector": "a in (",
            "minimum_severity": "info",
        }
    )
    assert not form.is_valid()
    assert "app_selector" in form.errors


def test_a_subscription_is_judged_like_at_the_rest_door(
    site: AdminSite, dana: User, slack: SlackServer
) -> None:
    slack_service(slack)
    page = site._registry[Subscription]
    form_class = page.get_form(request(dana), None)
    values = {"name": "s", "destinations": "slack:#a", "triggers": "on-sync-failed", "digest": "{}"}
    wrong = [
        ({"minimum_severity": "loud"}, "minimum_severity is one of"),
        ({"triggers": "nope"}, "there is no trigger"),
        ({"triggers": ""}, "name triggers or events"),
        ({"destinations": "pigeon:x"}, "there is no service"),
    ]
    for change, sentence in wrong:
        form = form_class({"minimum_severity": "info", **values, **change})
        assert not form.is_valid()
        assert sentence in str(form.errors)
    form = form_class({"minimum_severity": "info", "owner": "shop", **values})
    assert form.is_valid(), form.errors
    assert form.save().projects == ["shop"]


def test_what_administrators_change_is_audited(dana: User, slack: SlackServer) -> None:
    row = slack_service(slack)
    client = Client()
    client.force_login(dana)
    silence = {"matcher": '{"app": "web"}', "reason": "maintenance"}
    begin = {
        "starts_at_0": "2027-01-01",
        "starts_at_1": "00:00",
        "ends_at_0": "2027-01-02",
        "ends_at_1": "00:00",
    }
    made = client.post("/admin/notifications/silence/add/", silence | begin)
    assert made.status_code == 302, made.content
    action = {"action": "enable", "_selected_action": [row.pk]}
    assert client.post("/admin/notifications/service/", action).status_code == 302
    assert client.post(f"/admin/notifications/service/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    lines = AuditEvent.objects.order_by("id").values_list("actor_name", "via", "action", "resource")
    assert list(lines) == [
        ("dana", "admin", "create", "silence"),
        ("dana", "admin", "enable", "service"),
        ("dana", "admin", "delete", "service"),
    ]


def test_a_service_is_tried_before_anything_was_sent_there(slack: SlackServer) -> None:
    slack_service(slack)
    assert told("send-test", "slack:#a") == "sent to slack:#a\n"
    with pytest.raises(CommandError, match="services: slack"):
        told("send-test", "pigeon:#a")
