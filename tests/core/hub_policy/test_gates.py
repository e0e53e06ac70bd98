"""Auto-sync and self-heal (sync-semantics.md 9)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from hub.core.gates import (
    Attempt,
    AutoSyncFacts,
    LeafHeals,
    after_heal,
    calm,
    decide_auto_sync,
    fight_message,
    heal_due,
    on_drift,
)
from hub.core.windows import WindowDecision

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
READY = AutoSyncFacts(automated=True, now=NOW, out_of_sync=True, applies_left=1)
GOOD = Attempt("41", succeeded=True)
BAD = Attempt("41", succeeded=False, message="denied", ended_at=NOW - timedelta(minutes=10))


def after(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("change", "gate", "reason"),
    [
        ({"automated": False}, 1, "automated sync is off"),
        ({"paused": "skip-reconcile"}, 1, "paused: skip-reconcile"),
        ({"deleting": True}, 1, "deletion in progress"),
        ({"out_of_sync": False}, 2, "nothing to do"),
        ({"fresh": False}, 2, "status unknown"),
        ({"running": "40"}, 3, "operation 40 is running"),
        ({"excluded_by_pin": "7"}, 4, "excluded by pin 7"),
        ({"waits_for": ["db"]}, 5, "waiting for application db"),
        (
            {"window": WindowDecision(False, "denied", "night", NOW)},
            6,
            "window night until 2026-01-01T12:00:00+00:00",
        ),
        ({"applies_left": 0, "prunes_left": 2}, 7, "only pruning is left and automated prune is off"),
        ({"applies_left": 0}, 7, "only shared resources and guarded prunes are left"),
        ({"attempt": GOOD}, 8, "already attempted: operation 41 succeeded and self-heal is off"),
        ({"attempt": BAD}, 8, "already attempted: operation 41 failed: denied"),
        (
            {"applies_left": 0, "prune": True, "prunes_left": 3, "would_delete_all": True},
            9,
            "auto-sync would delete all resources",
        ),
    ],
)
def test_the_first_gate_that_says_no_ends_it(change, gate, reason):
    answer = decide_auto_sync(replace(READY, **change))
    assert (answer.allowed, answer.gate, answer.reason) == (False, gate, reason)


def test_the_order_of_the_gates():
    blocked = replace(READY, automated=False, out_of_sync=False, running="40", excluded_by_pin="7")
    assert decide_auto_sync(blocked).gate == 1
    assert decide_auto_sync(replace(blocked, automated=True)).gate == 2
    assert decide_auto_sync(replace(blocked, automated=True, out_of_sync=True)).gate == 3


def test_a_new_revision_begins_and_an_approval_is_asked():
    assert decide_auto_sync(READY).kind == "sync"
    assert decide_auto_sync(replace(READY, needs_approval=True)).approval
    heal = decide_auto_sync(replace(READY, attempt=GOOD, self_heal=True, needs_approval=True))
    assert (heal.allowed, heal.kind, heal.approval) == (True, "self-heal", False)


def test_a_heal_may_run_beside_a_queued_operation():
    facts = replace(READY, attempt=GOOD, self_heal=True, running="40", running_queued=True)
    assert decide_auto_sync(facts).allowed
    assert not decide_auto_sync(replace(facts, running_queued=False)).allowed


def test_e30_empty_render_does_not_wipe():
    empty = replace(READY, applies_left=0, prunes_left=5, prune=True, would_delete_all=True)
    assert decide_auto_sync(empty).reason == "auto-sync would delete all resources"
    assert decide_auto_sync(replace(empty, allow_empty=True)).allowed


def test_e47_failed_heal_tries_again():
    facts = replace(READY, self_heal=True, attempt=BAD)
    waiting = decide_auto_sync(facts)
    assert waiting.at == NOW + timedelta(minutes=20)
    assert decide_auto_sync(replace(facts, now=NOW + timedelta(minutes=20))).allowed
    assert decide_auto_sync(replace(facts, slow_retry=0.0)).at is None
    fixed = replace(facts, attempt=replace(BAD, cluster_fact_changed=True))
    assert decide_auto_sync(fixed).allowed
    voted = replace(facts, attempt=replace(BAD, ended_by_approval=True), now=after(99999))
    assert not decide_auto_sync(voted).allowed


def test_e52_hook_only_commit_runs():
    facts = replace(READY, applies_left=0, hooks_changed=True)
    assert decide_auto_sync(facts).kind == "sync"
    assert decide_auto_sync(replace(facts, attempt=GOOD)).gate == 8


def test_e54_depends_on_gates_new_revisions():
    waits = replace(READY, waits_for=["db"])
    assert decide_auto_sync(waits).reason == "waiting for application db"
    heal = replace(waits, new_revision=False, self_heal=True, attempt=GOOD)
    assert decide_auto_sync(heal).kind == "self-heal"


def test_the_first_heal_is_at_once_and_the_next_wait_longer():
    heals = LeafHeals()
    assert heal_due(heals, NOW, NOW, quiet=True) == NOW
    assert heal_due(heals, NOW, after(1), quiet=False) == after(1.2)
    waits = []
    for _ in range(7):
        heals = after_heal(heals, NOW)
        waits.append((heal_due(heals, NOW, NOW, quiet=True) - NOW).total_seconds())
    assert waits == [2.0, 6.0, 18.0, 54.0, 162.0, 300.0, 300.0]


def test_ten_quiet_minutes_forget_the_count():
    heals = after_heal(on_drift(LeafHeals(), ["/a"], NOW), after(1))
    assert calm(heals, after(600)).count == 1
    assert calm(heals, after(601)) == LeafHeals()


def test_a_heal_that_wrote_nothing_does_not_count():
    assert after_heal(LeafHeals(), NOW, wrote=False) == LeafHeals()


def test_e48_fight_is_named():
    heals = LeafHeals()
    at = NOW
    for _ in range(4):
        heals = on_drift(heals, ["/spec/a"], at, manager="X")
        assert LeafHeals.from_json(json.loads(json.dumps(heals.to_json()))) == heals
        heals = after_heal(heals, at + timedelta(seconds=1))
        at += timedelta(seconds=80)
    message = fight_message(heals, "apps/Deployment/shop/api", NOW + timedelta(seconds=240))
    assert message.startswith(
        "X sets /spec/a on apps/Deployment/shop/api, 3 times in 2 min 40 s; ignoreDifferences"
    )
    assert heals.last_end is not None
    due = heal_due(heals, at, at, quiet=True)
    assert due == heals.last_end + timedelta(minutes=5)
    other = on_drift(LeafHeals(), ["/spec/b"], at)
    assert heal_due(other, at, at, quiet=True) == at
    assert calm(heals, at + timedelta(minutes=20)).fighting_since is not None
    assert fight_message(calm(heals, at + timedelta(minutes=40)), "x", at) == ""


def test_two_edits_before_one_heal_are_no_fight():
    heals = after_heal(LeafHeals(), NOW)
    for second in range(1, 5):
        heals = on_drift(heals, ["/spec/a"], after(second))
    assert heals.fighting_since is None


def test_h17_a_controller_that_never_gives_up_costs_one_write_in_five_minutes():
    """It rewrites the field a second after every heal, for two hours; three reversals, then the pace of a fight."""
    heals, at, wrote = LeafHeals(), NOW, []
    while at < NOW + timedelta(hours=2):
        heals = on_drift(heals, ["/spec/a"], at, manager="X")
        due = heal_due(heals, at, at, quiet=not wrote)
        at = max(at, due)
        heals = after_heal(heals, at)
        wrote.append(at)
        at += timedelta(seconds=1)
    fought = heals.fighting_since
    assert fought is not None
    assert fought - NOW < timedelta(minutes=10)
    later = [moment for moment in wrote if moment > fought]
    assert min(b - a for a, b in pairwise(later)) >= timedelta(minutes=5)
    assert fight_message(heals, "apps/Deployment/shop/api", at).startswith(
        "X sets /spec/a on apps/Deployment"
    )
