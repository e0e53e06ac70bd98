"""Between the hub's rows and the room of notifications: events handed over once, status changes shown to triggers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Count, Sum

import hub.services.commits as commits
import hub.services.events as events
from hub.models import Application, Event, Project
from hub.services import approvals, chat
from hub.services.argoview import shapes
from notifications import services as notifications

log = structlog.get_logger(__name__)


def hand_over_all(rows: Sequence[Event]) -> list[int]:
    """Events in their order; the many that nobody asked to hear are stored together.

    One that cannot be handed over stays for the next time, with those behind it of its application: others go on.
    """
    quiet = notifications.unheard([row.data for row in rows])
    unheard = [row for row in rows if row.data.get("key") in quiet]
    owed: list[int] = []
    stuck: set[uuid.UUID | None] = set()
    for row in rows:
        if row.data.get("key") in quiet or (row.application and row.application in stuck):
            continue
        try:
            owed += hand_over(row)
        except DatabaseError:
            raise
        except Exception:
            stuck.add(row.application)
            log.exception("an event could not be handed over", key=row.key)
    if unheard:
        with transaction.atomic():
            notifications.keep([row.data for row in unheard])
            events.mark_dispatched([row.id for row in unheard])
    return owed


def hand_over(row: Event) -> list[int]:
    """One event to notifications, once: dispatch and mark in one transaction. Returns the deliveries it owes."""
    data = dict(row.data)
    app = _application(row.application) if row.application is not None else None
    if app is not None:
        data |= _with_commits(app, data.get("revisions") or ())
        if notifications.wants_view(data).needed:
            data |= shapes(app)
    with transaction.atomic():
        owed = notifications.dispatch(chat.with_commands(approvals.with_buttons(data)))
        events.mark_dispatched([row.id])
    return owed


def watched(apps: Sequence[Application]) -> list[bool]:
    """Of each, whether an imported trigger wants to see each stored status change of it (notifications.md 3.1)."""
    return notifications.wanting_view([events.basis(app) for app in apps])


def observe(application: uuid.UUID, *, anew: bool = False) -> list[int]:
    """Show an application, as it is stored now, to its imported triggers although no Event says that it changed.

    `anew`: its document changed, so it may be subscribed only now.
    """
    app = _application(application)
    if app is None:
        return []
    basis = events.basis(app)
    if not notifications.wants_view(basis).needed:
        return []
    return notifications.observe(_view(app, basis), anew=anew)


def observe_by_time() -> Iterator[int]:
    """Once a minute: every application with a trigger that reads the clock, whether anything happened to it or not."""
    asks = notifications.asking_by_time()
    if asks is not None:
        yield from _observe_those(asks, by_time=True)


def observe_all() -> Iterator[int]:
    """Every application with imported triggers: what is new to them is only remembered, what was missed is told.

    Without it the first event after a subscription would be the first look, which tells nothing.
    """
    yield from _observe_those(notifications.asking(), by_time=False)


def configured() -> str:
    """Another text whenever somebody subscribed, imported or wrote triggers, in the whole hub or for a Project."""
    projects = Project.objects.aggregate(Count("id"), Sum("generation"))
    return f"{notifications.version()}/{projects['id__count']}/{projects['generation__sum']}"


def _observe_those(asks: Callable[[Mapping[str, Any]], bool], *, by_time: bool) -> Iterator[int]:
    ids = list(Application.objects.order_by("id").values_list("id", flat=True))
    for start in range(0, len(ids), 200):
        some = Application.objects.select_related("project", "cluster").filter(
            id__in=ids[start : start + 200]
        )
        for app in some:
            basis = events.basis(app)
            if asks(basis):
                yield from notifications.observe(_view(app, basis), by_time=by_time, anew=not by_time)


def _view(app: Application, basis: Mapping[str, Any]) -> dict[str, Any]:
    revisions = [
        {"sha": sha, "repo": entry.get("repoURL", "")}
        for entry, sha in zip(app.sources, app.revisions, strict=False)
    ]
    return {**basis, **_with_commits(app, revisions), **shapes(app)}


def _application(application: uuid.UUID) -> Application | None:
    return Application.objects.select_related("project", "cluster").filter(id=application).first()


def _with_commits(app: Application, revisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    described = commits.describe(app, revisions)
    return {"revisions": described, "commits": commits.as_commits(described)}
