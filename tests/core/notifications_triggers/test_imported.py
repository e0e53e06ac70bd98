"""Imported triggers: what is told, once, and what is never told again (notifications.md 3.1, examples 1 to 16)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications.core.gotimes import Clock
from notifications.core.triggers import (
    ConditionState,
    Trigger,
    Verdict,
    condition_key,
    evaluate_trigger,
    is_settled,
    read_trigger,
    taken_over,
)
from notifications.errors import ConfigError

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Watcher:
    """Keeps the states as the database would."""

    def __init__(self, trigger: Trigger, *, new_app: bool = True) -> None:
        self.trigger = trigger
        self.states: dict[str, ConditionState] = {}
        self.born = NOW if new_app else NOW - timedelta(days=9)
        self.since = {condition.identity: NOW - timedelta(days=1) for condition in trigger.conditions}

    def look(self, app: Mapping[str, Any] | None = None, at: datetime = NOW) -> Verdict:
        verdict = evaluate_trigger(
            self.trigger, self.states, {"app": app or {}}, Clock(at), born=self.born, active_since=self.since
        )
        self.states.update(verdict.states)
        return verdict

    def told(self, *apps: Mapping[str, Any]) -> int:
        return sum(len(self.look(app).sends) for app in apps)


def test_a_bare_map_trigger_is_one_condition() -> None:
    bare = read_trigger("x", "when: app.a == 'b'\noncePer: app.c\nsend: [t]")
    listed = read_trigger("x", "- when: app.a == 'b'\n  oncePer: app.c\n  send: [t]")
    assert bare.conditions == listed.conditions
    assert bare.remarks
    assert not listed.remarks


def test_when_true_written_as_yaml_boolean_works() -> None:
    assert Watcher(read_trigger("x", "- when: true\n  send: [t]")).told({}) == 1
    missing = Watcher(read_trigger("x", "- send: [t]")).look({})
    assert (missing.sends, missing.problems) == ((), ())


def test_keys_match_without_regard_to_case() -> None:
    trigger = read_trigger("x", "- When: 'true'\n  ONCEPER: app.r\n  Send: [t]")
    assert (trigger.conditions[0].when, trigger.conditions[0].once_per_text) == ("true", "app.r")


def test_five_minutes_running_is_seen_without_an_event() -> None:
    text = "- when: time.Now().Sub(time.Parse(app.startedAt)) > 5 * time.Minute\n  send: [t]"
    watcher = Watcher(read_trigger("x", text))
    app = {"startedAt": "2026-01-02T12:00:00Z"}
    assert watcher.trigger.conditions[0].reads_clock
    assert watcher.look(app, NOW + timedelta(minutes=5)).sends == ()
    assert len(watcher.look(app, NOW + timedelta(minutes=6)).sends) == 1
    assert watcher.look(app, NOW + timedelta(minutes=7)).sends == ()


def test_once_per_reads_a_bracket_key() -> None:
    text = "- when: 'true'\n  oncePer: app.metadata.annotations['team.example/release']\n  send: [t]"
    watcher = Watcher(read_trigger("x", text))

    def app(release: str | None) -> dict[str, Any]:
        return {"metadata": {"annotations": {"team.example/release": release} if release else {}}}

    told = [[send.once_per for send in watcher.look(app(r)).sends] for r in ("r1", "r1", "r2", None, None)]
    assert told == [["r1"], [], ["r2"], ["<nil>"], []]


def test_an_empty_once_per_is_an_edge() -> None:
    watcher = Watcher(read_trigger("x", "- when: app.on\n  oncePer: app.r ?? ''\n  send: [t]"))
    on, off = {"on": True}, {"on": False}
    assert [watcher.told(app) for app in (on, on, off, on)] == [1, 0, 0, 1]


def test_an_erroring_when_keeps_its_state() -> None:
    watcher = Watcher(read_trigger("x", "- when: app.a.b\n  send: [t]"))
    assert watcher.told({"a": {"b": True}}, {}, {"a": {"b": True}}) == 1
    assert "nil has no .b" in str(watcher.look({}).problems[0].error)


def test_a_result_that_is_no_boolean_does_not_trigger() -> None:
    verdict = Watcher(read_trigger("x", "- when: app.name\n  send: [t]")).look({"name": "true"})
    assert (verdict.sends, verdict.problems) == ((), ())


def test_edge_triggers_rearm() -> None:
    watcher = Watcher(read_trigger("x", "- when: app.on\n  send: [t]"))
    on, off = {"on": True}, {"on": False}
    sends = [send for app in (on, on, off, on) for send in watcher.look(app).sends]
    assert len(sends) == 2
    assert len({send.dedupe for send in sends}) == 2


def test_reordering_conditions_sends_nothing() -> None:
    first, second = "- when: app.a\n  send: [t]\n", "- when: app.b\n  oncePer: app.r\n  send: [u]\n"
    watcher = Watcher(read_trigger("x", first + second))
    app = {"a": True, "b": True, "r": "1"}
    assert watcher.told(app) == 2
    watcher.trigger = read_trigger("x", second + first)
    assert watcher.told(app) == 0


def test_one_bad_trigger_disables_only_itself() -> None:
    text = "- when: app.a\n  send: [t]\n- when: let x = 1; x\n  send: [t]\n- when: not app.b\n  send: [u]"
    verdict = Watcher(read_trigger("x", text)).look({"a": True, "b": False})
    assert [send.templates for send in verdict.sends] == [("t",), ("u",)]
    (problem,) = verdict.problems
    assert (problem.error.line, problem.error.column) == (1, 1)
    assert "let not supported" in str(problem.error)
    assert problem.error.hint


def test_a_monster_condition_does_not_stop_its_neighbours() -> None:
    text = "- when: 'len(map(app.l, {map(app.l, {filter(app.l, # > 1)})})) > 0'\n- when: 'true'\n  send: [t]"
    verdict = Watcher(read_trigger("x", text)).look({"l": list(range(200))})
    assert [problem.error.code for problem in verdict.problems] == ["steps"]
    assert len(verdict.sends) == 1


def test_first_start_tells_nothing_old() -> None:
    watcher = Watcher(read_trigger("x", "- when: app.on\n  oncePer: app.r\n  send: [t]"), new_app=False)
    assert watcher.told(*[{"on": True, "r": "r1"}] * 3) == 0
    assert watcher.told({"on": True, "r": "r2"}) == 1


@pytest.mark.parametrize(
    "edited", ["- when: app.on == true\n  oncePer: app.r", "- when: app.on\n  oncePer: app.q"]
)
def test_editing_a_condition_announces_nothing_old(edited: str) -> None:
    watcher = Watcher(read_trigger("x", "- when: app.on\n  oncePer: app.r"), new_app=False)
    app = {"on": True, "r": "r1", "q": "q1"}
    watcher.look(app)
    watcher.trigger = read_trigger("x", edited)
    assert watcher.told(app) == 0


def test_changing_only_send_keeps_the_state() -> None:
    watcher = Watcher(read_trigger("x", "- when: app.on\n  send: [t]"))
    assert watcher.told({"on": True}) == 1
    watcher.trigger = read_trigger("x", "- when: app.on\n  send: [u]\n  description: new")
    assert watcher.told({"on": True}, {"on": False}, {"on": True}) == 1


def test_argo_state_is_taken_over() -> None:
    trigger = read_trigger(
        "on-deployed", "- when: app.ok\n  oncePer: app.rev\n  send: [t]\n- when: app.edge\n  send: [t]"
    )
    keys = [condition.key for condition in trigger.conditions]
    annotation = json.dumps(
        {
            f"R:on-deployed:{keys[0]}:slack:shop": 1767000000,
            f"on-deployed:{keys[1]}:webhook:https://h:8443/x": 1767000000,
            f"S:other:{keys[0]}:slack:shop": 1767000000,
            "nonsense": 1,
        }
    )
    watcher = Watcher(trigger, new_app=False)
    watcher.states = taken_over(annotation, trigger, "team-a", NOW)
    assert watcher.told({"ok": True, "rev": "R", "edge": True}) == 0
    assert watcher.told({"ok": True, "rev": "R2", "edge": True}) == 1


def test_argo_state_of_a_self_service_trigger_is_taken_over() -> None:
    trigger = read_trigger("x", "- when: app.ok\n  oncePer: app.rev\n  send: [t]")
    annotation = json.dumps({f"a:b:team-a:x:{trigger.conditions[0].key}:slack:shop": 1})
    watcher = Watcher(trigger, new_app=False)
    watcher.states = taken_over(annotation, trigger, "team-a", NOW)
    assert watcher.told({"ok": True, "rev": "a:b"}) == 0


@pytest.mark.parametrize("annotation", ["", "[]", "{", '{"a": 1}', "null"])
def test_an_unreadable_argo_state_is_no_state(annotation: str) -> None:
    assert taken_over(annotation, read_trigger("x", "- when: 'true'"), "", NOW) == {}


def test_values_are_forgotten_180_days_after_they_last_held() -> None:
    watcher = Watcher(read_trigger("x", "- when: 'true'\n  oncePer: app.r\n  send: [t]"))
    days = [(0, "a"), (170, "a"), (171, "b"), (340, "a"), (521, "a")]
    told = [len(watcher.look({"r": value}, NOW + timedelta(days=day)).sends) for day, value in days]
    assert told == [1, 0, 1, 0, 1]


def test_a_look_that_changes_nothing_writes_nothing() -> None:
    watcher = Watcher(read_trigger("x", "- when: 'true'\n  oncePer: app.r\n- when: app.on"))
    app = {"r": "1", "on": True}
    assert len(watcher.look(app).states) == 2
    assert watcher.look(app, NOW + timedelta(hours=1)).states == {}
    assert len(watcher.look(app, NOW + timedelta(days=2)).states) == 1


def test_a_condition_key_is_the_known_hash() -> None:
    # SHA-1 of the text "true", URL-safe base64 without padding.
    assert condition_key(0, "true") == "[0].X_5TO4MPCKAyY0ipFgr6_IraRNs"
    assert len(condition_key(3, "x")) == len("[3].") + 27


def test_equal_conditions_of_one_trigger_keep_apart() -> None:
    trigger = read_trigger(
        "x", "- when: app.on\n  oncePer: app.a\n  send: [t]\n- when: app.on\n  oncePer: app.b\n  send: [u]"
    )
    assert Watcher(trigger).told({"on": True, "a": "1", "b": "2"}) == 2


@pytest.mark.parametrize("text", ["- a\n- b", "just text", "3", "- when: [", "a: &x 1\nb: *x"])
def test_a_trigger_that_is_no_list_of_maps_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read_trigger("x", text)


@pytest.mark.parametrize(
    ("reconciled", "observed", "settled"),
    [("2026-01-02T11:59:59Z", None, False), ("2026-01-02T12:00:00Z", None, True), (None, "2026-01-02T12:00:01Z", True),
     (None, None, False)],
)  # fmt: skip
def test_a_tick_waits_until_the_end_of_an_operation_was_observed(
    reconciled: str | None, observed: str | None, settled: bool
) -> None:
    status = {
        "operationState": {"finishedAt": "2026-01-02T12:00:00Z"},
        "reconciledAt": reconciled,
        "observedAt": observed,
    }
    assert is_settled({"status": status}) is settled
    assert is_settled({})
