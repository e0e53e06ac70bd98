"""What people read before they consent: the change list, the whole prune list, hooks and why, what is missing (8.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.core.approvals.policies import Demand
from hub.core.approvals.states import OPEN
from hub.core.approvals.votes import Tally, who

MOST_LINES = 10


@dataclass(frozen=True, slots=True)
class Card:
    """Plain texts; the channel escapes them. `confirm` is what the approve button asks before it acts."""

    title: str
    lines: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    confirm: str = ""


def short_digest(digest: str) -> str:
    return digest[:12]


def still_open(tally: Tally) -> str:
    """`1 of platform-leads, 2 of shop`: what is missing per line; empty when nothing is."""
    missing = []
    for line, have in tally.lines:
        if have < line.count:
            names = " or ".join(name.split(":")[-1] for name in line.of)
            missing.append(f"{line.count - have} of {names}")
    return ", ".join(missing)


def card(
    number: int,
    app: str,
    kind: str,
    state: str,
    plan: Mapping[str, Any],
    demand: Demand | None,
    tally: Tally | None,
    *,
    asked_by: str,
    reason: str = "",
    ends_at: datetime | None = None,
    outcome: str = "",
    authors_complete: bool = True,
) -> Card:
    """The card of one request in one state. `outcome` is the sentence of its end."""
    title = f"Approval {number}: {kind} in {app}"
    lines = [outcome] if outcome else []
    lines.append(f"Asked by {asked_by}" + (f": {reason}" if reason else ""))
    lines += _listed("Changes", [f"{row['action']} {row['key']}" for row in plan.get("changes") or ()])
    prunes = [str(row["key"]) for row in plan.get("prune") or ()]
    lines += _listed("Deletes", prunes)
    lines += _listed("Hooks", [_hook(row) for row in plan.get("hooks") or ()])
    if not authors_complete:
        lines.append(
            "The history since the deployed revision is missing: only the authors of the planned commit are known"
        )
    fields = [("Plan", short_digest(str(plan.get("digest", "")))), ("State", state)]
    if demand is not None and tally is not None and state in OPEN:
        fields.append(("Needs", still_open(tally) or "nothing more"))
        fields.append(("Votes", f"{tally.text} ({who(demand)})"))
    if ends_at is not None and state in OPEN:
        fields.append(("Ends", f"{ends_at:%Y-%m-%d %H:%M} UTC"))
    confirm = f"{kind} of {app}, plan {short_digest(str(plan.get('digest', '')))}"
    if prunes:
        confirm = f"{confirm}. Deletes {_some(prunes, 5)}"
    return Card(title, tuple(lines), tuple(fields), confirm)


def _hook(row: Mapping[str, Any]) -> str:
    reason = f" ({row['reason']})" if row.get("reason") else ""
    return f"{row.get('decision', 'run')} {row['key']} {row.get('phase', '')}{reason}"


def _listed(what: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    rows = [f"• {text}" for text in texts[:MOST_LINES]]
    more = [f"and {len(texts) - MOST_LINES} more"] if len(texts) > MOST_LINES else []
    return [f"{what} ({len(texts)}):", *rows, *more]


def _some(texts: Sequence[str], most: int) -> str:
    shown = ", ".join(texts[:most])
    return f"{shown} and {len(texts) - most} more" if len(texts) > most else shown
