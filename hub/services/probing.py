"""Probing clusters: when, what the answer means for the row, and the Events when a cluster is lost or comes back.

The events `cluster-unreachable` and `cluster-recovered` are one pair per episode (notifications.md 2). First sight
of a cluster tells nothing.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

import hub.services.events as events
import hub.services.looks as looks
from clusters import services as clusters
from clusters.models import Cluster
from clusters.services.probing import Probe
from clusters.services.records import record_probe
from guard.redact import redact
from hub.models import Application, Event
from hub.services.applications import LEVEL_KNOWN
from hub.services.clusters import applications_of

SOONEST, LATEST = timedelta(seconds=30), timedelta(minutes=5)
NAMED = 20
LOST, BACK = "cluster-unreachable", "cluster-recovered"
UP = {Cluster.State.CONNECTED, Cluster.State.DEGRADED}


def due(limit: int = 50) -> list[uuid.UUID]:
    """Clusters whose next probe has come, the longest waiting first."""
    rows = Cluster.objects.filter(next_probe_at__lte=Now(), paused=False).order_by("next_probe_at")
    return list(rows.values_list("id", flat=True)[:limit])


def probe(cluster_id: uuid.UUID) -> list[uuid.UUID]:
    """Ask one cluster how it is (10 s at most) and store it. Returns the Applications that must look.

    The row is moved on before the question, so the tick does not ask again meanwhile. Returns nothing for a Cluster
    that is gone or paused.
    """
    cluster = Cluster.objects.filter(id=cluster_id, paused=False).first()
    if cluster is None:
        return []
    Cluster.objects.filter(id=cluster_id).update(next_probe_at=timezone.now() + SOONEST)
    found = clusters.probe(cluster.connection())
    return _store(cluster, found)


@transaction.atomic
def _store(cluster: Cluster, found: Probe) -> list[uuid.UUID]:
    """Write what the probe saw, unless the connection was changed meanwhile; then its own probe is due already."""
    now = timezone.now()
    since = _open_episode(cluster)
    if not record_probe(cluster, found, now):
        return []
    if found.state == Cluster.State.UNREACHABLE:
        again = now + _pause(since.occurred_at if since else now, now)
        Cluster.objects.filter(id=cluster.id).update(next_probe_at=again)
    if found.state == cluster.state:
        return []
    before, cluster.state = cluster.state, found.state
    cluster.state_message = redact(found.message, limit=500)
    if found.state == Cluster.State.UNREACHABLE and before != Cluster.State.UNKNOWN and since is None:
        _tell_lost(cluster, now)
    elif found.state in UP and since is not None:
        _tell_back(cluster, since, now)
    return looks.ask(applications_of(cluster), level=LEVEL_KNOWN)


def _pause(since: datetime, now: datetime) -> timedelta:
    """A lost cluster is asked again after half of the time it has been away, from 30 s up to 5 min (CL11)."""
    return min(LATEST, max(SOONEST, (now - since) / 2))


def _open_episode(cluster: Cluster) -> Event | None:
    """The Event that opened the present outage, if it was told and has not ended."""
    prefix = f"{cluster.id}/unreachable/"
    last = Event.objects.filter(key__startswith=prefix, name=LOST).order_by("-id").first()
    ended = last is not None and Event.objects.filter(key=f"{last.key}/recovered").exists()
    return None if ended else last


def _tell_lost(cluster: Cluster, now: datetime) -> None:
    prefix = f"{cluster.id}/unreachable/"
    last = Event.objects.filter(key__startswith=prefix, name=LOST).order_by("-id").first()
    number = int(last.key.removeprefix(prefix)) + 1 if last else 1
    names = list(Application.objects.filter(cluster=cluster).order_by("name").values_list("name", flat=True))
    _insert(
        cluster,
        name=LOST,
        key=f"{prefix}{number}",
        severity="critical",
        summary=f"Cluster {cluster.name} cannot be reached: {cluster.state_message or 'no answer'}",
        detail={"applications": names[:NAMED], "applications_total": len(names)},
        now=now,
    )


def _tell_back(cluster: Cluster, since: Event, now: datetime) -> None:
    _insert(
        cluster,
        name=BACK,
        key=f"{since.key}/recovered",
        severity="success",
        summary=f"Cluster {cluster.name} answers again",
        detail={"since": since.occurred_at.isoformat()},
        now=now,
        resolves=since.key,
    )


def _insert(
    cluster: Cluster,
    *,
    name: str,
    key: str,
    severity: str,
    summary: str,
    detail: dict[str, Any],
    now: datetime,
    resolves: str = "",
) -> None:
    """An Event that belongs to a cluster and to no application."""
    part = {
        "name": cluster.name,
        "server": cluster.server,
        "labels": cluster.labels,
        "state": cluster.state,
    }
    events.store_apart(
        name,
        key,
        severity,
        summary,
        now,
        project=cluster.scope,
        cluster=part,
        detail=detail,
        resolves=resolves,
        links={"cluster": events.link(f"/admin/clusters/cluster/{cluster.id}/change/")},
    )
