"""What people may see of notifications and do with them: rights of Projects, one audit line per act.

An event belongs to the Project it names: its readers see who was told of it, its owners send again and silence.
What belongs to no Project is for administrators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import transaction
from django.db.models import Q, QuerySet

import hub.services.audit as audit
import hub.services.rights as rights
from hub.errors import HubError
from hub.models import Project, User
from hub.services.actors import Actor
from notifications import services as notifications
from notifications.errors import NotificationError
from notifications.models import Delivery, Destination, EventCopy, Silence, Subscription
from notifications.services import silences, subscribing

P = ParamSpec("P")
T = TypeVar("T")
_CONFLICTS = {"not_ended", "not_unconfirmed", "name_not_available"}


def translated(act: Callable[P, T]) -> Callable[P, T]:
    """Errors of the room of notifications as errors of the hub: 409 for a wrong state, 429 for too soon, else 422."""

    @wraps(act)
    def done(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return act(*args, **kwargs)
        except NotificationError as error:
            status = 409 if error.code in _CONFLICTS else 429 if error.code == "too_soon" else 422
            raise HubError(error.code, str(error), error.hint, status=status) from None

    return done


# -- what one may see


def _names(user: User) -> list[str]:
    return list(rights.visible_projects(user).values_list("name", flat=True))


def visible_deliveries(user: User) -> QuerySet[Delivery]:
    rows = Delivery.objects.select_related("destination__service", "event")
    return rows if user.is_superuser else rows.filter(event__project__in=_names(user))


def visible_copies(user: User) -> QuerySet[EventCopy]:
    return (
        EventCopy.objects.all() if user.is_superuser else EventCopy.objects.filter(project__in=_names(user))
    )


def visible_silences(user: User) -> QuerySet[Silence]:
    return (
        Silence.objects.all()
        if user.is_superuser
        else Silence.objects.filter(matcher__project__in=_names(user))
    )


def visible_subscriptions(user: User) -> QuerySet[Subscription]:
    return (
        Subscription.objects.all()
        if user.is_superuser
        else Subscription.objects.filter(owner__in=[name for name in _names(user) if name])
    )


def of_projects(user: User) -> Q:
    """Triggers and templates: everybody's, and those of the caller's Projects."""
    return Q() if user.is_superuser else Q(project__in=["", *_names(user)])


# -- what one may do


def _demand(user: User, name: str, what: str) -> None:
    """Raises NotFound or Forbidden; without a Project only administrators may."""
    project = Project.objects.filter(name=name).first() if name else None
    rights.demand(user, "update", project, what)


@translated
@transaction.atomic
def resend(actor: Actor, user: User, row: Delivery) -> int:
    """A new Delivery of the same Message; its id."""
    project = row.event.project if row.event is not None else ""
    _demand(user, project, f"delivery {row.pk}")
    made = notifications.resend(row.pk, actor.name)
    audit.record(actor, "resend", resource="delivery", name=str(row.pk), project=project)
    return made


@translated
@transaction.atomic
def mark_sent(actor: Actor, user: User, row: Delivery) -> None:
    project = row.event.project if row.event is not None else ""
    _demand(user, project, f"delivery {row.pk}")
    notifications.mark_sent(row.pk, actor.name)
    audit.record(actor, "mark sent", resource="delivery", name=str(row.pk), project=project)


@translated
@transaction.atomic
def silence(
    actor: Actor, user: User, matcher: Mapping[str, str], begin: datetime, end: datetime, reason: str
) -> Silence:
    """Owners silence within their Project, so they name it; administrators silence anything."""
    project = str(matcher.get("project") or "")
    if not user.is_superuser:
        if not project:
            raise HubError("invalid", "name the project that is to be silent", status=422)
        _demand(user, project, f"notifications of {project}")
    row = silences.create(matcher, begin, end, actor.name, reason)
    after = {"matcher": row.matcher, "from": begin.isoformat(), "until": end.isoformat(), "reason": reason}
    audit.record(actor, "create", resource="silence", name=str(row.pk), project=project, after=after)
    return row


@translated
@transaction.atomic
def end_silence(actor: Actor, user: User, row: Silence) -> None:
    project = str(row.matcher.get("project") or "")
    _demand(user, project, f"silence {row.pk}")
    silences.end(row.pk)
    audit.record(actor, "end", resource="silence", name=str(row.pk), project=project)


@translated
@transaction.atomic
def subscribe(
    actor: Actor, user: User, given: Mapping[str, Any], row: Subscription | None = None
) -> Subscription:
    """Owners subscribe for their Project (`owner`), administrators for the whole hub."""
    owner = row.owner if row is not None else str(given.get("owner") or "")
    if not user.is_superuser and not owner:
        raise HubError("invalid", "name the project that owns the subscription", "owner: shop", status=422)
    _demand(user, owner, f"subscriptions of {owner or 'the hub'}")
    if row is not None and row.imported is not None:
        raise HubError("imported", "it is part of an imported configuration", "import again", status=409)
    before = subscribing.document(row) if row is not None else None
    made = subscribing.save({**given, "owner": owner}, row)
    audit.record(
        actor,
        "update" if before else "create",
        resource="subscription",
        name=made.name,
        project=owner,
        before=before,
        after=subscribing.document(made),
    )
    return made


@transaction.atomic
def unsubscribe(actor: Actor, user: User, row: Subscription) -> None:
    _demand(user, row.owner, f"subscription {row.name}")
    audit.record(
        actor,
        "delete",
        resource="subscription",
        name=row.name,
        project=row.owner,
        before=subscribing.document(row),
    )
    row.delete()


@translated
def send_test(actor: Actor, row: Destination) -> notifications.Tested:
    """At once, for administrators; the answer is the classified error and its hint."""
    tested = notifications.send_test(row.pk, actor.name)
    audit.record(
        actor,
        "test",
        resource="destination",
        name=str(row.pk),
        outcome="done" if tested.ok else "failed",
        code=tested.code,
    )
    return tested


@translated
@transaction.atomic
def enable(actor: Actor, row: Destination) -> int:
    """Switch a Destination and its Service on again; how many held Deliveries go out."""
    resumed = {*notifications.enable(row.service, actor.name), *notifications.enable(row, actor.name)}
    audit.record(actor, "enable", resource="destination", name=str(row.pk))
    return len(resumed)


@translated
@transaction.atomic
def import_config(
    actor: Actor, configmap: Mapping[str, Any], secret: Mapping[str, Any], project: str, *, dry_run: bool
) -> tuple[Any, ...]:
    """The report of an import; secrets of the audit are those of nobody: only the names of keys are kept."""
    report = notifications.import_config(configmap, secret, project=project, dry_run=dry_run)
    if not dry_run:
        keys = sorted(str(key) for key in configmap.get("data") or {})
        audit.record(actor, "import", resource="notifications", project=project, after={"keys": keys})
    return report
