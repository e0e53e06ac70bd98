"""From two states of an application to what happened between them (notifications.md 2)."""

from __future__ import annotations

import itertools
from typing import Any

from hub.core.events import happened

CALM: dict[str, Any] = {
    "sync": "Synced", "drift_digest": "", "drift_count": 0, "target_moved": False, "auto_sync": True,
    "health": "Healthy", "health_message": "", "settled": True, "cluster_ok": True, "operation": None,
    "fights": [], "gone": [],
}  # fmt: skip


def state(**more: Any) -> dict[str, Any]:
    return {**CALM, **more}


def operation(phase: str = "Succeeded", **more: Any) -> dict[str, Any]:
    made = {
        "id": "op-1", "number": 1, "kind": "sync", "phase": phase, "started": True, "message": "all done",
        "dry_run": False, "moved": True, "initiator": {"kind": "automation", "name": "auto-sync"},
    }  # fmt: skip
    return {**made, **more}


def told(*states: dict[str, Any] | None) -> list[str]:
    """Names of the events of these states, one after the other."""
    names: list[str] = []
    memory: dict[str, Any] = {}
    for before, after in itertools.pairwise(states):
        assert after is not None
        events, memory = happened("uid", "web", before, after, memory)
        names += [event.name for event in events]
    return names


def test_first_sight_tells_operations_and_nothing_else() -> None:
    bad = state(sync="OutOfSync", drift_digest="d", health="Degraded", settled=False)
    assert told(None, bad) == []
    assert told(None, bad, state()) == []
    assert told(None, state(operation=operation())) == ["sync-started", "sync-succeeded", "deployed"]


def test_the_same_state_again_tells_nothing() -> None:
    done = state(operation=operation())
    assert told(state(), done, done, done) == ["sync-started", "sync-succeeded", "deployed"]


def test_a_deployment_waits_for_health_and_ends_with_the_next_operation() -> None:
    slow = state(operation=operation(), health="Progressing", settled=False)
    assert told(state(), slow, state(operation=operation()))[-1] == "deployed"
    newer = state(operation=operation("Running", id="op-2", moved=False), health="Progressing", settled=False)
    ended = state(operation=operation(id="op-2", moved=False))
    assert "deployed" not in told(state(), slow, newer, ended)


def test_a_dry_run_a_heal_and_a_deletion_are_no_deployment() -> None:
    assert told(state(), state(operation=operation(dry_run=True))) == []
    healed = told(state(), state(operation=operation(kind="self-heal")))
    assert healed == ["sync-started", "sync-succeeded", "self-healed"]
    assert told(state(), state(operation=operation(kind="delete"))) == []


def test_a_superseded_operation_has_no_end_to_tell() -> None:
    running, over = state(operation=operation("Running")), state(operation=operation("Superseded"))
    assert told(state(), running, over) == ["sync-started"]


def test_health_is_one_episode_until_it_is_well() -> None:
    bad, moving = state(health="Degraded"), state(health="Progressing")
    lost = state(health="Unknown")
    assert told(state(), bad, moving, bad, lost, bad, state()) == ["health-degraded", "health-recovered"]
    assert told(state(), bad, state(health="Suspended")) == ["health-degraded", "health-recovered"]


def test_another_diff_is_told_and_its_end_resolves_the_first() -> None:
    memory: dict[str, Any] = {}
    seen, before = [], state()
    for after in (
        state(sync="OutOfSync", drift_digest="aaaa"),
        state(sync="OutOfSync", drift_digest="bbbb"),
        state(),
    ):
        events, memory = happened("uid", "web", before, after, memory)
        seen += events
        before = after
    assert [event.name for event in seen] == ["drift-detected", "drift-detected", "drift-resolved"]
    assert seen[1].data["previous_digest"] == "aaaa"
    assert (seen[2].ends, seen[2].reason, seen[2].data["how"]) == (seen[0].key, "reverted", "reverted")
    assert len({event.key for event in seen}) == 3


def test_what_an_operation_is_about_to_bring_is_no_drift() -> None:
    moved = state(sync="OutOfSync", drift_digest="d", target_moved=True)
    assert told(state(), moved) == []
    assert told(state(), {**moved, "auto_sync": False}) == ["drift-detected"]


def test_unknown_is_told_only_when_the_cluster_answers() -> None:
    lost = state(sync="Unknown", cluster_ok=False)
    assert told(state(), lost, state()) == []
    assert told(state(), state(sync="Unknown"), state()) == ["status-unknown", "status-known"]
    # The cluster is back, and now it is the repository.
    assert told(state(), lost, state(sync="Unknown"), state()) == ["status-unknown", "status-known"]


def test_why_it_ran_is_said_in_the_words_of_the_design() -> None:
    def reason(**more: Any) -> str:
        return happened("uid", "web", state(), state(operation=operation(**more)), {})[0][0].reason

    assert reason() == "git"
    assert reason(initiator={"kind": "robot", "name": "ci"}) == "manual"
    assert (reason(kind="self-heal"), reason(kind="rollback")) == ("self-heal", "rollback")
