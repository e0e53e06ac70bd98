"""One request as people see it: the card of now, every vote, what may still be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hub.services.approvals.requests as requests
import hub.services.approvals.telling as telling
from hub.core.approvals import Card
from hub.models import ApprovalRequest, Vote
from hub.services.approvals.policies import demand_of


@dataclass(frozen=True)
class Shown:
    """`open`: it can be decided. `to_review`: the glass was broken and nobody has looked yet."""

    row: ApprovalRequest
    card: Card
    votes: list[Vote]
    asked_by: str
    open: bool
    to_review: bool


def shown(row: ApprovalRequest) -> Shown:
    is_open = row.state in requests.OPEN
    demand = demand_of(row) if is_open else None
    tally = requests.tally_of(row, demand) if demand is not None else None
    broken: dict[str, Any] = row.break_glass
    return Shown(
        row=row,
        card=telling.card_of(row, demand, tally),
        votes=list(row.votes.select_related("user")),
        asked_by=str(row.requester.get("name") or "the hub"),
        open=is_open and not broken,
        to_review=bool(broken) and not broken.get("reviewed_by"),
    )
