"""Approvals: consent to exactly one plan, by the right people, in time (notifications.md 8).

    decide(actor, user, number, decision, digest, reason)       vote; also withdraw, cancel, break_glass, review
    demand_for(app, kind, plan) -> Demand | None                what the policies ask now
    fact, open_request, claim, ended                            what the hall asks and tells
    expire_due()                                                the tick
    with_buttons(mapping)                                       tokens for the card, at the hand-over to notifications

May live here: transactions, locks, events and audit of every transition. May not: the decisions themselves
(hub.core.approvals), requests to Slack (hub.services.chat), rendering.
"""

from hub.services.approvals.deciding import (
    ApprovalRefused,
    Decided,
    break_glass,
    cancel,
    decide,
    note_refused,
    review,
    withdraw,
)
from hub.services.approvals.executing import (
    claim,
    close_for_deleted,
    ended,
    fact,
    overrides_windows,
    thread_of,
    used_by,
    void,
)
from hub.services.approvals.people import voter
from hub.services.approvals.policies import (
    any_policy,
    create_policy,
    delete_policy,
    demand_for,
    demand_of,
    policy_document,
    update_policy,
    visible,
)
from hub.services.approvals.requests import (
    Ask,
    expire_due,
    open_request,
    refusal_sentence,
    standing,
    tally_of,
)
from hub.services.approvals.reviewing import remind
from hub.services.approvals.showing import Shown, shown
from hub.services.approvals.telling import link_of
from hub.services.approvals.tokens import find_token, latest_card, with_buttons

__all__ = [
    "ApprovalRefused",
    "Ask",
    "Decided",
    "Shown",
    "any_policy",
    "break_glass",
    "cancel",
    "claim",
    "close_for_deleted",
    "create_policy",
    "decide",
    "delete_policy",
    "demand_for",
    "demand_of",
    "ended",
    "expire_due",
    "fact",
    "find_token",
    "latest_card",
    "link_of",
    "note_refused",
    "open_request",
    "overrides_windows",
    "policy_document",
    "refusal_sentence",
    "remind",
    "review",
    "shown",
    "standing",
    "tally_of",
    "thread_of",
    "update_policy",
    "used_by",
    "visible",
    "void",
    "voter",
    "with_buttons",
    "withdraw",
]
