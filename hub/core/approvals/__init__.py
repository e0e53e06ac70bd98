"""Approvals, decided purely (notifications.md 8): which policies ask, whose vote counts, what follows from what.

    read_policy(document) -> (Policy, errors)      combine([Policy]) -> Demand | None      matches(policy, Subject)
    refused(Voter, Question, digest) -> Refusal | None      tally(Demand, standing) -> Tally
    after(state, happening) -> Change | None       card(...) -> what people read

May live here: values and decisions. May not: rows, clocks, tokens, Slack.
"""

from hub.core.approvals.card import Card, card, short_digest, still_open
from hub.core.approvals.clicks import stranger, unfit
from hub.core.approvals.policies import Demand, Policy, Require, Subject, combine, matches, read_policy
from hub.core.approvals.states import ENDED, OPEN, Change, Happening, State, after
from hub.core.approvals.votes import Question, Refusal, Standing, Tally, Voter, counts, refused, tally

__all__ = [
    "ENDED",
    "OPEN",
    "Card",
    "Change",
    "Demand",
    "Happening",
    "Policy",
    "Question",
    "Refusal",
    "Require",
    "Standing",
    "State",
    "Subject",
    "Tally",
    "Voter",
    "after",
    "card",
    "combine",
    "counts",
    "matches",
    "read_policy",
    "refused",
    "short_digest",
    "still_open",
    "stranger",
    "tally",
    "unfit",
]
