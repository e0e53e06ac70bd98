"""The Celery tasks. Each takes ids, reads the rows again, and may come twice or never (house.md 4.1)."""

from __future__ import annotations

import functools
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from django.utils import timezone

import hub.celery as celery
import hub.reconcile as reconcile
import hub.services.hints as repository_hints
import hub.tasks.nudges as nudges
import hub.tasks.runtime as runtime
from hub.models import Application
from hub.services import (
    approvals,
    events,
    heartbeats,
    history,
    looks,
    orphans,
    polling,
    probing,
    switches,
    telling,
    unlabelled,
)
from notifications import services as notifications

log = structlog.get_logger(__name__)
# Whoever imports tasks publishes them to the broker of this application (`manage.py beat` did not).
APP = celery.app
DUE_AT_ONCE = 500
# A poll that is due so soon is waited for by a timer, not by the next tick.
SOON = timedelta(seconds=5)
# What happens in a moment is told to notifications together: events, at most so many, and changes of status.
GATHER_S = 0.25
TOGETHER = 200
PRUNE_EVERY_S = 3600.0


def run_pass(application_id: uuid.UUID) -> None:
    """One pass, then what it asks for: another one, a timer of this process, the delivery of its events."""
    result = reconcile.reconcile(application_id)
    local = runtime.current()
    if local is not None and result.app is not None:
        local.learn(application_id, result.app.cluster_id)
        if local.after_pass is not None:
            local.after_pass(result.app, result.kinds, result.phase)
    if result.changed and local is not None and result.app is not None:
        change = (result.app, result.anew)
        local.collect("changes", change, functools.partial(_observe_changes, local), GATHER_S)
    if result.events:
        nudges.after_commit(lambda: _dispatch_soon(local))
    if local is not None and result.again_in_s is not None and result.again_in_s < 60:
        if result.again_in_s <= 0:
            local.hint(application_id)
        else:
            local.hint_after(result.again_in_s, application_id)
    for repository in repository_hints.poll(result.poll) if result.poll else ():
        poll_soon(repository)


def _observe_changes(local: runtime.Runtime, changes: list[tuple[Application, bool]]) -> None:
    """Looks at one application follow each other, and each reads it anew: an older look never has the last word."""
    for (app, anew), watched in zip(changes, telling.watched([app for app, _ in changes]), strict=True):
        if watched:
            local.submit_once(f"triggers/{app.id}", functools.partial(_observe_one, app.id, anew))


def _observe_one(application: uuid.UUID, anew: bool) -> None:
    _deliver(telling.observe(application, anew=anew))


def _observe(local: runtime.Runtime | None) -> None:
    """What no pass shows to triggers: that time went by, and that somebody configured them anew.

    The second also once an hour: a worker that was killed right after a pass did not show what it had seen.
    """
    due: list[Any] = [observe_by_time] if heartbeats.every("observe", 60) else []
    if heartbeats.every("configured", 10):
        token = hashlib.sha256(telling.configured().encode()).hexdigest()
        due += [observe_all] if heartbeats.every(f"look/{token[:10]}", 3600) else []
    for task in due:
        if local is not None:
            local.submit(task)
        else:
            task.delay()


@shared_task(name="hub.observe_by_time")
def observe_by_time() -> None:
    """Triggers that read the clock, for every application that is subscribed to one (notifications.md 3.1)."""
    _deliver(telling.observe_by_time())


@shared_task(name="hub.observe_all")
def observe_all() -> None:
    """Imported triggers, for every application that is subscribed to one (notifications.md 3.1)."""
    _deliver(telling.observe_all())


def _dispatch_soon(local: runtime.Runtime | None) -> None:
    if local is not None:
        local.submit_once("dispatch", dispatch_now, gather=GATHER_S)
    else:
        dispatch_events.delay()


@shared_task(name="hub.look")
def look(applications: list[str]) -> None:
    """Look at these applications: quiet ones are settled in bulk, the others get a pass."""
    ids = [uuid.UUID(application) for application in applications]
    local = runtime.current()
    for application in looks.settle_quiet(ids):
        if local is not None:
            local.hint(application)
        else:
            run_pass(application)


def _beside(name: str, action: Callable[[], None], *, poll: bool = False, gather: float = 0.0) -> None:
    """What may wait for somebody leaves the few threads that consume messages, and is never twice under way."""
    local = runtime.current()
    if local is not None:
        local.submit_once(name, action, poll=poll, gather=gather)
    else:
        action()


@shared_task(name="hub.poll")
def poll(repository: str) -> None:
    """One listing of one repository that is due, then a nudge for the applications that it moved."""
    _beside(f"poll {repository}", lambda: _poll(uuid.UUID(repository)), poll=True)


def _poll(repository: uuid.UUID) -> None:
    local = runtime.current()
    wait = polling.soon(repository, SOON) if local is not None else None
    if local is not None and wait is not None:
        local.after(wait + 0.01, lambda: poll(str(repository)))
        return
    nudges.look(polling.poll(repository, only_due=True))


def poll_soon(repository: uuid.UUID) -> None:
    if runtime.current() is not None:
        poll(str(repository))
    else:
        nudges.send("hub.poll", [str(repository)])


@shared_task(name="hub.probe")
def probe(cluster: str) -> None:
    """Probe one cluster; what its state changes makes its applications due."""
    _beside(f"probe {cluster}", lambda: nudges.look(probing.probe(uuid.UUID(cluster))))


@shared_task(name="hub.find_orphans")
def find_orphans(project: str) -> None:
    """The orphans of one project; a nudge for the applications that have other ones than before."""
    _beside(f"orphans {project}", lambda: nudges.look(orphans.find(uuid.UUID(project))))


@shared_task(name="hub.find_unlabelled")
def find_unlabelled(cluster: str) -> None:
    """What lost its label in one cluster; a nudge for the applications that it belongs to."""
    _beside(f"unlabelled {cluster}", lambda: nudges.look(unlabelled.find(uuid.UUID(cluster))))


@shared_task(name="hub.dispatch_events")
def dispatch_events() -> None:
    """Hand what happened to notifications, in order; a crash anywhere is repeated without effect."""
    _beside("dispatch", dispatch_now, gather=GATHER_S)


def dispatch_now() -> None:
    after = 0
    while rows := events.undispatched(TOGETHER, after):
        _deliver(telling.hand_over_all(rows))
        if len(rows) < TOGETHER:
            return
        after = rows[-1].id


def _deliver(deliveries: Iterable[int]) -> None:
    local = runtime.current()
    for delivery in deliveries:
        if local is not None:
            # By name: the tick finds it again and again while it waits for a thread.
            local.submit_once(f"deliver {delivery}", functools.partial(notifications.deliver, delivery))
        else:
            nudges.send("notifications.deliver", [delivery])


@shared_task(name="hub.tick")
def tick() -> None:
    """Every 5 s: enqueue what is due. Doubled ticks change nothing, a missed one delays (H12)."""
    started = time.monotonic()
    failed = [part.__name__ for part in (*_PARTS, *map(_now_and_then, _RARELY)) if not _did(part)]
    heartbeats.beat("tick")
    log.debug("tick", failed=failed, seconds=round(time.monotonic() - started, 3))


def _did(part: Callable[[], object]) -> bool:
    """One row that cannot be handled must not keep everything behind it waiting."""
    try:
        part()
    except Exception:
        log.exception("a part of the tick failed", part=part.__name__)
        return False
    return True


def look_here() -> None:
    """What the tick leaves to the process that watches a cluster: its regular looks, from memory."""
    local = runtime.current()
    if local is not None:
        for application in looks.settle_quiet(looks.due_here(DUE_AT_ONCE)):
            local.hint(application)


def _looks() -> None:
    nudges.look(looks.settle_quiet(looks.due(DUE_AT_ONCE)))


def _approvals() -> None:
    nudges.look(approvals.expire_due())


def _polls() -> None:
    for repository in polling.due():
        poll_soon(repository)


def _probes() -> None:
    for cluster in probing.due():
        nudges.send("hub.probe", [str(cluster)])


def _events() -> None:
    if events.undispatched(1):
        _dispatch_soon(runtime.current())


def _deliveries() -> None:
    _deliver(notifications.due_deliveries())


def _orphans() -> None:
    for project in orphans.due():
        nudges.send("hub.find_orphans", [str(project)])


def _unlabelled() -> None:
    for each in unlabelled.due():
        nudges.send("hub.find_unlabelled", [str(each)])


def _triggers() -> None:
    _observe(runtime.current())


_PARTS: tuple[Callable[[], None], ...] = (
    _looks,
    _approvals,
    _polls,
    _probes,
    _events,
    _deliveries,
    _triggers,
)
# What one process of all does once per so many seconds.
_RARELY: tuple[tuple[str, float, Callable[[], object]], ...] = (
    ("remind", 300, lambda: switches.remind(timezone.now())),
    ("orphans", orphans.EVERY_S, _orphans),
    ("unlabelled", unlabelled.EVERY_S, _unlabelled),
    ("prune", PRUNE_EVERY_S, lambda: nudges.send("hub.prune_history", [])),
)


def _now_and_then(one: tuple[str, float, Callable[[], object]]) -> Callable[[], object]:
    name, seconds, action = one

    def part() -> None:
        if heartbeats.every(name, seconds):
            action()

    part.__name__ = name
    return part


@shared_task(name="hub.prune_history")
def prune() -> None:
    """Once an hour: rows beyond their retention, reviews that are due."""
    _beside("prune", _prune)


def _prune() -> None:
    parts: tuple[Callable[[], object], ...] = (history.prune, approvals.remind, notifications.tend)
    for part in parts:
        _did(part)
