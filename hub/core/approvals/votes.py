"""Whose vote counts, and what is still missing (notifications.md 8.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.core.approvals.policies import Demand, Require
from hub.core.approvals.states import ENDED


@dataclass(frozen=True, slots=True)
class Voter:
    """A hub user as the rights see it now. `subjects`: `user:`, `group:local:` and `role:` names in that Project."""

    id: str
    name: str
    subjects: frozenset[str]
    active: bool = True
    sees: bool = True
    person: bool = True
    emails: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """The request as a vote meets it. `requester` is the id of the user who asked, empty for automation."""

    number: int
    state: str
    digest: str
    demand: Demand
    requester: str = ""
    authors: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    successor: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a try did not count: a code of 8.3 and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One standing approve vote."""

    voter: Voter
    digest: str


@dataclass(frozen=True, slots=True)
class Tally:
    """`lines`: each line of the demand with how many of its votes are there. `fallen`: (name, why) of votes that
    no longer count."""

    lines: tuple[tuple[Require, int], ...]
    fallen: tuple[tuple[str, str], ...] = ()

    @property
    def reached(self) -> bool:
        return all(have >= line.count for line, have in self.lines)

    @property
    def votes(self) -> int:
        return sum(min(have, line.count) for line, have in self.lines)

    @property
    def needed(self) -> int:
        return sum(line.count for line, _ in self.lines)

    @property
    def text(self) -> str:
        return f"{self.votes} of {self.needed} votes"


def refused(voter: Voter, question: Question, digest: str, now: datetime) -> Refusal | None:
    """Why this person may not vote now, None if the vote counts. The state of the request speaks first."""
    if question.state == "superseded" or (question.state not in ENDED and digest != question.digest):
        by = f" by {question.successor}" if question.successor else ""
        return Refusal("stale", f"approval {question.number} was superseded{by}; look at the new plan")
    if question.state == "expired" or (question.expires_at is not None and now >= question.expires_at):
        return Refusal("expired", f"approval {question.number} has expired")
    if question.state not in ("pending", "approved"):
        return Refusal("closed", f"approval {question.number} is {question.state}")
    return ineligible(voter, question)


def ineligible(voter: Voter, question: Question) -> Refusal | None:
    """What stands against the person, whatever the state."""
    demand = question.demand
    if not voter.person or not voter.active:
        return Refusal("inactive", "only active people may vote")
    if not voter.sees:
        return Refusal("no_permission", "you have no rights on this application")
    if not any(voter.subjects & set(line.of) for line in demand.require):
        return Refusal("not_member", f"this needs {who(demand)}")
    if demand.no_self and question.requester and voter.id == question.requester:
        return Refusal("self", "you asked for this operation; somebody else must approve it")
    if demand.no_authors and voter.emails & question.authors:
        return Refusal(
            "author", "you wrote or committed a change of this plan; somebody else must approve it"
        )
    return None


def counts(standing: Standing, question: Question) -> str:
    """Empty when the vote counts now, else the code of what it lost."""
    if standing.digest != question.digest:
        return "stale"
    against = ineligible(standing.voter, question)
    return against.code if against is not None else ""


def tally(question: Question, standing: Sequence[Standing]) -> Tally:
    """Votes per line: one person is one vote in a line, and may count in several lines."""
    good, fallen = [], []
    for vote in {vote.voter.id: vote for vote in standing}.values():
        why = counts(vote, question)
        if why:
            fallen.append((vote.voter.name, why))
        else:
            good.append(vote.voter)
    lines = tuple(
        (line, sum(1 for voter in good if voter.subjects & set(line.of))) for line in question.demand.require
    )
    return Tally(lines, tuple(sorted(fallen)))


def who(demand: Demand) -> str:
    """`2 of platform-leads, 1 of alice or bob`."""
    return ", ".join(
        f"{line.count} of {' or '.join(name.split(':')[-1] for name in line.of)}" for line in demand.require
    )
