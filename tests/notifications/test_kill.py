"""37: a worker killed between any two statements, from the event to the sent message, loses nothing and repeats nothing.

Each case is a real process that ends itself by SIGKILL at its n-th point: before a statement of the database, before
the request to Slack is written, after Slack has acted. Then the rest of the world goes on and the message is counted.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections

from notifications.channels import base
from notifications.models import Alarm, Bucket, Delivery, EventCopy, Thread
from notifications.services import deliver, dispatch
from tests.notifications.conftest import FakeClock, event, operation, run, slack_service, states, subscribe
from tests.slackserver import SlackServer

pytestmark = pytest.mark.django_db(transaction=True)
MOST_POINTS = 300


class Killer:
    """Counts points; at the chosen one the process is gone, as if the machine had lost its power."""

    def __init__(self, at: int) -> None:
        self.left = at

    def point(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.point()
        return execute(sql, params, many, context)


def _alone() -> None:
    """No connection and no pool is shared with a child."""
    connections.close_all()
    if connection.vendor == "postgresql":
        connection.close_pool()


def _worker(at: int, happened: dict[str, Any]) -> bool:
    """One process that does everything from the event to the end; True when it was killed on its way."""
    _alone()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            killer = Killer(at)
            send = base.send

            def killed_send(*args: Any) -> Any:
                killer.point()
                answer = send(*args)
                killer.point()
                return answer

            base.send = killed_send
            with connection.execute_wrapper(killer.statement):
                for delivery in dispatch(happened):
                    deliver(delivery)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _forgotten() -> None:
    for model in (Delivery, EventCopy, Thread, Bucket, Alarm):
        model.objects.all().delete()


def _points(slack: SlackServer, time_: FakeClock, happened: dict[str, Any]) -> Iterator[int]:
    """Kill at every point in turn; each time the world goes on afterwards. Ends when a worker was not killed."""
    for at in range(MOST_POINTS):
        killed = _worker(at, happened)
        dispatch(happened)
        time_.forward(seconds=61)
        run(time_)
        yield at
        if not killed:
            return
    raise AssertionError("a worker never came to its end")


def test_kill_between_any_two_statements(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-failed"])
    happened = event(at=time_())
    last = 0
    for at in _points(slack, time_, happened):
        last = at
        assert states() == ["sent"], at
        assert len(slack.messages("a")) == 1, at
        slack.channels["C00000001"]["messages"].clear()
        _forgotten()
        happened["occurred_at"] = time_().isoformat()
    assert last > 20


def test_kill_between_a_reply_and_the_rewritten_root(slack: SlackServer, time_: FakeClock) -> None:
    slack_service(slack)
    subscribe("slack:#a", events=["sync-started", "sync-failed"])
    started, failed = (
        event("sync-started", operation=operation()),
        event("sync-failed", operation=operation()),
    )
    dispatch(started)
    run(time_)
    for at in _points(slack, time_, failed):
        (root,) = slack.roots("a")
        assert states() == ["sent", "sent"], at
        assert len(slack.replies("a", root["ts"])) == 1, at
        assert "sync-failed of web" in root["text"], at
        slack.channels["C00000001"]["messages"].clear()
        _forgotten()
        for happened in (started, failed):
            happened["occurred_at"] = time_().isoformat()
        dispatch(started)
        run(time_)


def test_two_processes_send_each_message_once(slack: SlackServer, time_: FakeClock) -> None:
    """Four workers see the same due rows at the same time."""
    slack_service(slack)
    subscribe("slack:#a", "slack:#b", "slack:#ops", events=["sync-failed"])
    ids = dispatch(event())
    _alone()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for delivery in ids * 3:
                    deliver(delivery)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0, 0]
    run(time_)
    assert [len(slack.messages(name)) for name in ("a", "b", "ops")] == [1, 1, 1]
    assert states() == ["sent", "sent", "sent"]


def test_kill_while_a_storm_is_folded(slack: SlackServer, time_: FakeClock) -> None:
    """Four wait, the fifth is dispatched and carries them all, or what is left of them when its worker dies."""
    slack_service(slack)
    subscribe("slack:#a", events=["deployed"])

    def four() -> None:
        for number in range(4):
            dispatch(event("deployed", app=f"app-{number}", at=time_()))

    happened = event("deployed", app="fifth", at=time_())
    four()
    last = 0
    for at in _points(slack, time_, happened):
        last = at
        assert sorted(states()) == ["merged", "merged", "merged", "merged", "sent"], at
        (message,) = slack.messages("a")
        assert "5 applications: deployed" in message["text"], at
        slack.channels["C00000001"]["messages"].clear()
        _forgotten()
        happened["occurred_at"] = time_().isoformat()
        four()
    assert last > 20
