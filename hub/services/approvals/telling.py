"""The events of an approval, stored in the transaction of its transition (notifications.md 2)."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.utils import timezone

import hub.services.events as events
from hub.core.approvals import Card, Demand, Tally, card
from hub.core.events import Event as Happened
from hub.models import Application, ApprovalRequest, Event


def link_of(row: ApprovalRequest) -> str:
    return events.link(f"/approvals/{row.number}")


def requested_key(row: ApprovalRequest, round_: int = 0) -> str:
    return f"ap/{row.number}/requested/{round_ or row.round}"


def view(row: ApprovalRequest, tally: Tally | None) -> dict[str, Any]:
    """The part `approval` of an event; `request` also names the thread."""
    return {
        "request": row.number,
        "number": row.number,
        "state": row.state,
        "round": row.round,
        "kind": row.kind,
        "votes": tally.votes if tally else 0,
        "needed": tally.needed if tally else 0,
        "reason": row.outcome or row.reason,
        "digest": row.digest,
    }


def tell(
    row: ApprovalRequest,
    name: str,
    key: str,
    summary: str,
    *,
    severity: str = "info",
    demand: Demand | None = None,
    tally: Tally | None = None,
) -> None:
    """Store one event with the whole card. A request whose application is gone tells nobody any more."""
    app = row.application
    if app is None:
        return
    Application.objects.filter(id=app.id).update(event_seq=F("event_seq") + 1)
    app.event_seq += 1
    now = timezone.now()
    ends = "" if name in {"approval-requested", "approval-voted"} else requested_key(row, 1)
    happened = Happened(name, key, severity, summary, "approval", ends=ends)
    shown = card_of(row, demand, tally)
    mapping = events.mapping(app, happened, {"revisions": row.plan.get("revisions")}, app.event_seq, now)
    mapping |= {
        "initiator": row.requester or mapping["initiator"],
        "approval": view(row, tally),
        "card": {
            "title": shown.title,
            "lines": list(shown.lines),
            "fields": [list(field) for field in shown.fields] + _revisions(row),
        },
        "destinations": list(demand.destinations) if demand else [],
        "links": {
            **mapping["links"],
            "approval": link_of(row),
        },
    }
    Event.objects.bulk_create(
        [
            Event(
                key=key[:255],
                name=name,
                seq=app.event_seq,
                application=app.id,
                project=row.project,
                severity=severity,
                summary=mapping["summary"],
                data=mapping,
                occurred_at=now,
            )
        ],
        ignore_conflicts=True,
    )


def _revisions(row: ApprovalRequest) -> list[list[str]]:
    """Each planned commit with the page that shows it."""
    fields = []
    for revision in (row.plan.get("revisions") or ())[:5]:
        shown = " ".join(str(revision.get(name, "")) for name in ("short", "path")).strip()
        fields.append(
            [
                "Revision",
                shown,
                events.commit_page(str(revision.get("repo", "")), str(revision.get("sha", ""))),
            ]
        )
    return fields


def card_of(row: ApprovalRequest, demand: Demand | None, tally: Tally | None) -> Card:
    return card(
        row.number,
        row.app_name,
        row.kind,
        row.state,
        row.plan,
        demand,
        tally,
        asked_by=str(row.requester.get("name") or "the hub"),
        reason=row.reason,
        ends_at=row.expires_at,
        outcome=row.outcome,
        authors_complete=row.authors_complete,
    )


def latest(row: ApprovalRequest) -> dict[str, Any] | None:
    """The newest mapping that has the card of this request."""
    rows = Event.objects.filter(project=row.project, data__approval__request=row.number, data__has_key="card")
    newest = rows.order_by("-id").first()
    return dict(newest.data) if newest is not None else None


def title(row: ApprovalRequest) -> str:
    """The sentence that every summary begins with."""
    return f"Approval {row.number}: {row.kind} in {row.app_name}"
