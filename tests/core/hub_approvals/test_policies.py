"""Reading policies and matching them; what a card says."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.approvals import Policy, Subject, card, combine, matches, read_policy, tally
from hub.core.approvals.votes import Question

LEADS = "group:local:platform-leads"
GOOD: dict[str, Any] = {
    "name": "prod",
    "scope": {
        "projects": ["shop-*"],
        "kinds": ["sync", "prune"],
        "app_selector": "tier=prod",
        "cluster_selector": "region in (eu, us)",
        "when": "plan.change_count > 0",
    },
    "require": [{"from": [LEADS], "count": 2}, {"from": ["role:owner", "user:alice"]}],
    "ttl": "12h",
    "use_within": "30m",
    "destinations": ["slack:#approvals"],
}
SUBJECT = Subject(
    kind="sync",
    project="shop-prod",
    application="web",
    namespace="shop",
    cluster="eu-1",
    app_labels={"tier": "prod"},
    cluster_labels={"region": "eu"},
    plan={"change_count": 1, "prune_count": 0},
)


def _policy(**scope: Any) -> Policy:
    policy, errors = read_policy({**GOOD, "scope": {**GOOD["scope"], **scope}})
    assert policy is not None, errors
    return policy


def test_a_policy_is_read_whole() -> None:
    policy = _policy()
    assert [(line.of, line.count) for line in policy.require] == [
        ((LEADS,), 2),
        (("role:owner", "user:alice"), 1),
    ]
    assert (policy.ttl_s, policy.use_within_s, policy.no_self, policy.no_authors) == (43200, 1800, True, True)
    assert matches(policy, SUBJECT)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("require", {"require": []}),
        ("require[0].from[0]", {"require": [{"from": ["somebody"]}]}),
        ("require[0].from", {"require": [{"from": []}]}),
        ("require[0].count", {"require": [{"from": [LEADS], "count": 0}]}),
        ("ttl", {"ttl": "200h"}),
        ("use_within", {"use_within": "soon"}),
        ("scope.kinds[0]", {"scope": {"kinds": ["deploy"]}}),
        ("scope.when", {"scope": {"when": "plan.("}}),
        ("scope.app_selector", {"scope": {"app_selector": "=="}}),
        ("scope.projects[0]", {"scope": {"projects": ["[a"]}}),
        ("destinations[0]", {"destinations": ["ops"]}),
        ("colour", {"colour": "red"}),
    ],
)
def test_what_is_wrong_is_named_by_path(path: str, change: dict[str, Any]) -> None:
    policy, errors = read_policy({**GOOD, **change})
    assert policy is None
    assert path in errors


@pytest.mark.parametrize(
    ("scope", "matched"),
    [
        ({}, True),
        ({"projects": ["bank"]}, False),
        ({"applications": ["we?"]}, True),
        ({"applications": ["api"]}, False),
        ({"namespaces": ["shop"]}, True),
        ({"clusters": ["us-*"]}, False),
        ({"kinds": ["prune"]}, False),
        ({"kinds": ["rollback"]}, False),
        ({"app_selector": "tier=dev"}, False),
        ({"cluster_selector": "!region"}, False),
        ({"when": "plan.prune_count > 0"}, False),
        # An error asks: the safe side.
        ({"when": "plan.nothing.at.all > 0"}, True),
    ],
)
def test_a_scope_selects(scope: dict[str, Any], matched: bool) -> None:
    assert matches(_policy(**scope), SUBJECT) is matched


def test_a_sync_that_prunes_is_a_prune_too() -> None:
    pruning = Subject(kind="sync", project="shop-prod", application="web", plan={"prune_count": 1})
    policy = Policy("p", _policy().require, kinds=("prune",))
    assert matches(policy, pruning)


def test_a_plan_is_judged_by_where_it_goes_and_what_it_goes_back_to() -> None:
    plan = {"namespaces": ["kube-system"], "pinned": True}
    going = Subject(kind="sync", project="shop-prod", application="web", namespace="shop", plan=plan)
    require = _policy().require
    assert matches(Policy("p", require, namespaces=("kube-*",)), going)
    assert matches(Policy("p", require, namespaces=("shop",)), going)
    assert not matches(Policy("p", require, namespaces=("default",)), going)
    assert matches(Policy("p", require, kinds=("rollback",)), going)


def test_the_card_lists_what_is_asked() -> None:
    policy = _policy()
    demand = combine([policy])
    assert demand is not None
    question = Question(number=123, state="pending", digest="a1b2c3d4e5f60718", demand=demand)
    plan = {
        "digest": "a1b2c3d4e5f60718",
        "changes": [{"action": "apply", "key": f"ConfigMap/shop/c{n}"} for n in range(12)],
        "prune": [{"key": "ConfigMap/shop/old"}],
        "hooks": [
            {
                "key": "batch/Job/shop/migrate",
                "decision": "run",
                "phase": "PreSync",
                "reason": "images changed",
            }
        ],
    }
    shown = card(
        123,
        "web",
        "sync",
        "pending",
        plan,
        demand,
        tally(question, []),
        asked_by="alice",
        authors_complete=False,
    )
    assert shown.title == "Approval 123: sync in web"
    assert "Changes (12):" in shown.lines
    assert "and 2 more" in shown.lines
    assert "• ConfigMap/shop/old" in shown.lines
    assert "• run batch/Job/shop/migrate PreSync (images changed)" in shown.lines
    assert any(line.startswith("The history") for line in shown.lines)
    assert dict(shown.fields)["Needs"] == "2 of platform-leads, 1 of owner or alice"
    assert dict(shown.fields)["Plan"] == "a1b2c3d4e5f6"
    assert "Deletes ConfigMap/shop/old" in shown.confirm


def test_an_ended_card_says_why_and_needs_nothing() -> None:
    shown = card(
        9,
        "web",
        "sync",
        "rejected",
        {"digest": "d"},
        None,
        None,
        asked_by="hub",
        outcome="Rejected by bob: no",
    )
    assert shown.lines[0] == "Rejected by bob: no"
    assert "Needs" not in dict(shown.fields)
