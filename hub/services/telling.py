"""Between the hub's rows and the room of notifications: events handed over once, status changes shown to triggers."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction

import hub.services.events as events
from hub.models import Application, Event
from hub.models.operation import UNFINISHED
from hub.services import approvals
from hub.services.argoview import application_view, project_view
from notifications import services as notifications


def hand_over(row: Event) -> list[int]:
    """One event to notifications, once: dispatch and mark in one transaction. Returns the deliveries it owes."""
    data = dict(row.data)
    app = None
    if row.application is not None and notifications.wants_view(data).needed:
        app = Application.objects.select_related("project", "cluster").filter(id=row.application).first()
    if app is not None:
        data |= _shapes(app)
    with transaction.atomic():
        owed = notifications.dispatch(approvals.with_buttons(data))
        events.mark_dispatched([row.id])
    return owed


def observe(application: uuid.UUID) -> list[int]:
    """A stored status change that is no Event, for imported triggers only (notifications.md 3.1)."""
    app = Application.objects.select_related("project", "cluster").filter(id=application).first()
    if app is None:
        return []
    basis = events.basis(app)
    if not notifications.wants_view(basis).needed:
        return []
    return notifications.observe(basis | _shapes(app))


def running() -> list[uuid.UUID]:
    """Applications whose triggers may depend on the time that an operation takes: looked at every minute."""
    rows = Application.objects.filter(operation_phase__in=UNFINISHED)
    return list(rows.values_list("id", flat=True)[:500])


def _shapes(app: Application) -> dict[str, Any]:
    return {"application": application_view(app), "project_view": project_view(app.project)}
