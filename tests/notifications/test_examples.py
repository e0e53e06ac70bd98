"""Worked examples of notifications.md 12 that need rows: from the event to what a channel gets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from notifications.core.triggers import condition_key
from notifications.models import Delivery, EventCopy, Service, Template
from notifications.models import Trigger as TriggerRow
from notifications.services import (
    alarms,
    dispatch,
    due_deliveries,
    explain,
    import_config,
    import_told,
    observe,
    save_trigger,
    silences,
    wants_view,
)
from tests.notifications.conftest import FakeClock, event, operation, run, slack_service, states, subscribe
from tests.notifications.receivers import HttpReceiver
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db
REVISION = "a" * 40


def application(
    name: str = "web", phase: str = "Succeeded", revision: str = REVISION, **status: Any
) -> dict[str, Any]:
    """The shape of an Argo CD Application."""
    return {
        "metadata": {"name": name, "namespace": "argocd", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"project": "shop", "source": {"repoURL": "https://git.example.com/shop/web.git"}},
        "status": {
            "sync": {"status": "Synced", "revision": revision},
            "health": {"status": "Healthy"},
            "operationState": {
                "phase": phase,
                "message": "done",
                "finishedAt": "2026-01-01T00:00:00Z",
                "syncResult": {"revision": revision},
            },
            "reconciledAt": "2026-01-01T00:00:10Z",
            **status,
        },
    }


def view(name: str = "web", annotations: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """What the hub hands over for a status change that is no event."""
    happened = event(app=name, **more)
    happened["app"]["annotations"] = annotations or {}
    return {key: happened[key] for key in ("app", "project", "cluster", "application") if key in happened}


def config(**data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "data": {key.replace("__", "."): value for key, value in data.items()}}


SUBSCRIBED = {"notifications.argoproj.io/subscribe.on-sync-succeeded.slack": "a"}


def test_first_start_tells_nothing_old(slack: SlackServer, time_: FakeClock) -> None:
    """15, with fewer apps: already synced or degraded ones are a baseline."""
    slack_service(slack)
    for number in range(20):
        health = {"status": "Degraded" if number % 2 else "Healthy"}
        annotations = {**SUBSCRIBED, "notifications.argoproj.io/subscribe.on-health-degraded.slack": "a"}
        found = observe(
            view(f"app-{number}", annotations, application=application(f"app-{number}", health=health))
        )
        assert found == []
    assert Delivery.objects.count() == 0


def test_a_tick_tells_a_new_revision_once(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    observe(view(annotations=SUBSCRIBED, application=application()))
    for _ in range(3):
        observe(view(annotations=SUBSCRIBED, application=application(revision="b" * 40)))
        run(time_)
    assert len(slack.messages("a")) == 1
    assert "web was synced" in json.dumps(slack.messages("a")[0])


def test_a_tick_waits_while_an_operation_is_newer_than_its_health(
    slack: SlackServer, time_: FakeClock
) -> None:
    slack_service(slack)
    observe(view(annotations=SUBSCRIBED, application=application()))
    early = application(revision="b" * 40, reconciledAt="2025-12-31T00:00:00Z")
    assert observe(view(annotations=SUBSCRIBED, application=early)) == []


def test_argo_state_is_taken_over(slack: SlackServer, time_: FakeClock) -> None:
    """16: announced there for revision R; same R: nothing; R2: one Delivery."""
    slack_service(slack)
    when = "app.status.operationState.phase == 'Succeeded'"
    trigger = f"- when: {when}\n  oncePer: app.status.sync.revision\n  send: [app-sync-succeeded]\n"
    import_config(config(trigger__on_x=trigger))
    save_trigger("on-x", trigger, TriggerRow.Kind.IMPORTED)
    annotations = {"notifications.argoproj.io/subscribe.on-x.slack": "a"}
    told = {f"{REVISION}:on-x:{condition_key(0, when)}:slack:a": 1_700_000_000}
    told_app = application()
    told_app["metadata"]["annotations"] = {"notified.notifications.argoproj.io": json.dumps(told)}
    assert import_told(told_app, "uid-web") == 1
    assert observe(view(annotations=annotations, application=application())) == []
    assert len(observe(view(annotations=annotations, application=application(revision="b" * 40)))) == 1


def native(name: str, **rule: Any) -> None:
    save_trigger(name, json.dumps(rule), TriggerRow.Kind.NATIVE)


def test_short_trouble_stays_silent(slack: SlackServer, time_: FakeClock) -> None:
    """23: `for: 5m`, degraded 4 min, healthy: nothing, not even the recovery."""
    slack_service(slack)
    native("slow", on=["health-degraded"], **{"for": "5m"})
    subscribe("slack:#a", triggers=["slow"])
    dispatch(event("health-degraded", key="web/health/1"))
    time_.forward(minutes=4)
    run(time_)
    dispatch(event("health-recovered", key="web/health/1/recovered", resolves="web/health/1"))
    time_.forward(minutes=10)
    run(time_)
    assert slack.messages("a") == []


def test_long_trouble_is_told_with_its_end(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    native("slow", on=["health-degraded"], **{"for": "5m"})
    subscribe("slack:#a", triggers=["slow"])
    dispatch(event("health-degraded", key="web/health/1"))
    time_.forward(minutes=6)
    run(time_)
    assert len(slack.messages("a")) == 1
    dispatch(event("health-recovered", key="web/health/1/recovered", resolves="web/health/1"))
    run(time_)
    (root,) = slack.roots("a")
    assert len(slack.replies("a", root["ts"])) == 1


def test_recovery_goes_where_the_alarm_went(slack: SlackServer, time_: FakeClock) -> None:
    """24: told to A, B subscribed later, recovers: A only, same thread."""
    slack_service(slack)
    native("degraded", on=["health-degraded"])
    subscribe("slack:#a", triggers=["degraded"])
    dispatch(event("health-degraded", key="web/health/1"))
    run(time_)
    subscribe("slack:#b", triggers=["degraded"])
    dispatch(event("health-recovered", key="web/health/1/recovered", resolves="web/health/1"))
    run(time_)
    (root,) = slack.roots("a")
    assert len(slack.replies("a", root["ts"])) == 1
    assert slack.messages("b") == []


def test_what_stays_open_is_reminded_of_in_its_thread(slack: SlackServer, time_: FakeClock) -> None:
    """Whoever was told the beginning is reminded every 8 hours, four times, also when that takes more than a day."""
    slack_service(slack)
    native("degraded", on=["health-degraded"], repeat="8h", max_repeats=4)
    subscribe("slack:#a", triggers=["degraded"])
    dispatch(event("health-degraded", key="web/health/1"))
    run(time_)
    subscribe("slack:#b", triggers=["degraded"])
    for _ in range(50):
        time_.forward(hours=1)
        run(time_)
    (root,) = slack.roots("a")
    assert [message["text"].splitlines()[0] for message in slack.replies("a", root["ts"])] == [
        "❌ health-degraded of web (still)"
    ] * 4
    assert slack.messages("b") == []
    dispatch(event("health-recovered", key="web/health/1/recovered", resolves="web/health/1", at=time_()))
    run(time_)
    assert "recovered" in slack.replies("a", root["ts"])[-1]["text"]
    assert set(states()) == {"sent"}


def test_a_reopening_within_clear_for_is_not_told(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    native("calm", on=["health-degraded"], clear_for="2m")
    subscribe("slack:#a", triggers=["calm"])
    dispatch(event("health-degraded", key="web/health/1"))
    run(time_)
    dispatch(event("health-recovered", key="web/health/1/recovered", resolves="web/health/1"))
    time_.forward(minutes=1)
    dispatch(event("health-degraded", key="web/health/2"))
    time_.forward(minutes=5)
    run(time_)
    assert len(slack.messages("a")) == 1
    dispatch(event("health-recovered", key="web/health/2/recovered", resolves="web/health/2"))
    time_.forward(minutes=3)
    run(time_)
    assert len(slack.messages("a")) == 2


def test_deletion_is_told_although_the_app_is_gone(slack: SlackServer, time_: FakeClock) -> None:
    """26: the worker was killed before dispatch; the sweep finds the event, the full view arrives."""
    slack_service(slack)
    subscribe("slack:#a", events=["deleted"])
    happened = event("deleted", key="uid-web/deleted")
    time_.forward(minutes=30)
    dispatch(happened)
    run(time_)
    assert "deleted of web" in slack.messages("a")[0]["text"]
    assert EventCopy.objects.get().data["app"]["project"] == "shop"


def test_nobody_mentions_the_channel_by_commit(slack: SlackServer, time_: FakeClock) -> None:
    """30, F15: shown literally, no mention, no link; by the built-in message and by an imported template."""
    slack_service(slack)
    evil = "<!channel> <http://evil.example.com|login> & <@U1>"
    template = "message: '{{ .event.summary }}'\n"
    Template.objects.create(name="bare", kind="imported", text=template)
    native("x", on=["sync-failed"], send=["bare"])
    subscribe("slack:#a", events=["sync-failed"])
    subscribe("slack:#b", triggers=["x"])
    dispatch(
        event(
            summary=evil,
            operation=operation(message=evil),
            changes=[{"kind": "Pod", "name": evil, "action": "failed", "message": evil}],
        )
    )
    run(time_)
    for channel in ("a", "b"):
        (message,) = slack.messages(channel)
        texts = json.dumps([message["text"], message.get("blocks"), _mrkdwn(message)], ensure_ascii=False)
        assert "<!channel>" not in texts
        assert "<http://evil" not in texts
        assert "<@U1>" not in texts
        assert "&lt;!channel&gt;" in message["text"]
        assert (message["parse"], message["link_names"]) == ("none", False)


def _mrkdwn(message: dict[str, Any]) -> list[str]:
    """Every text that Slack reads as markup; `plain_text` is shown as it is."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") == "mrkdwn":
                found.append(value["text"])
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(message.get("attachments"))
    return found


def test_a_broken_template_still_speaks(slack: SlackServer, time_: FakeClock) -> None:
    """31: the fallback with summary and link; the error stands on the template with its event."""
    slack_service(slack)
    text = "message: '{{ index .event.revisions 9 }}'\n"
    Template.objects.create(name="broken", kind="imported", text=text)
    native("x", on=["sync-failed"], send=["broken"])
    subscribe("slack:#a", triggers=["x"])
    dispatch(event())
    run(time_)
    (message,) = slack.messages("a")
    assert "sync-failed of web" in message["text"]
    delivery, template = Delivery.objects.get(), Template.objects.get()
    assert (delivery.state, delivery.rendered) == ("sent", "fallback")
    assert template.errors == 1
    assert template.last_error_event == "web/sync-failed/1"


def test_secrets_reach_only_the_webhook_wire(slack: SlackServer, time_: FakeClock) -> None:
    """32: the wire has it, the stored payload and Slack show ***."""
    with HttpReceiver() as hook:
        slack_service(slack)
        text = 'message: "token={{ .secrets.t }}"\nwebhook:\n  hook:\n    method: POST\n    path: "x?{{ .secrets.t }}"\n    body: "token={{ .secrets.t }}"\n'
        secret = {"stringData": {"t": "s3cret-value-9"}}
        configmap = config(template__told=text, service__webhook__hook=f"url: {hook.url}/base/")
        configmap["data"] = {key.replace("_", "."): value for key, value in configmap["data"].items()}
        report = import_config(configmap, secret)
        assert [line for line in report if line.outcome == "refused"] == []
        native("x", on=["sync-failed"], send=["told"])
        subscribe("hook", "slack:#a", triggers=["x"])
        hook.answers.append((200, {}, b"you said token=s3cret-value-9"))
        dispatch(event())
        run(time_)
        assert hook.requests[0].body == b"token=s3cret-value-9"
        assert hook.requests[0].path == "/base/x?s3cret-value-9"
        assert "token=***" in slack.messages("a")[0]["text"]
        stored = json.dumps(list(Delivery.objects.values("payload", "steps", "external")), default=str)
        stored += json.dumps(list(Delivery.objects.values_list("tries__answer", flat=True)))
        assert "s3cret" not in stored


def test_two_sources_one_message(slack: SlackServer, time_: FakeClock) -> None:
    """35: annotation, project and global name the same: one Delivery, three reasons."""
    slack_service(slack)
    import_config(config(subscriptions="- recipients: ['slack:c']\n  triggers: [x]\n"))
    native("x", on=["sync-failed"])
    happened = event()
    happened["app"]["annotations"] = {"notifications.argoproj.io/subscribe.x.slack": "c"}
    happened["project"]["annotations"] = {"notifications.argoproj.io/subscribe.x.slack": "c"}
    dispatch(happened)
    delivery = Delivery.objects.get()
    assert len(delivery.because) == 3
    assert any("slack:c is told of x" in line for line in explain(happened["key"]))


def test_project_annotations_reach_other_namespaces(slack: SlackServer, time_: FakeClock) -> None:
    """36: an app in namespace team-a of project shop gets the project's subscription."""
    slack_service(slack)
    native("x", on=["sync-failed"])
    happened = event()
    happened["app"]["namespace"] = "team-a"
    happened["project"]["annotations"] = {"notifications.argoproj.io/subscribe.x.slack": "a"}
    dispatch(happened)
    run(time_)
    assert len(slack.messages("a")) == 1


def test_a_project_service_shadows_the_global_one(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    own = slack_service(slack, project="shop")
    subscribe("slack:#a", events=["sync-failed"])
    dispatch(event())
    assert Delivery.objects.get().destination.service_id == own.pk


def test_a_silence_ends_with_the_truth(slack: SlackServer, time_: FakeClock) -> None:
    """43: a silence over a degradation that lasts gives one "still" at its end; if healthy, nothing."""
    slack_service(slack)
    subscribe("slack:#a", events=["health-degraded", "health-recovered"])
    until = time_() + timedelta(hours=1)
    silences.create({"project": "shop"}, time_() - timedelta(1), until, "alice", "maintenance")
    dispatch(event("health-degraded", key="web/health/1", app="web"))
    dispatch(event("health-degraded", key="api/health/1", app="api"))
    dispatch(event("health-recovered", key="api/health/1/recovered", app="api", resolves="api/health/1"))
    run(time_)
    assert slack.messages("a") == []
    assert states() == ["silenced", "silenced", "silenced"]
    time_.forward(minutes=61)
    run(time_)
    assert due_deliveries() == []
    (message,) = slack.messages("a")
    assert "health-degraded of web" in message["text"]


def test_one_bad_trigger_disables_only_itself(slack: SlackServer, time_: FakeClock) -> None:
    """14: two work, the bad one shows line, column and hint."""
    slack_service(slack)
    bad = "- when: let x = 1; x == 1\n  send: [app-sync-succeeded]\n"
    good = "- when: app.status.operationState.phase == 'Succeeded'\n  send: [app-sync-succeeded]\n"
    import_config({"data": {"trigger.bad": bad, "trigger.good": good}})
    annotations = {
        "notifications.argoproj.io/subscribe.bad.slack": "a",
        "notifications.argoproj.io/subscribe.good.slack": "b",
    }
    running = application(phase="Running")
    for number, shape in enumerate((running, application())):
        happened = event("sync-succeeded", key=f"web/{number}", application=shape)
        happened["app"]["annotations"] = annotations
        dispatch(happened)
    run(time_)
    assert len(slack.messages("b")) == 1
    row = TriggerRow.objects.get(name="bad")
    assert row.errors == 2
    assert "line 1" in row.last_error
    assert EventCopy.objects.filter(problems__0__code="unsupported").count() == 2


def test_a_condition_that_changes_sends_nothing_old(slack: SlackServer, time_: FakeClock) -> None:
    """Editing `when` starts a new baseline; changing `send` keeps the state."""
    slack_service(slack)
    annotations = {"notifications.argoproj.io/subscribe.x.slack": "a"}
    save_trigger(
        "x", "- when: app.status.health.status == 'Healthy'\n  send: [one]\n", TriggerRow.Kind.IMPORTED
    )
    observe(view(annotations=annotations, application=application()))
    save_trigger(
        "x", "- when: app.status.health.status != 'Degraded'\n  send: [one]\n", TriggerRow.Kind.IMPORTED
    )
    assert observe(view(annotations=annotations, application=application())) == []
    save_trigger(
        "x", "- when: app.status.health.status != 'Degraded'\n  send: [two]\n", TriggerRow.Kind.IMPORTED
    )
    assert observe(view(annotations=annotations, application=application())) == []


def test_an_app_born_after_the_trigger_is_told(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    save_trigger("x", "- when: true\n  send: [app-created]\n", TriggerRow.Kind.IMPORTED)
    fresh = application()
    fresh["metadata"]["creationTimestamp"] = (time_() + timedelta(minutes=1)).isoformat()
    annotations = {"notifications.argoproj.io/subscribe.x.slack": "a"}
    assert len(observe(view(annotations=annotations, application=fresh))) == 1


def test_an_alarm_of_a_removed_trigger_is_closed(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    native("slow", on=["health-degraded"], **{"for": "5m"})
    subscribe("slack:#a", triggers=["slow"])
    dispatch(event("health-degraded", key="web/health/1"))
    TriggerRow.objects.all().delete()
    time_.forward(minutes=6)
    alarms.tick(time_())
    assert due_deliveries() == []


def test_an_unsupported_service_is_visible_and_holds_its_messages(time_: FakeClock) -> None:
    Service.objects.create(name="mm", type="mattermost", settings=json.dumps({"token": "x"}))
    subscribe("mm:team", events=["sync-failed"])
    dispatch(event())
    run(time_)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error_code) == ("held", "unsupported")
    assert "not supported yet" in delivery.error


def test_the_emitter_learns_whether_the_argo_view_is_worth_building(
    slack: SlackServer, time_: FakeClock
) -> None:
    slack_service(slack)
    save_trigger("late", "- when: time.Now().Hour() >= 0\n  send: [x]\n", TriggerRow.Kind.IMPORTED)
    native("plain", on=["sync-failed"])
    for trigger, expected in (
        ("plain", (False, False)),
        ("on-deployed", (True, False)),
        ("late", (True, True)),
    ):
        annotations = {f"notifications.argoproj.io/subscribe.{trigger}.slack": "a"}
        found = wants_view(view(annotations=annotations))
        assert (found.needed, found.every_minute) == expected, trigger
