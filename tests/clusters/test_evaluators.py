"""Programs of users run in a child that can be killed: they judge, and can do nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from clusters.core.health import NO_RULE, CelCase, CelRule, Health, LuaRule, RuleBook, assess
from clusters.evaluators import CelHealth, CustomHealth, ExpressionFailed, JqPaths, LuaHealth
from guard.child import ChildFailed

WIDGET: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "namespace": "shop", "labels": {"a.b": "c"}},
    "spec": {"replicas": 2, "parts": [{"name": "a", "size": 1}, {"name": "b", "size": 2}], "none": None},
    "status": {"phase": "Ready", "conditions": [{"type": "Ready", "status": "True", "message": "all good"}]},
}

CONDITIONS = """
hs = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for i, condition in ipairs(obj.status.conditions) do
    if condition.type == "Ready" and condition.status == "True" then
      hs.status = "Healthy"
      hs.message = condition.message
      return hs
    end
  end
end
hs.status = "Progressing"
hs.message = "waiting"
return hs
"""


@pytest.fixture(scope="module")
def lua() -> Iterator[LuaHealth]:
    evaluator = LuaHealth(seconds=0.5)
    yield evaluator
    evaluator.close()


@pytest.fixture(scope="module")
def cel() -> Iterator[CelHealth]:
    evaluator = CelHealth(seconds=0.5)
    yield evaluator
    evaluator.close()


@pytest.fixture(scope="module")
def jq() -> Iterator[JqPaths]:
    evaluator = JqPaths(seconds=0.5)
    yield evaluator
    evaluator.close()


def test_a_lua_script_reads_the_object_and_answers(lua: LuaHealth) -> None:
    assert lua.health(CONDITIONS, WIDGET) == Health("Healthy", "all good")
    assert lua.health(CONDITIONS, {**WIDGET, "status": None}) == Health("Progressing", "waiting")


@pytest.mark.parametrize("script", ["return nil", "return {}", "local x = 1"])
def test_nil_and_an_empty_table_are_no_opinion(lua: LuaHealth, script: str) -> None:
    assert lua.health(script, WIDGET) is None


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("return {status='Splendid'}", "the health script returned an invalid status"),
        ("return {message='no status'}", "the health script returned an invalid status"),
        ("return 'Healthy'", "it returned a str, not a table"),
        ("return obj.status.missing.field", "attempt to index field 'missing'"),
        ("error('on purpose')", "on purpose"),
        ("this is not lua", "error loading code"),
        ("\x1bLua\x51", "compiled Lua is not accepted"),
    ],
)
def test_f18_a_failing_script_makes_the_object_unknown(lua: LuaHealth, script: str, sentence: str) -> None:
    health = lua.health(script, WIDGET)
    assert health is not None
    assert health.status == "Unknown"
    assert sentence in health.message


@pytest.mark.parametrize(
    "name",
    [
        "io",
        "package",
        "debug",
        "require",
        "dofile",
        "loadfile",
        "load",
        "loadstring",
        "module",
        "python",
        "newproxy",
        "collectgarbage",
        "print",
        "getfenv",
        "setfenv",
        "coroutine",
        "os.execute",
        "os.exit",
        "os.getenv",
        "os.remove",
        "os.rename",
        "os.tmpname",
        "os.setlocale",
        "string.dump",
        "_G.io",
        "_G.os.execute",
    ],
)
def test_f17_lua_has_no_door_to_the_outside(lua: LuaHealth, name: str) -> None:
    health = lua.health(f"return {{status = ({name} == nil) and 'Healthy' or 'Degraded'}}", WIDGET)
    assert health == Health("Healthy")


def test_lua_has_strings_tables_math_and_the_time(lua: LuaHealth) -> None:
    script = """
    local parts = {}
    for _, part in ipairs(obj.spec.parts) do table.insert(parts, string.upper(part.name)) end
    local year = tonumber(os.date("%Y", os.time()))
    return {status = year > 2000 and "Healthy" or "Degraded", message = table.concat(parts, ",") .. math.floor(2.5)}
    """
    assert lua.health(script, WIDGET) == Health("Healthy", "A,B2")


def test_no_state_is_left_between_scripts(lua: LuaHealth) -> None:
    assert lua.health("leak = 1; string.format = nil; return {status='Healthy'}", WIDGET) == Health("Healthy")
    assert lua.health(
        "return {status = (leak == nil and string.format) and 'Healthy' or 'Degraded'}", WIDGET
    ) == Health("Healthy")


@pytest.mark.parametrize(
    "script",
    [
        "while true do end",
        "pcall(function() while true do end end) while true do end",
        "return string.find(string.rep('a', 100000), string.rep('a?', 40) .. string.rep('a', 40) .. 'b')",
    ],
)
def test_f17_a_runaway_script_is_killed_and_the_next_one_is_served(lua: LuaHealth, script: str) -> None:
    lua.health("return nil", WIDGET)
    before = lua.sandbox.pid
    health = lua.health(script, WIDGET)
    assert health is not None
    assert health.status == "Unknown"
    assert "ran longer than 0.5 s and was killed" in health.message
    assert lua.health(CONDITIONS, {**WIDGET, "fresh": script}) == Health("Healthy", "all good")
    assert lua.sandbox.pid != before


def test_f17_a_killed_script_is_not_run_again_for_a_while(lua: LuaHealth) -> None:
    runaway = "local n = 0 while true do n = n + 1 end"
    lua.health(runaway, WIDGET)
    lua.health("return nil", {**WIDGET, "fresh": 1})
    before = lua.sandbox.pid
    health = lua.health(runaway, {**WIDGET, "fresh": 2})
    assert health is not None
    assert "was killed" in health.message
    assert lua.sandbox.pid == before


def test_f17_lua_memory_is_bounded_to_16_mib(lua: LuaHealth) -> None:
    bomb = "local s = 'x' for i = 1, 60 do s = s .. s end return {status='Healthy'}"
    health = lua.health(bomb, WIDGET)
    assert health is not None
    assert (health.status, health.message) == ("Unknown", "the health script failed: it used too much memory")
    modest = "local s = string.rep('x', 4000000) return {status='Healthy', message=tostring(#s)}"
    assert lua.health(modest, WIDGET) == Health("Healthy", "4000000")


def test_answers_are_remembered_by_script_and_object(lua: LuaHealth) -> None:
    script = "return {status='Healthy', message=tostring(os.clock())}"
    first = lua.health(script, WIDGET)
    for _ in range(20):
        assert lua.health(script, WIDGET) == first
    assert lua.health(script, {**WIDGET, "other": True}) != first


def test_cel_takes_the_first_case_that_applies(cel: CelHealth) -> None:
    rule = CelRule(
        (
            CelCase("has(self.status.failed) && self.status.failed", "Degraded", "it failed"),
            CelCase("self.status.phase == 'Ready' && self.spec.parts.exists(p, p.size > 1)", "Healthy", "up"),
            CelCase("true", "Suspended", "never reached"),
        )
    )
    assert cel.health(rule, WIDGET) == Health("Healthy", "up")
    assert cel.health(rule, {**WIDGET, "status": {"failed": True}}) == Health("Degraded", "it failed")


def test_no_case_of_cel_means_progressing(cel: CelHealth) -> None:
    rule = CelRule((CelCase("self.status.phase == 'Failed'", "Degraded"),))
    assert cel.health(rule, WIDGET).status == "Progressing"


@pytest.mark.parametrize(
    "when", ["self.status.absent.field == 1", "1 +", "nonsense()", "self.spec.replicas", "'true'"]
)
def test_f18_a_failing_cel_case_makes_the_object_unknown(cel: CelHealth, when: str) -> None:
    health = cel.health(CelRule((CelCase(when, "Healthy"),)), WIDGET)
    assert health.status == "Unknown"
    assert health.message.startswith("the health rule failed: ")


def test_f17_a_runaway_cel_case_is_killed(cel: CelHealth) -> None:
    ten = "[0,1,2,3,4,5,6,7,8,9]"
    when = "size(" + "".join(f"{ten}.map(v{n}, " for n in range(9)) + "1" + ")" * 9 + ") > 0"
    health = cel.health(CelRule((CelCase(when, "Healthy"),)), WIDGET)
    assert health.status == "Unknown"
    assert "killed" in health.message or "too much memory" in health.message
    assert cel.health(CelRule((CelCase("true", "Healthy"),)), WIDGET) == Health("Healthy")


def test_a_cel_case_needs_a_status_that_exists() -> None:
    with pytest.raises(ValueError, match="'Fine' is not a health status"):
        CelCase("true", "Fine")


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        (".spec.replicas", [("spec", "replicas")]),
        (".spec.parts[] | select(.size > 1)", [("spec", "parts", 1)]),
        ('.metadata.labels["a.b"]', [("metadata", "labels", "a.b")]),
        ("..|.size? // empty", [("spec", "parts", 0, "size"), ("spec", "parts", 1, "size")]),
        (".spec.replicas # a comment", [("spec", "replicas")]),
        (".spec.replicas[]", []),
        ("empty", []),
        (".spec.parts[1:]", [("spec", "parts", 1)]),
        (".spec.parts[:1][].size", [("spec", "parts", 0, "size")]),
        (".spec.parts[(-1)]", [("spec", "parts", 1)]),
        (".spec.parts[1:][0].name", [("spec", "parts", 1, "name")]),
        (".spec.parts[0:][1:]", [("spec", "parts", 1)]),
        (".spec.parts[5:]", []),
    ],
)
def test_jq_paths_point_into_the_object(
    jq: JqPaths, expression: str, paths: list[tuple[str | int, ...]]
) -> None:
    assert list(jq.paths(expression, WIDGET)) == paths


@pytest.mark.parametrize("expression", [".a[", "nonsense(.)", ".a) | (.b]"])
def test_what_is_not_jq_is_an_error_that_names_the_expression(jq: JqPaths, expression: str) -> None:
    with pytest.raises(ExpressionFailed) as failure:
        jq.paths(expression, WIDGET)
    assert repr(expression) in failure.value.message
    assert failure.value.permanent


@pytest.mark.parametrize("expression", [".a)] | length, [(.", '.a)] | {a: 1} | ., [("b"|path(.'])
def test_an_expression_that_breaks_out_of_its_place_is_an_error_like_any_other(
    jq: JqPaths, expression: str
) -> None:
    with pytest.raises(ExpressionFailed, match="jq expression"):
        jq.paths(expression, WIDGET)


def test_a_child_that_could_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without memory for a moment must not leave an object Unknown until the hub is restarted."""
    evaluator = JqPaths()
    evaluator.sandbox._pause_s = 0.0

    def failing(_seconds: float) -> Any:
        raise ChildFailed("the child did not start")

    with monkeypatch.context() as patched:
        patched.setattr(evaluator.sandbox._worker, "turn", failing)
        with pytest.raises(ExpressionFailed, match="did not start"):
            evaluator.paths(".spec.replicas", WIDGET)
    assert evaluator.paths(".spec.replicas", WIDGET) == (("spec", "replicas"),)
    evaluator.close()


def test_e45_runaway_jq_is_killed() -> None:
    jq = JqPaths()
    jq.paths(".spec", WIDGET)
    before = time.monotonic()
    with pytest.raises(
        ExpressionFailed, match=r"'until\(false; \.\)': it ran longer than 1 s and was killed"
    ):
        jq.paths("until(false; .)", WIDGET)
    assert time.monotonic() - before < 5  # a bound against hanging, not a measurement
    assert jq.paths(".spec.replicas", WIDGET) == (("spec", "replicas"),)
    jq.close()


def test_d7_jq_cannot_take_all_memory(jq: JqPaths) -> None:
    with pytest.raises(ExpressionFailed, match=r"memory|killed"):
        jq.paths("[range(100000000)] | .[0]", WIDGET)
    assert jq.paths(".spec.replicas", {**WIDGET, "after": True}) == (("spec", "replicas"),)


def test_d11_jq_sees_an_empty_environment(jq: JqPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://sentinel")
    assert jq.paths('if (env | has("DATABASE_URL")) then .spec else .kind end', WIDGET) == (("kind",),)


def test_the_child_is_not_this_process(lua: LuaHealth) -> None:
    lua.health("return nil", WIDGET)
    assert lua.sandbox.pid not in (None, os.getpid())


def test_an_object_that_is_no_json_is_an_error_of_that_object(lua: LuaHealth) -> None:
    health = lua.health("return nil", {"spec": {"strange": object()}})
    assert health is not None
    assert health.status == "Unknown"


def test_custom_rules_exact_before_glob_and_feed_assess() -> None:
    rules = RuleBook(
        {
            "*.example.com_*": LuaRule("return {status='Degraded', message='glob'}"),
            "example.com_*": CelRule((CelCase("true", "Suspended", "second glob"),)),
            "example.com_Widget": LuaRule("return {status='Healthy', message='exact'}"),
            "ConfigMap": LuaRule("return nil"),
        }
    )
    custom = CustomHealth(rules)
    gadget = {**WIDGET, "kind": "Gadget"}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert custom.verdict(WIDGET) == Health("Healthy", "exact")
    assert custom.verdict(gadget) == Health("Suspended", "second glob")
    assert custom.verdict({**gadget, "apiVersion": "sub.example.com/v1"}) == Health("Degraded", "glob")
    assert custom.verdict(config_map) is None
    assert custom.verdict({"apiVersion": "apps/v1", "kind": "Deployment"}) is NO_RULE
    assert assess(gadget, custom=custom.verdict(gadget)) == Health("Suspended", "second glob")
    custom.close()
