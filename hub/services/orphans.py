"""Orphans of Projects that look for them: found every ten minutes, told once each (access-and-api.md 1.9).

An orphan is an object of a destination namespace that no Application owns. A kind that could not be listed keeps what
was known of it: a failed list neither finds orphans nor ends them.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable

from django.db import transaction
from django.db.models import F

import hub.services.events as events
import hub.services.live as live
import hub.services.looks as looks
from clusters.core.manifests import ResourceKey
from clusters.errors import ClusterError
from clusters.services import discovery
from hub.core.events import Event as Happened
from hub.models import Application, Project

EVERY_S = 600.0
NAMED, MOST = 5, 500


def due() -> list[uuid.UUID]:
    """Projects that look for orphans."""
    rows = Project.objects.filter(archived=False).values_list("id", "rules")
    return [project for project, rules in rows if _wanted(rules)]


def find(project_id: uuid.UUID) -> list[uuid.UUID]:
    """Look through the destination namespaces of one Project. Returns the Applications that must look.

    Each namespace is listed once for all its Applications; a cluster that does not answer is passed over.
    """
    places: dict[tuple[uuid.UUID, str], list[Application]] = defaultdict(list)
    rows = Application.objects.filter(project=project_id).exclude(destination_namespace="")
    for app in rows.select_related("project", "cluster").order_by("name"):
        places[app.cluster_id, app.destination_namespace].append(app)
    changed: list[uuid.UUID] = []
    for apps in places.values():
        first = apps[0]
        try:
            connection = first.cluster.connection()
            found, failed = live.orphans_in(first, connection, discovery(connection))
        except ClusterError:
            continue
        changed += [app.id for app in apps if _store(app, found, set(failed))]
    return looks.ask(changed, level=1)


def _wanted(rules: object) -> bool:
    held = rules.get("orphans") if isinstance(rules, dict) else None
    return isinstance(held, dict) and held.get("enabled") is True


def warns(project: Project) -> bool:
    """Whether orphans are a Condition and an Event; else they are only shown."""
    return _wanted(project.rules) and project.rules["orphans"].get("warn") is True


@transaction.atomic
def _store(app: Application, found: Iterable[ResourceKey], failed: set[tuple[str, str]]) -> bool:
    """Keep what was found with the Application, tell what is new; True when something changed."""
    before = [ResourceKey(*key) for key in app.orphans]
    kept = {key for key in before if key[:2] in failed}
    now = sorted({*found, *kept})[:MOST]
    if now == before:
        return False
    new = [key for key in now if key not in before]
    Application.objects.filter(id=app.id).update(orphans=[list(key) for key in now])
    if new and warns(app.project):
        named = ", ".join(str(key) for key in new[:NAMED])
        rest = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
        said = f"{named}{rest} in namespace {app.destination_namespace} belongs to no application"
        key = f"{app.id}/orphan/{new[0]}"
        Application.objects.filter(id=app.id).update(event_seq=F("event_seq") + 1)
        events.store(app, [Happened("orphan-found", key, "warning", said)], {})
    return True


def sentence(app: Application) -> str:
    """The text of the Condition OrphanedResource, empty when there is none."""
    keys = [str(ResourceKey(*key)) for key in app.orphans]
    if not keys or not warns(app.project):
        return ""
    rest = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{', '.join(keys[:NAMED])}{rest} belongs to no application"
