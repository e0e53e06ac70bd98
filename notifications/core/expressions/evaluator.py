"""Nodes to a value, within a budget of steps. Nothing but the listed kinds of values can be reached from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import notifications.core.expressions.nodes as nodes
import notifications.core.expressions.operators as operators
import notifications.core.regexes as regexes
from notifications.core.expressions.functions import FUNCTIONS, MAX_LIST
from notifications.core.expressions.nodes import Node, Place
from notifications.core.expressions.operators import MAX_TEXT
from notifications.core.gotimes import Clock, Duration, Time, method
from notifications.core.govalues import Func, Struct, is_number, kind_of
from notifications.errors import ExpressionError

MAX_STEPS = 10_000
_HINTS = {
    "nil": "write ?. in front of what may be missing",
    "in": "use contains to look into a text; for not … in write: a not in b",
    "index": "ask len first, or use get",
    "bool": "compare with something, for example != nil",
}


class Evaluation:
    """One evaluation over one scope. `names` are the values in scope, namespaces included."""

    def __init__(self, names: Mapping[str, Any], clock: Clock) -> None:
        self.names = names
        self.clock = clock
        self.steps = 0
        self.items: list[Any] = []
        self.place = Place(1, 1)

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            place = self.place
            raise ExpressionError(
                "steps",
                f"stopped after {MAX_STEPS} steps",
                "look at fewer items, or at one level less",
                line=place.line,
                column=place.column,
            )

    def value(self, node: Node) -> Any:
        self.place = node.place
        self.spend(1)
        return _VISITORS[type(node)](self, node)

    def fail(self, place: Place, sentence: str, hint: str = "") -> ExpressionError:
        return ExpressionError("value", sentence, hint, line=place.line, column=place.column)

    def guarded(self, place: Place, act: Callable[[], Any], prefix: str = "", hint: str = "") -> Any:
        """`act()`, with the ValueError of a bad value turned into an error at `place`, and its size checked."""
        try:
            made = act()
        except (ValueError, OverflowError) as problem:
            raise self.fail(place, f"{prefix}{problem}", hint) from None
        if isinstance(made, str) and len(made) > MAX_TEXT:
            raise self.fail(place, f"{prefix}makes a text of more than 64 KiB")
        if isinstance(made, list) and len(made) > MAX_LIST:
            raise self.fail(place, f"{prefix}makes a list of more than {MAX_LIST} items")
        return made

    # -- leaves and literals

    def literal(self, node: nodes.Literal) -> Any:
        return node.value

    def name(self, node: nodes.Name) -> Any:
        return self.names.get(node.name)

    def item(self, _: nodes.Item) -> Any:
        return self.items[-1]

    def list_of(self, node: nodes.ListOf) -> list[Any]:
        return [self.value(item) for item in node.items]

    def map_of(self, node: nodes.MapOf) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.pairs:
            key = self.value(key_node)
            if not isinstance(key, str):
                raise self.fail(key_node.place, f"a key of a map must be text, not {kind_of(key)}")
            made[key] = self.value(value_node)
        return made

    # -- operators

    def truth(self, value: object, operator: str, place: Place) -> bool:
        if not isinstance(value, bool):
            sentence = f"{operator} needs true or false, not {kind_of(value)}"
            raise self.fail(place, sentence, _HINTS["bool"])
        return value

    def logic(self, node: nodes.Logic) -> Any:
        if node.operator == "??":
            found = None
            for operand in node.operands:
                found = self.value(operand)
                if found is not None:
                    break
            return found
        stop_at = node.operator == "or"
        for operand in node.operands:
            if self.truth(self.value(operand), node.operator, operand.place) is stop_at:
                return stop_at
        return not stop_at

    def choice(self, node: nodes.Choice) -> Any:
        test = self.truth(self.value(node.test), "?", node.test.place)
        if test:
            return True if node.yes is None else self.value(node.yes)
        return self.value(node.no)

    def unary(self, node: nodes.Unary) -> Any:
        value = self.value(node.operand)
        if node.operator == "not":
            return not self.truth(value, "not", node.place)
        if isinstance(value, Duration):
            return Duration(-value.ns) if node.operator == "-" else value
        if not is_number(value):
            raise self.fail(node.place, f"{node.operator} needs a number, not {kind_of(value)}")
        if node.operator == "+":
            return value
        return self.guarded(node.place, lambda: operators.arithmetic("-", 0, value))

    def sums(self, node: nodes.Sums) -> Any:
        left = self.value(node.first)
        for step in node.steps:
            left = self.joined(left, step, self.value(step.operand))
        return left

    def joined(self, left: Any, step: nodes.Step, right: Any) -> Any:
        return self.guarded(step.place, lambda: operators.arithmetic(step.operator, left, right))

    def relations(self, node: nodes.Relations) -> Any:
        left = self.value(node.first)
        result: Any = left
        chained = False
        for step in node.steps:
            is_order = step.operator[0] in "<>"
            joins = chained and is_order  # `1 < x < 5` compares each neighbour pair
            left = left if joins else result
            right = self.value(step.operand)
            if not joins or result:
                result = self.related(left, step, right)
            left, chained = right, is_order
        return result

    def related(self, left: Any, step: nodes.Step, right: Any) -> bool:
        operator = step.operator.removeprefix("not ")
        hint = _HINTS["nil"] if left is None or right is None else _HINTS["in"] if operator == "in" else ""

        if operator == "matches" and isinstance(left, str) and isinstance(right, str):
            self.spend(regexes.work(right, left))

        def act() -> bool:
            if operator in ("==", "!="):
                return operators.equal(left, right, self.spend) is (operator == "==")
            if operator == "in":
                return operators.contained(left, right, self.spend)
            if operator[0] in "<>":
                return operators.ordered(operator, left, right)
            return operators.text_relation(operator, left, right)

        found = bool(self.guarded(step.place, act, hint=hint))
        return not found if step.operator.startswith("not ") else found

    # -- calls

    def call(self, node: nodes.Call) -> Any:
        if node.name == "now":
            return self.clock.time()
        return self.applied(FUNCTIONS[node.name], node.place, [self.value(arg) for arg in node.args])

    def applied(self, function: Func, place: Place, args: list[Any]) -> Any:
        if not function.fits(len(args)):
            raise self.fail(place, f"{function.name} takes {function.wants()}, not {len(args)}")
        self.spend(sum(map(_weight, args)))
        made = self.guarded(place, lambda: function.call(*args), f"{function.name} ")
        self.spend(_weight(made))
        return made

    def predicate(self, node: nodes.Predicate) -> Any:
        items = self.value(node.items)
        if not isinstance(items, list):
            sentence = f"{node.name} needs a list, not {kind_of(items)}"
            raise self.fail(node.place, sentence, "write ?? [] after it" if items is None else "")
        if node.name == "map":
            return [self.tested(node, item) for item in items]
        kept: list[Any] = []
        for item in items:
            held = self.truth(self.tested(node, item), node.name, node.body.place)
            if held and node.name in ("any", "none", "find"):
                return item if node.name == "find" else node.name == "any"
            if not held and node.name == "all":
                return False
            if held:
                kept.append(item)
        if node.name in ("filter", "count", "one"):
            return kept if node.name == "filter" else len(kept) if node.name == "count" else len(kept) == 1
        return None if node.name == "find" else node.name in ("all", "none")

    def tested(self, node: nodes.Predicate, item: Any) -> Any:
        self.spend(1)
        self.items.append(item)
        try:
            return self.value(node.body)
        finally:
            self.items.pop()

    # -- chains

    def chain(self, node: nodes.Chain) -> Any:
        value = self.value(node.base)
        for step in node.steps:
            self.place = step.place
            self.spend(1)
            if value is None and not isinstance(step, nodes.Slice):
                if step.optional:
                    return None
                asked = f"[{'…'}]" if isinstance(step, nodes.Index) else f".{step.name}"
                raise self.fail(step.place, f"nil has no {asked}", _HINTS["nil"])
            value = self.stepped(value, step)
        return value

    def stepped(self, value: Any, step: nodes.Field | nodes.Method | nodes.Index | nodes.Slice) -> Any:
        if isinstance(step, nodes.Field):
            return self.field(value, step)
        if isinstance(step, nodes.Method):
            function = self.method(value, step)
            return self.applied(function, step.place, [self.value(arg) for arg in step.args])
        if isinstance(step, nodes.Index):
            key = self.value(step.key)
            return self.guarded(step.place, lambda: operators.picked(value, key), hint=_HINTS["index"])
        return self.sliced(value, step)

    def field(self, value: Any, step: nodes.Field) -> Any:
        if isinstance(value, dict):
            return value.get(step.name)
        if isinstance(value, Struct):
            found = value.fields.get(step.name)
            if isinstance(found, Func):
                raise self.fail(step.place, f"{step.name} is a function", f"write {step.name}(…)")
            return found
        raise self.fail(step.place, f"{kind_of(value)} has no .{step.name}")

    def method(self, value: Any, step: nodes.Method) -> Func:
        found: Any = None
        if isinstance(value, Struct):
            found = value.methods.get(step.name) or value.fields.get(step.name)
        elif isinstance(value, Time | Duration):
            found = method(value, step.name, self.clock.local)
        if not isinstance(found, Func):
            raise self.fail(step.place, f"{kind_of(value)} has no function {step.name}")
        return found

    def sliced(self, value: Any, step: nodes.Slice) -> Any:
        low, high = (None if node is None else self.value(node) for node in (step.low, step.high))
        return self.guarded(step.place, lambda: operators.cut(value, low, high))


def _weight(value: object) -> int:
    """Steps for looking at a value as a whole: each item of a list or map, and every 64 characters of a text."""
    if isinstance(value, str):
        return len(value) // 64
    return len(value) if isinstance(value, list | dict) else 0


_VISITORS: dict[type, Callable[[Evaluation, Any], Any]] = {
    nodes.Literal: Evaluation.literal,
    nodes.Name: Evaluation.name,
    nodes.Item: Evaluation.item,
    nodes.ListOf: Evaluation.list_of,
    nodes.MapOf: Evaluation.map_of,
    nodes.Call: Evaluation.call,
    nodes.Predicate: Evaluation.predicate,
    nodes.Chain: Evaluation.chain,
    nodes.Unary: Evaluation.unary,
    nodes.Logic: Evaluation.logic,
    nodes.Sums: Evaluation.sums,
    nodes.Relations: Evaluation.relations,
    nodes.Choice: Evaluation.choice,
}
