"""Runs a parsed template over data, within a budget (notifications.md 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import notifications.core.gotemplates.nodes as nodes
import notifications.core.marks as marks
from notifications.core.gotemplates.costs import SHALLOW, cost
from notifications.core.gotemplates.functions import FUNCTIONS
from notifications.core.gotemplates.functions.printing import text_of
from notifications.core.gotemplates.functions.registry import parameters, read
from notifications.core.gotemplates.parser import Template, error
from notifications.core.gotemplates.sheet import MAX_STEPS, Sheet
from notifications.core.gotimes import Clock, Duration, Time, method
from notifications.core.govalues import NOTHING, Func, Struct, kind_of, truth

MAX_RECURSION = 20
LANGUAGE = frozenset(["and", "or", "call"])
# Results of these are left alone inside a string of a document when they already are valid there (4.3).
ESCAPING = frozenset(["js", "toJson", "toRawJson", "toPrettyJson", "quote", "replace", "regexReplaceAll"])
_MAY_SEE_SECRETS = frozenset(["toString", "quote", "printf"])


class _Jump(Exception):
    def __init__(self, word: str) -> None:
        self.word = word


class Run(Sheet):
    """One rendering; it is the Surroundings of the functions too."""

    def __init__(
        self,
        template: Template,
        data: Mapping[str, Any],
        clock: Clock,
        marking: str,
        remark: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.template = template
        self.clock = clock
        self.marking = marking
        self.remark = remark
        self.depth = 0
        self.missing = ""
        self.variables: list[tuple[str, Any]] = [("$", data)]

    # -- nodes

    def body(self, body: nodes.Body, dot: Any) -> None:
        for node in body:
            self.spend(node.place)
            if isinstance(node, nodes.Text):
                self.write(node.text, node.place, printed=False)
            elif isinstance(node, nodes.Action):
                self.action(node, dot)
            elif isinstance(node, nodes.Branch):
                self.branch(node, dot)
            elif isinstance(node, nodes.Jump):
                raise _Jump(node.word)
            else:
                self.include(node, dot)

    def action(self, node: nodes.Action, dot: Any) -> None:
        value = self.pipe(node.pipe, dot)
        if node.pipe.variables:
            return
        if isinstance(value, Func):
            raise error(node.place, "a function cannot be printed", f"write call .….{value.name}", "value")
        if value is None or value is NOTHING:
            # Asking `if` for what may be missing is no remark; printing it is.
            self.remark(self.missing if value is NOTHING and self.missing else "a null is printed")
            text = "<no value>"
        else:
            text = self.guarded(node.place, "printing", lambda: text_of(value))
        parts = [part for command in node.pipe.commands for part in command.operands]
        used = {part.name for part in parts if isinstance(part, nodes.Function)}
        self.write(text, node.place, printed=True, escaped=bool(used & ESCAPING))

    def branch(self, node: nodes.Branch, dot: Any) -> None:
        known = len(self.variables)
        try:
            if node.word == "range":
                self.loop(node, dot)
                return
            value = self.pipe(node.pipe, dot)
            if truth(value):
                self.body(node.body, value if node.word == "with" else dot)
            else:
                self.body(node.otherwise, dot)
        finally:
            del self.variables[known:]

    def loop(self, node: nodes.Branch, dot: Any) -> None:
        names = node.pipe.variables
        value = self.pipe(node.pipe, dot, bind=False)
        items = self.items(value, node.place)
        if not items:
            self.body(node.otherwise, dot)
            return
        known = len(self.variables)
        for key, item in items:
            self.spend(node.place)
            for name, part in zip(names, (key, item) if len(names) == 2 else (item,), strict=False):
                self.bind(name, part, declares=node.pipe.declares)
            try:
                self.body(node.body, item)
            except _Jump as jump:
                if jump.word == "break":
                    break
            finally:
                del self.variables[known:]

    def items(self, value: Any, place: nodes.Place) -> list[tuple[Any, Any]]:
        if isinstance(value, list):
            return list(enumerate(value))
        if isinstance(value, dict):
            self.spend(place, len(value) // 16)
            return [(key, value[key]) for key in sorted(value, key=marks.raw)]
        if isinstance(value, int) and not isinstance(value, bool):
            self.spend(place, min(max(value, 0), MAX_STEPS + 1))
            return [(number, number) for number in range(max(value, 0))]
        if value is None or value is NOTHING:
            return []
        raise error(place, f"range cannot go over {kind_of(value)}", code="value")

    def include(self, node: nodes.Include, dot: Any) -> None:
        body = self.template.defined.get(node.name)
        if body is None:
            raise error(node.place, f"there is no template {node.name[:60]!r}", code="value")
        self.depth += 1
        if self.depth > MAX_RECURSION:
            raise error(node.place, f"templates call each other more than {MAX_RECURSION} deep", code="steps")
        given = None if node.pipe is None else self.pipe(node.pipe, dot)
        outer, self.variables = self.variables, [("$", given)]
        self.body(body, given)
        self.variables = outer
        self.depth -= 1

    # -- pipelines

    def pipe(self, pipe: nodes.Pipe, dot: Any, *, bind: bool = True) -> Any:
        value: Any = None
        for number, command in enumerate(pipe.commands):
            self.spend(command.place)
            value = self.command(command, dot, [value] if number else [])
        if bind:
            for name in pipe.variables:
                self.bind(name, value, declares=pipe.declares)
        return value

    def bind(self, name: str, value: Any, *, declares: bool) -> None:
        if declares:
            self.variables.append((name, value))
            return
        for place in range(len(self.variables) - 1, -1, -1):
            if self.variables[place][0] == name:
                self.variables[place] = (name, value)
                return

    def command(self, command: nodes.Command, dot: Any, final: list[Any]) -> Any:
        first, rest = command.operands[0], command.operands[1:]
        if isinstance(first, nodes.Function):
            if first.name in ("and", "or"):
                return self.logic(first, rest, dot, final)
            args = [self.operand(operand, dot) for operand in rest] + final
            return self.call(first, args) if first.name != "call" else self.called(first, args)
        args = [self.operand(operand, dot) for operand in rest] + final
        if isinstance(first, nodes.Path):
            return self.path(first, dot, args)
        if args:
            raise error(first.place, "a constant cannot be given values", code="value")
        return first.value

    def logic(
        self, first: nodes.Function, rest: tuple[nodes.Operand, ...], dot: Any, final: list[Any]
    ) -> Any:
        """The deciding value, as Go returns it; what stands after it is not looked at."""
        if not rest and not final:
            raise error(first.place, f"{first.name} needs at least one value", code="value")
        value: Any = None
        for operand in rest:
            value = self.operand(operand, dot)
            if truth(value) is (first.name == "or"):
                return value
        return final[0] if final else value

    def operand(self, operand: nodes.Operand, dot: Any) -> Any:
        self.spend(operand.place)
        if isinstance(operand, nodes.Constant):
            return operand.value
        if isinstance(operand, nodes.Path):
            return self.path(operand, dot, [])
        return self.command(nodes.Command(operand.place, (operand,)), dot, [])

    # -- fields and methods

    def path(self, path: nodes.Path, dot: Any, args: list[Any]) -> Any:
        if isinstance(path.base, nodes.Pipe):
            value = self.pipe(path.base, dot)
        elif path.base:
            value = next(value for name, value in reversed(self.variables) if name == path.base)
        else:
            value = dot
        for number, name in enumerate(path.names):
            last = number == len(path.names) - 1
            value = self.field(value, name, path, args if last else [])
        if args and not path.names:
            raise error(path.place, f"{kind_of(value)} cannot be given values", code="value")
        return value

    def field(self, value: Any, name: str, path: nodes.Path, args: list[Any]) -> Any:
        found: Any = self.method(value, name)
        if found is not None:
            return self.applied(found, args, path.place)
        if value is NOTHING:
            found = NOTHING
        elif isinstance(value, marks.Secrets):
            found = self.guarded(path.place, "secrets", lambda: marks.secret(name))
        elif isinstance(value, dict):
            found = marks.lookup(value, name, NOTHING)
            if found is NOTHING:
                self.missing = f".{'.'.join(path.names)}: there is no {name}"
        elif isinstance(value, Struct) and name in value.fields:
            found = value.fields[name]
        else:
            raise error(path.place, f"{kind_of(value)} has no field {name[:60]}", code="value")
        if args:
            hint = f"write call .{'.'.join(path.names)} …" if isinstance(found, Func) else ""
            raise error(path.place, f"{name} cannot be given values", hint, "value")
        return found

    def method(self, value: Any, name: str) -> Func | None:
        if isinstance(value, Struct):
            return value.methods.get(name)
        return method(value, name, self.clock.local) if isinstance(value, Time | Duration) else None

    # -- functions

    def guarded(self, place: nodes.Place, name: str, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except (ValueError, OverflowError) as problem:
            raise error(place, f"{name} {problem}", code="value") from None

    def call(self, function: nodes.Function, args: list[Any]) -> Any:
        row = FUNCTIONS[function.name]
        kinds, least, repeats = parameters(row.kinds)
        if len(args) < least or (len(args) > len(kinds) and not repeats):
            raise error(function.place, f"{row.name} cannot be given {len(args)} values", code="value")
        if row.name not in _MAY_SEE_SECRETS:
            # Lists and maps never hold one: what made them could not see it.
            args = [marks.hide(arg) if isinstance(arg, str) else arg for arg in args]
        if row.marks != "keep":
            args = [
                marks.raw(arg) if isinstance(arg, str) or row.name not in SHALLOW else arg for arg in args
            ]
        self.spend(function.place, cost(row.name, args))

        def act() -> Any:
            given = [
                read(kinds[min(n, len(kinds) - 1)], arg, row.name, self)
                for n, arg in enumerate(args)
                if kinds
            ]
            return row.call(self, *given) if row.surrounded else row.call(*given)

        made = self.guarded(function.place, row.name, act)
        self.spend(function.place, cost(row.name, [made]))
        return marks.enter(made, self.marking) if row.marks == "data" else made

    def called(self, function: nodes.Function, args: list[Any]) -> Any:
        if not args or not isinstance(args[0], Func):
            given = kind_of(args[0]) if args else "nothing"
            raise error(function.place, f"call needs a function, not {given}", code="value")
        return self.applied(args[0], args[1:], function.place)

    def applied(self, func: Func, args: list[Any], place: nodes.Place) -> Any:
        """Functions of the namespaces look at plain data; what they make of it is data again."""
        if not func.fits(len(args)):
            raise error(place, f"{func.name} takes {func.wants()}, not {len(args)}", code="value")
        self.spend(place, cost(func.name, args))
        given = [marks.raw(marks.hide("" if arg is NOTHING else arg)) for arg in args]
        made = self.guarded(place, func.name, lambda: func.call(*given))
        return _marked(made, self.marking)


def _marked(value: Any, marking: str) -> Any:
    if isinstance(value, Struct):
        return Struct({key: _marked(item, marking) for key, item in value.fields.items()}, value.methods)
    return marks.enter(value, marking)
