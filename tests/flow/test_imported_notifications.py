"""An unchanged argocd-notifications configuration tells Slack about a commit that reached the cluster."""

from __future__ import annotations

import json
from typing import Any

import yaml

from hub.reconcile import reconcile
from hub.services import applications, events, telling
from hub.services.argoview import application_view
from notifications import services as notifications
from notifications.core.triggers import read_trigger
from tests.flow.conftest import DANA, World
from tests.flow.desk import Desk, desk
from tests.slackserver import SlackServer

__all__ = ["desk"]
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: %s}\n"
TRIGGER = """- when: app.status.operationState.phase in ['Succeeded'] and app.status.health.status == 'Healthy'
  oncePer: app.status.operationState.syncResult.revision
  send: [app-done]
"""
TEMPLATE = (
    "message: Application {{.app.metadata.name}} runs {{.app.status.operationState.syncResult.revision}}\n"
)


def test_an_imported_trigger_speaks_once_per_revision(world: World) -> None:
    with SlackServer() as slack:
        slack.channel("general")
        data = {
            "service.slack": yaml.safe_dump({"token": "$slack-token", "apiURL": slack.url}),
            "trigger.on-done": TRIGGER,
            "template.app-done": TEMPLATE,
        }
        notifications.import_config({"data": data}, {"data": {"slack-token": "eG94Yi1nb29kLXRva2VuLTE="}})
        first = world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
        app = world.application(
            sync_policy={"automated": {"prune": True}},
            annotations={"notifications.argoproj.io/subscribe.on-done.slack": "general"},
        )
        _tell(world, app)
        second = world.commit({"deploy/config.yaml": CONFIG % "green"})
        world.poll()
        _tell(world, app)
        _tell(world, app)
        texts = [message["text"] for message in slack.messages("general")]
        assert texts == [f"Application web runs {first}", f"Application web runs {second}"]


def _tell(world: World, app) -> None:  # type: ignore[no-untyped-def]
    world.run(app)
    owed = telling.hand_over_all(events.undispatched())
    owed += telling.observe(app.id)
    for number in [*owed, *notifications.due_deliveries()]:
        notifications.deliver(number)


FAILED = """- when: app.status.operationState.phase in ['Error', 'Failed']
  send: [app-failed]
"""
WHY = "message: Sync of {{.app.metadata.name}} failed. {{.app.status.operationState.message}}\n"


def test_a_sync_that_failed_before_its_first_step_is_told(world: World, desk: Desk) -> None:
    """For a revision that nobody knows there is no start, and an operationState all the same."""
    notifications.import_config({"data": {"trigger.on-failed": FAILED, "template.app-failed": WHY}}, {})
    world.commit({"deploy/ns.yaml": NAMESPACE})
    note = {"notifications.argoproj.io/subscribe.on-failed.slack": "ops"}
    app = world.application(annotations=note)
    desk.tell(world, app)
    world.sync(app, revisions=["nonsense"])
    desk.tell(world, app)
    (root,) = desk.roots()
    assert root.startswith("Sync of web failed. RevisionNotFound")


def test_the_view_of_an_application_has_the_words_of_argo_cd(world: World) -> None:
    app = world.application(sync_policy={"automated": {"prune": True, "self_heal": True}})
    assert application_view(app)["spec"]["syncPolicy"] == {"automated": {"prune": True, "selfHeal": True}}


SLOW = """- when: time.Now().Sub(time.Parse(app.status.operationState.finishedAt)) > 5 * time.Minute
  oncePer: app.status.operationState.syncResult.revision
  send: [app-done]
"""


def test_five_minutes_are_seen_without_an_event(world: World, desk: Desk) -> None:
    """A trigger that reads the clock is asked every minute for an application at rest, too (5)."""
    notifications.import_config({"data": {"trigger.on-done": SLOW, "template.app-done": TEMPLATE}}, {})
    sha = world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    quiet = {"sync_policy": {"automated": {"prune": True}}}
    note = {"notifications.argoproj.io/subscribe.on-done.slack": "ops"}
    app = world.application(annotations=note, **quiet)
    world.application("other", **quiet)
    desk.tell(world, app)
    _minute(desk)
    assert desk.roots() == []
    desk.clock.forward(minutes=6)
    _minute(desk)
    _minute(desk)
    assert desk.roots() == [f"Application web runs {sha}"]


def test_without_such_a_trigger_a_minute_costs_nothing(
    world: World, desk: Desk, django_assert_max_num_queries: Any
) -> None:
    for number in range(3):
        world.application(f"app-{number}")
    list(telling.observe_by_time())
    with django_assert_max_num_queries(5):
        assert list(telling.observe_by_time()) == []


def _minute(desk: Desk) -> None:
    assert all(isinstance(number, int) for number in telling.observe_by_time())
    desk.tell()


def test_what_argo_cd_told_of_an_application_that_moves_here_is_not_told_again(
    world: World, desk: Desk
) -> None:
    """16: the annotation comes with the application; the next revision is news."""
    data = {"trigger.on-done": TRIGGER, "template.app-done": TEMPLATE}
    notifications.import_config({"data": data}, {})
    first = world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    (condition,) = read_trigger("on-done", TRIGGER).conditions
    told = {f"{first}:on-done:{condition.key}:slack:ops": 1700000000}
    app = world.application(
        sync_policy={"automated": {"prune": True}},
        annotations={
            "notifications.argoproj.io/subscribe.on-done.slack": "ops",
            "notified.notifications.argoproj.io": json.dumps(told),
        },
    )
    desk.tell(world, app)
    assert desk.roots() == []
    second = world.commit({"deploy/config.yaml": CONFIG % "green"})
    world.poll()
    desk.tell(world, app)
    assert desk.roots() == [f"Application web runs {second}"]


def test_the_first_event_after_a_subscription_is_news(world: World, desk: Desk) -> None:
    """Somebody imports a configuration and subscribes: what is so already is remembered, what comes next is told."""
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application(sync_policy={"automated": {"prune": True}})
    desk.tell(world, app)
    before = telling.configured()
    notifications.import_config({"data": {"trigger.on-done": TRIGGER, "template.app-done": TEMPLATE}}, {})
    assert telling.configured() != before
    note = {"notifications.argoproj.io/subscribe.on-done.slack": "ops"}
    applications.update(DANA, app, applications.document(app) | {"annotations": note})
    assert reconcile(app.id).changed
    assert list(telling.observe_all()) == []
    second = world.commit({"deploy/config.yaml": CONFIG % "green"})
    world.poll()
    desk.tell(world, app)
    assert desk.roots() == [f"Application web runs {second}"]


def test_looking_at_all_costs_little_where_nothing_is_imported(
    world: World, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        world.application(f"app-{number}")
    list(telling.observe_all())
    with django_assert_max_num_queries(7):
        assert list(telling.observe_all()) == []


def test_a_subscription_to_the_catalogue_tells_nothing_old(world: World, desk: Desk) -> None:
    """The trigger is older than the application, and the application is hours old when somebody subscribes to it."""
    telling.configured()
    list(telling.observe_all())
    world.commit({"deploy/ns.yaml": NAMESPACE, "deploy/config.yaml": CONFIG % "blue"})
    app = world.application(sync_policy={"automated": {"prune": True}})
    desk.tell(world, app)
    desk.clock.forward(hours=2)
    note = {"notifications.argoproj.io/subscribe.on-deployed.slack": "ops"}
    applications.update(DANA, app, applications.document(app) | {"annotations": note})
    result = reconcile(app.id)
    assert (result.changed, result.anew) == (True, True)
    assert telling.observe(app.id, anew=True) == []
    world.commit({"deploy/config.yaml": CONFIG % "green"})
    world.poll()
    desk.tell(world, app)
    assert telling.observe(app.id) == []
    assert desk.roots() == ["web is deployed and healthy."]
