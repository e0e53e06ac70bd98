"""The closed language of triggers (notifications.md 3.3 to 3.5), against a table and against hostile input."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.core.expressions import MAX_STEPS, compile_expression, evaluate
from notifications.core.expressions.parser import PREDICATES
from notifications.core.gotimes import Clock
from notifications.errors import ExpressionError

TABLE = yaml.safe_load(Path("tests/data/notifications/expressions.yaml").read_text())
CLOCK = Clock(datetime(2026, 1, 2, 12, tzinfo=UTC))


def value(text: str, **scope: Any) -> Any:
    return evaluate(compile_expression(text), scope, CLOCK)


def error(text: str, **scope: Any) -> str:
    with pytest.raises(ExpressionError) as caught:
        value(text, **scope)
    return str(caught.value)


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["e"])
def test_the_language_answers_as_the_table_says(case: dict[str, Any]) -> None:
    if "x" in case:
        assert case["x"] in error(case["e"], **TABLE["scope"])
        return
    made = value(case["e"], **TABLE["scope"])
    assert made == case["v"]
    assert isinstance(made, bool) == isinstance(case["v"], bool)


def test_optional_chain_skips_the_rest() -> None:
    text = "app.status?.operationState.message == nil"
    assert value(text, app={}) is True
    assert "nil has no .message" in error(text, app={"status": {}})


def test_operators_are_strict() -> None:
    app = {"metadata": {"name": "shop"}, "x": "b"}
    assert "and needs true or false" in error("app.metadata.name and true", app=app)
    assert "not needs true or false" in error("not app.x in ['a']", app=app)
    assert value("app.x not in ['a']", app=app) is True


@pytest.mark.parametrize(("u", "expected"), [("2026-01-02T00:01:01Z", True), ("2026-01-02T00:01:00Z", False)])
def test_duration_arithmetic(u: str, expected: bool) -> None:
    text = "time.Parse(t).Add(1 * time.Minute).Before(time.Parse(u))"
    assert value(text, t="2026-01-02T00:00:00Z", u=u) is expected


def test_predicates_see_items() -> None:
    text = "any(app.status.conditions, {.type == 'SyncError' && .message contains 'x'})"
    conditions = [{"type": "Other"}, {"type": "SyncError", "message": "a x b"}]
    assert value(text, app={"status": {"conditions": conditions}}) is True
    assert value(text, app={"status": {"conditions": []}}) is False
    assert "any needs a list, not nil" in error(text, app={"status": {}})


def test_a_monster_expression_stops() -> None:
    items = list(range(200))
    text = "map(l, {filter(l, {count(l, # > 1) > 0}) == []})"
    compiled = compile_expression(text)
    with pytest.raises(ExpressionError) as caught:
        evaluate(compiled, {"l": items}, CLOCK)
    assert caught.value.code == "steps"
    assert f"stopped after {MAX_STEPS} steps" in str(caught.value)


def test_a_hostile_pattern_stops() -> None:
    subject = "a" * 4000 + "b"
    assert value("app.x matches '(a+)+$'", app={"x": subject}) is False
    heavy = "app.x matches '(?:a?){300}a{300}b'"
    assert "too heavy" in error(heavy, app={"x": subject})


@pytest.mark.parametrize("pattern", ["(?=x)", "(x)\\\\1", "a" * 201, "("])
def test_a_pattern_that_stands_in_the_text_is_checked_when_it_is_compiled(pattern: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(f"app.x matches '{pattern}'")
    assert (caught.value.line, caught.value.column) == (1, 15)


def test_a_lookup_in_a_shared_value_cannot_grow_a_text_without_bound() -> None:
    text = "string(map([0], [t, t])" + ")"
    assert "more than 64 KiB" in error(text, t="x" * 40_000)
    doubled = "[0]"
    for _ in range(12):
        doubled = f"map({doubled}, [#, #, #])"
    assert error(f"toJSON([{doubled}, 'x' | replace('', t)])", t="x" * 60_000)


@pytest.mark.parametrize(
    "body", ["toJSON(m) == ''", "upper(t) == ''", "m == m", "# in l", "t matches '(?:a?){50}b'"]
)
def test_work_on_big_values_is_bounded_too(body: str) -> None:
    scope = {"l": list(range(1500)), "m": {f"k{n}": n for n in range(3000)}, "t": "a" * 4000}
    assert "stopped after" in error(f"count(l, {body})", **scope)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("(" * 41 + "1" + ")" * 41, "nested more than 40 deep"),
        ("!" * 100 + "true", "nested more than 40 deep"),
        ("+".join(["1"] * 501), "may have 500 parts"),
        ("'" + "x" * 4100 + "'", "4 KiB"),
    ],
)
def test_a_source_that_is_too_big_is_refused(text: str, limit: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert caught.value.code == "too_large"
    assert limit in str(caught.value)


def test_a_long_flat_condition_is_fine() -> None:
    assert value(" or ".join(["app.a == 'x'"] * 60 + ["true"]), app={}) is True
    assert value(".".join(["app"] + ["a"] * 100).replace(".a", "?.a"), app=None) is None


def test_a_misspelt_function_is_answered_with_the_near_one() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("hasPrefx('a', 'b')")
    assert (caught.value.code, caught.value.hint) == ("unknown_function", "did you mean hasPrefix?")


def test_conditions_on_the_clock_are_known() -> None:
    assert compile_expression("time.Now().Unix() > 0").reads_clock
    assert compile_expression("now() > time.Parse(app.x)").reads_clock
    assert not compile_expression("time.Parse(app.x).Unix() > 0").reads_clock


def test_an_unknown_commit_is_a_remark_and_no_crash() -> None:
    remarks: list[str] = []
    event = {"commits": [{"sha": "abc", "author": "Alice <a@example.com>", "date": "2026-01-02T00:00:00Z"}]}
    text = "[repo.GetCommitMetadata('abc').Author, repo.GetCommitMetadata('def').Message]"
    made = evaluate(compile_expression(text), {"event": event}, CLOCK, remarks)
    assert made == ["Alice <a@example.com>", ""]
    assert remarks == ["the commit def is not known; its author and message are empty"]


PIECES = st.sampled_from(
    ["app", ".a", "?.b", "[0]", "[", "]", "(", ")", "{", "}", "'x'", "1", ".5", " and ", " or ", "not ", "??", "?", ":",
     "==", "<", " in ", " matches ", "+", "-", "*", "/", "%", "|", ",", "#", "..", "`", "//", "/*", "\n", "nil", "true",
     "len", "upper", "time", ".Now()", "now()", "$", "\\", *sorted(PREDICATES)]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join)))
def test_any_text_is_a_value_or_an_error_with_a_place(text: str) -> None:
    try:
        compiled = compile_expression(text)
        evaluate(compiled, {"app": {"a": [1, "x", None], "b": {"a": 2.5}}}, CLOCK)
    except ExpressionError as problem:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.column >= 1
        assert problem.sentence


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70), st.sampled_from("+-*/%"))
def test_arithmetic_stays_in_64_bits(left: int, right: int, operator: str) -> None:
    try:
        made = value(f"a {operator} b", a=left % 2**63, b=right % 2**63)
    except ExpressionError as problem:
        assert problem.code == "value"
    else:
        assert isinstance(made, float) or -(2**63) <= made < 2**63
