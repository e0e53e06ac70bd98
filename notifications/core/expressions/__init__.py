"""The one closed language of `when`, `oncePer` and selectors (notifications.md 3.3 to 3.5).

May live here: lexer, parser, evaluator, operators and functions. May not: `eval`, attributes of host objects, or
anything that a text from outside could use to run longer than its steps.

    compile_expression("app.status?.health.status == 'Degraded'") -> Expression      ExpressionError
    evaluate(expression, scope, Clock(now)) -> value                                  ExpressionError

`scope` is a mapping of names to plain JSON values (`app`, `appProject`, `context`, `event`); `obj` is `app` again,
and `time`, `strings`, `sync`, `repo` are added here (`repo` answers from `scope["event"]`). A name that is not in
scope is nil. An ExpressionError says where: `str(error)` is `line 1, column 5: and needs true or false, not text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from notifications.core.expressions.evaluator import MAX_STEPS, Evaluation
from notifications.core.expressions.lexer import MAX_SOURCE, tokenize
from notifications.core.expressions.nodes import Node
from notifications.core.expressions.parser import parse
from notifications.core.gotimes import Clock
from notifications.core.namespaces import namespaces
from notifications.errors import ExpressionError

__all__ = ["MAX_SOURCE", "MAX_STEPS", "Expression", "compile_expression", "evaluate"]


@dataclass(frozen=True)
class Expression:
    """A compiled text. `reads_clock`: its value may change although nothing happened."""

    text: str
    root: Node
    reads_clock: bool


def compile_expression(text: str) -> Expression:
    """Parse and check once; the result is immutable and may be kept. Raises ExpressionError."""
    try:
        root = parse(text)
    except RecursionError:
        raise ExpressionError(
            "too_large", "nested too deep", "split the condition", line=1, column=1
        ) from None
    words = {token.value for token in tokenize(text) if token.kind == "word"}
    return Expression(text, root, bool(words & {"now", "Now"}))


def evaluate(
    expression: Expression, scope: Mapping[str, Any], clock: Clock, remarks: list[str] | None = None
) -> Any:
    """The value over `scope`. Raises ExpressionError; `remarks` collects what had to be left empty."""
    heard: list[str] = [] if remarks is None else remarks
    event = scope.get("event")
    names = {
        **scope,
        "obj": scope.get("app"),
        **namespaces(event if isinstance(event, dict) else {}, clock, heard.append),
    }
    return Evaluation(names, clock).value(expression.root)
