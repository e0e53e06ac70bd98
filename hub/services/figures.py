"""Figures of the hub for a scrape, read from the rows: approvals, applications, clusters, signs of life (OB1)."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, DurationField, F, Sum

import hub.services.heartbeats as heartbeats
from clusters.models import Cluster
from hub.models import Application, ApprovalRequest, AuditEvent
from notifications import services as notifications

Figure = tuple[str, dict[str, str], float]
METRICS = notifications.METRICS | {
    "hub_approvals": ("gauge", "Requests for approval by state"),
    "hub_approvals_total": ("counter", "Requests for approval that ended, by how"),
    "hub_approval_wait_seconds": ("summary", "From a request to its quorum"),
    "hub_approval_refused_total": ("counter", "Tries to vote that did not count, by why"),
    "hub_slack_interactions_total": ("counter", "Clicks in Slack by how they ended"),
    "hub_slack_ack_seconds": ("histogram", "From a click in Slack to the answer"),
    "hub_apps": ("gauge", "Applications by sync and health"),
    "hub_cluster_connection_status": ("gauge", "1 for a cluster that answers"),
    "hub_heartbeat_age_seconds": ("gauge", "Seconds since a part last consumed something"),
}
_OPEN = ("pending", "approved", "executing")


def figures() -> list[Figure]:
    """Everything that `/metrics` shows, as (name, labels, value)."""
    return [*notifications.figures(), *_approvals(), *_applications(), *_alive()]


def _approvals() -> list[Figure]:
    found: list[Figure] = []
    for state, kind, number in (
        ApprovalRequest.objects.values_list("state", "kind").annotate(Count("number")).order_by()
    ):
        found.append(("hub_approvals", {"state": state, "kind": kind}, number))
        if state not in _OPEN:
            found.append(("hub_approvals_total", {"result": state, "kind": kind}, number))
    waited: Any = Sum(F("approved_at") - F("created_at"), output_field=DurationField())
    rows = ApprovalRequest.objects.filter(approved_at__isnull=False).values_list("kind")
    for kind, number, span in rows.annotate(Count("number"), waited=waited).order_by():
        found.append(("hub_approval_wait_seconds_count", {"kind": kind}, number))
        found.append(("hub_approval_wait_seconds_sum", {"kind": kind}, span.total_seconds()))
    refused: Any = AuditEvent.objects.filter(resource="approval", outcome="denied")
    for code, number in refused.values_list("code").annotate(Count("id")).order_by():
        found.append(("hub_approval_refused_total", {"code": code}, number))
    return found


def _applications() -> list[Figure]:
    counted = Application.objects.values_list("project__name", "sync_status", "health_status")
    return [
        ("hub_apps", {"project": project, "sync_status": sync, "health_status": health}, number)
        for project, sync, health, number in counted.annotate(Count("id")).order_by()
    ]


def _alive() -> list[Figure]:
    clusters = Cluster.objects.order_by("name").values_list("name", "state")
    return [
        *(
            ("hub_cluster_connection_status", {"cluster": name}, float(state == Cluster.State.CONNECTED))
            for name, state in clusters
        ),
        *(
            ("hub_heartbeat_age_seconds", {"part": part}, age)
            for part, age in sorted(heartbeats.ages().items())
        ),
    ]
