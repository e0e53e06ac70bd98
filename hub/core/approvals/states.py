"""The state machine of an Approval request as one pure function (notifications.md 8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal[
    "pending", "approved", "executing", "rejected", "cancelled", "expired", "superseded", "done", "failed"
]
OPEN: frozenset[str] = frozenset(["pending", "approved"])
ENDED: frozenset[str] = frozenset(
    ["rejected", "cancelled", "expired", "superseded", "done", "failed"],
)
Name = Literal[
    "approve",
    "withdraw",
    "reject",
    "cancel",
    "expire",
    "supersede",
    "recheck",
    "claim",
    "break_glass",
    "end",
]
_STRAIGHT: dict[str, State] = {
    "reject": "rejected",
    "cancel": "cancelled",
    "expire": "expired",
    "supersede": "superseded",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened. `reached`: every quorum is there after it. `ok`: the operation succeeded (`end` only)."""

    name: Name
    reached: bool = False
    ok: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The state after it. `new_round`: the buttons of earlier rounds die."""

    to: State
    new_round: bool = False


def after(state: str, happening: Happening) -> Change | None:
    """What follows, None when this cannot happen in this state (`closed` for the one who tried).

    `recheck` is the execution check: votes counted again. `claim` needs every quorum, `break_glass` none.
    """
    name = happening.name
    if state == "executing":
        if name != "end":
            return None
        return Change("done" if happening.ok else "failed")
    if state in ENDED or name == "end":
        return None
    if name in _STRAIGHT:
        return Change(_STRAIGHT[name])
    if name == "break_glass":
        return Change("executing")
    if name == "claim":
        return Change("executing") if state == "approved" and happening.reached else None
    if name == "approve":
        return Change("approved" if happening.reached else "pending")
    return _lost(state, happening)


def _lost(state: str, happening: Happening) -> Change:
    """A vote is withdrawn or fell: only an approved request that loses a quorum goes back, with fresh buttons."""
    if state == "approved" and happening.reached:
        return Change("approved")
    return Change("pending", new_round=state == "approved" or happening.name == "withdraw")
