"""The Celery tasks. Each takes ids, reads the rows again, and may come twice or never (house.md 4.1)."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Iterable

import structlog
from celery import shared_task
from django.utils import timezone

import hub.celery as celery
import hub.reconcile as reconcile
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


def run_pass(application_id: uuid.UUID) -> None:
    """One pass, then what it asks for: another one, a timer of this process, the delivery of its events."""
    result = reconcile.reconcile(application_id)
    local = runtime.current()
    if local is not None and local.after_pass is not None and result.app is not None:
        local.after_pass(result.app, result.kinds, result.phase)
    if result.changed and local is not None and result.app is not None:
        local.submit(functools.partial(_observe_change, result.app))
    if result.events:
        nudges.after_commit(lambda: _dispatch_soon(local))
    if local is not None and result.again_in_s is not None and result.again_in_s < 60:
        if result.again_in_s <= 0:
            local.hint(application_id)
        else:
            local.hint_after(result.again_in_s, application_id)
    for repository in result.poll:
        poll_soon(repository)


def _observe_change(app: Application) -> None:
    _deliver(telling.observe_change(app))


def _observe(application: uuid.UUID) -> None:
    _deliver(telling.observe(application))


def _observe_by_time(local: runtime.Runtime | None) -> None:
    if local is not None:
        local.submit(observe_by_time)
    else:
        observe_by_time.delay()


@shared_task(name="hub.observe_by_time")
def observe_by_time() -> None:
    """Triggers that read the clock, for every application that is subscribed to one (notifications.md 3.1)."""
    _deliver(telling.observe_by_time())


def _dispatch_soon(local: runtime.Runtime | None) -> None:
    if local is not None:
        local.submit_once("dispatch", dispatch_now)
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


@shared_task(name="hub.poll")
def poll(repository: str) -> None:
    """One listing of one repository, then a nudge for the applications that it moved."""
    nudges.look(polling.poll(uuid.UUID(repository)))


def poll_soon(repository: uuid.UUID) -> None:
    local = runtime.current()
    if local is not None:
        local.submit(lambda: poll(str(repository)))
    else:
        nudges.send("hub.poll", [str(repository)])


@shared_task(name="hub.probe")
def probe(cluster: str) -> None:
    """Probe one cluster; what its state changes makes its applications due."""
    nudges.look(probing.probe(uuid.UUID(cluster)))


@shared_task(name="hub.find_orphans")
def find_orphans(project: str) -> None:
    """The orphans of one project; a nudge for the applications that have other ones than before."""
    nudges.look(orphans.find(uuid.UUID(project)))


@shared_task(name="hub.find_unlabelled")
def find_unlabelled(cluster: str) -> None:
    """What lost its label in one cluster; a nudge for the applications that it belongs to."""
    nudges.look(unlabelled.find(uuid.UUID(cluster)))


@shared_task(name="hub.dispatch_events")
def dispatch_events() -> None:
    """Hand what happened to notifications, in order; a crash anywhere is repeated without effect."""
    dispatch_now()


def dispatch_now() -> None:
    while rows := events.undispatched():
        _deliver(telling.hand_over_all(rows))


def _deliver(deliveries: Iterable[int]) -> None:
    local = runtime.current()
    for delivery in deliveries:
        if local is not None:
            local.submit(functools.partial(notifications.deliver, delivery))
        else:
            nudges.send("notifications.deliver", [delivery])


@shared_task(name="hub.tick")
def tick() -> None:
    """Every 5 s: enqueue what is due. Doubled ticks change nothing, a missed one delays (H12)."""
    started = time.monotonic()
    due = looks.due(DUE_AT_ONCE)
    busy = looks.settle_quiet(due)
    nudges.look(busy)
    nudges.look(approvals.expire_due())
    for repository in polling.due():
        poll_soon(repository)
    for cluster in probing.due():
        nudges.send("hub.probe", [str(cluster)])
    if heartbeats.every("remind", 300):
        switches.remind(timezone.now())
    if events.undispatched(1):
        _dispatch_soon(runtime.current())
    _deliver(notifications.due_deliveries())
    if heartbeats.every("observe", 60):
        _observe_by_time(runtime.current())
    if heartbeats.every("orphans", orphans.EVERY_S):
        for project in orphans.due():
            nudges.send("hub.find_orphans", [str(project)])
    if heartbeats.every("unlabelled", unlabelled.EVERY_S):
        for each in unlabelled.due():
            nudges.send("hub.find_unlabelled", [str(each)])
    heartbeats.beat("tick")
    log.debug("tick", due=len(due), busy=len(busy), seconds=round(time.monotonic() - started, 3))


@shared_task(name="hub.prune_history")
def prune() -> None:
    """Once an hour: rows beyond their retention, reviews that are due."""
    history.prune()
    approvals.remind()
    notifications.tend()
