"""The state machine of 8.4: no way leads out of an ended state, and nothing executes without its quorums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.approvals import ENDED, OPEN, Happening, after

NAMES = (
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
)
HAPPENINGS = st.builds(Happening, st.sampled_from(NAMES), reached=st.booleans(), ok=st.booleans())

TABLE = [
    ("pending", Happening("approve"), "pending", False),
    ("pending", Happening("approve", reached=True), "approved", False),
    ("pending", Happening("withdraw"), "pending", True),
    ("approved", Happening("withdraw"), "pending", True),
    ("approved", Happening("withdraw", reached=True), "approved", False),
    ("pending", Happening("reject"), "rejected", False),
    ("approved", Happening("reject"), "rejected", False),
    ("approved", Happening("cancel"), "cancelled", False),
    ("pending", Happening("expire"), "expired", False),
    ("approved", Happening("supersede"), "superseded", False),
    ("approved", Happening("recheck"), "pending", True),
    ("approved", Happening("recheck", reached=True), "approved", False),
    ("pending", Happening("recheck"), "pending", False),
    ("approved", Happening("claim", reached=True), "executing", False),
    ("pending", Happening("break_glass"), "executing", False),
    ("executing", Happening("end", ok=True), "done", False),
    ("executing", Happening("end"), "failed", False),
]


@pytest.mark.parametrize(("state", "happening", "to", "new_round"), TABLE)
def test_the_table_of_8_4(state: str, happening: Happening, to: str, new_round: bool) -> None:
    change = after(state, happening)
    assert change is not None
    assert (change.to, change.new_round) == (to, new_round)


@pytest.mark.parametrize(
    ("state", "happening"),
    [
        ("pending", Happening("claim", reached=True)),
        ("approved", Happening("claim")),
        ("executing", Happening("reject")),
        ("executing", Happening("expire")),
        ("executing", Happening("withdraw")),
        ("pending", Happening("end", ok=True)),
    ],
)
def test_what_cannot_happen_changes_nothing(state: str, happening: Happening) -> None:
    assert after(state, happening) is None


@given(st.sampled_from(sorted(ENDED)), st.lists(HAPPENINGS, max_size=20))
def test_no_sequence_leads_out_of_an_ended_state(state: str, happenings: list[Happening]) -> None:
    assert all(after(state, happening) is None for happening in happenings)


@given(st.lists(HAPPENINGS, max_size=40))
def test_executing_is_reached_by_a_claim_with_quorum_or_a_broken_glass_alone(
    happenings: list[Happening],
) -> None:
    state = "pending"
    for happening in happenings:
        change = after(state, happening)
        if change is None:
            continue
        if change.to == "executing":
            by_claim = happening.name == "claim" and happening.reached and state == "approved"
            assert by_claim or happening.name == "break_glass"
        if change.to in ("done", "failed"):
            assert state == "executing"
        assert change.new_round is False or change.to == "pending"
        state = change.to
    assert state in OPEN | ENDED | {"executing"}
