"""Who may vote, and that quorums are counted right (notifications.md 8.1, 8.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.approvals import Policy, Question, Require, Standing, Voter, combine, refused, still_open, tally

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEADS, SHOP = "group:local:platform-leads", "group:local:shop"


def _voter(name: str, *subjects: str, **more: object) -> Voter:
    return Voter(id=name, name=name, subjects=frozenset([f"user:{name}", *subjects]), **more)  # type: ignore[arg-type]


def _question(*require: Require, **more: object) -> Question:
    demand = combine([Policy("p", require or (Require((LEADS,), 2),))])
    assert demand is not None
    values = {"number": 7, "state": "pending", "digest": "d", "demand": demand, **more}
    return Question(**values)  # type: ignore[arg-type]


BOB = _voter("bob", LEADS, emails=frozenset(["bob@example.com"]))
REFUSALS = [
    ("", {}, {}, "d"),
    ("stale", {}, {}, "another"),
    ("stale", {"state": "superseded", "successor": 8}, {}, "d"),
    ("closed", {"state": "rejected"}, {}, "d"),
    ("closed", {"state": "executing"}, {}, "d"),
    ("closed", {"state": "done"}, {}, "d"),
    ("expired", {"state": "expired"}, {}, "d"),
    ("expired", {"expires_at": NOW}, {}, "d"),
    ("self", {"requester": "bob"}, {}, "d"),
    ("author", {"authors": frozenset(["bob@example.com"])}, {}, "d"),
    ("inactive", {}, {"active": False}, "d"),
    ("inactive", {}, {"person": False}, "d"),
    ("no_permission", {}, {"sees": False}, "d"),
    ("not_member", {}, {"subjects": frozenset(["user:bob", SHOP])}, "d"),
]


@pytest.mark.parametrize(("code", "question", "voter", "digest"), REFUSALS)
def test_each_refusal_has_its_code(
    code: str, question: dict[str, object], voter: dict[str, object], digest: str
) -> None:
    found = refused(replace(BOB, **voter), _question(**question), digest, NOW)  # type: ignore[arg-type]
    assert (found.code if found else "") == code


def test_a_superseded_request_names_its_successor() -> None:
    found = refused(BOB, _question(state="superseded", successor=124), "d", NOW)
    assert found is not None
    assert "superseded by 124" in found.message


def test_policies_may_allow_authors_and_requesters() -> None:
    demand = combine([Policy("p", (Require((LEADS,), 1),), no_self=False, no_authors=False)])
    question = _question(requester="bob", authors=frozenset(["bob@example.com"]))
    assert refused(BOB, replace(question, demand=demand), "d", NOW) is None  # type: ignore[arg-type]


def test_a_vote_that_lost_its_role_falls_and_is_named() -> None:
    question = _question()
    gone = replace(BOB, subjects=frozenset(["user:bob"]))
    found = tally(question, [Standing(gone, "d"), Standing(_voter("carol", LEADS), "d")])
    assert (found.votes, found.reached, found.fallen) == (1, False, (("bob", "not_member"),))
    assert still_open(found) == "1 of platform-leads"


def test_all_policies_together_are_the_strictest() -> None:
    demand = combine(
        [
            Policy("b", (Require((LEADS,), 2),), no_self=False, ttl_s=600, break_glass=(LEADS,)),
            Policy("a", (Require((SHOP,), 1),), step_up=True, use_within_s=120, destinations=("slack:#ops",)),
        ]
    )
    assert demand is not None
    assert demand.policies == ("a", "b")
    assert (demand.no_self, demand.step_up, demand.ttl_s, demand.use_within_s) == (True, True, 600, 120)
    # Nobody may break the glass: policy a names nobody.
    assert demand.break_glass == ((), (LEADS,))
    assert combine([]) is None


NAMES = st.sampled_from(["ann", "ben", "cem", "dan", "eve"])
GROUPS = st.sampled_from([LEADS, SHOP])
VOTES = st.lists(
    st.tuples(NAMES, st.frozensets(GROUPS), st.sampled_from(["d", "d", "old"]), st.booleans()), max_size=12
)


@given(VOTES, st.integers(1, 3), st.integers(1, 3))
def test_quorums_are_counted_right(
    votes: list[tuple[str, frozenset[str], str, bool]], leads: int, shop: int
) -> None:
    """Against the naive count: per line, different people in it whose vote counts now; each line by itself."""
    question = _question(Require((LEADS,), leads), Require((SHOP,), shop), requester="eve")
    standing = [
        Standing(_voter(name, *groups, active=active), digest) for name, groups, digest, active in votes
    ]
    last = {vote.voter.id: vote for vote in standing}
    good = {name for name, vote in last.items() if vote.digest == "d" and vote.voter.active and name != "eve"}
    have = {group: {name for name in good if group in last[name].voter.subjects} for group in (LEADS, SHOP)}
    found = tally(question, standing)
    assert [count for _, count in found.lines] == [len(have[LEADS]), len(have[SHOP])]
    assert found.reached == (len(have[LEADS]) >= leads and len(have[SHOP]) >= shop)
    assert (still_open(found) == "") == found.reached


@given(st.timedeltas(timedelta(-5), timedelta(5)))
def test_time_ends_a_request_for_everybody(passed: timedelta) -> None:
    found = refused(BOB, _question(expires_at=NOW), "d", NOW + passed)
    assert (found is not None and found.code == "expired") == (passed >= timedelta(0))
