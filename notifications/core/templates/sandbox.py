"""The Jinja sandbox of native templates: small, bounded, and without a way to any attribute of a host object (4.4).

Texts can only grow through the functions here, which look at the size before they build anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import ChainableUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications.core.gotemplates.functions.codecs import to_json
from notifications.core.gotemplates.functions.printing import size
from notifications.core.govalues import go_text, is_number
from notifications.errors import TemplateError

MAX_LEAF = 8 * 1024
MAX_OUTPUT = 64 * 1024
MAX_TURNS = 10_000
MAX_RANGE = 1_000
MAX_NESTED_LOOPS = 2
FILTERS = frozenset(
    [
        "upper",
        "lower",
        "title",
        "capitalize",
        "trim",
        "truncate",
        "replace",
        "join",
        "default",
        "d",
        "first",
        "last",
        "length",
        "count",
        "sort",
        "unique",
        "map",
        "select",
        "reject",
        "selectattr",
        "rejectattr",
        "int",
        "float",
        "round",
        "abs",
        "string",
        "tojson",
        "urlencode",
        "dictsort",
        "min",
        "max",
        "list",
    ]
)
_FORBIDDEN = (
    nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block, nodes.Macro, nodes.CallBlock,
    nodes.Assign, nodes.AssignBlock, nodes.FilterBlock, nodes.With, nodes.ScopedEvalContextModifier, nodes.EvalContextModifier,
)  # fmt: skip
# A loop body with many of these makes each of its turns count for more.
_WORK = (nodes.Filter, nodes.BinExpr, nodes.Compare, nodes.Test)
_TURNS = "_turns"
_JOINED = "_joined"


class Budget:
    """Loop turns and characters of one rendering (all leaves together)."""

    def __init__(self) -> None:
        self.turns = 0
        self.characters = 0


def _bounded(text: str) -> str:
    if len(text) > MAX_OUTPUT:
        raise SecurityError("a text of more than 64 KiB")
    return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if size(value) > MAX_OUTPUT:
        raise SecurityError("a text of more than 64 KiB")
    return "" if value is None or isinstance(value, ChainableUndefined) else go_text(value)


def _replace(value: Any, old: Any, new: Any) -> str:
    text, before, after = _text(value), _text(old), _text(new)
    if len(text) + (text.count(before) if before else len(text) + 1) * len(after) > MAX_OUTPUT:
        raise SecurityError("a text of more than 64 KiB")
    return text.replace(before, after)


def _join(value: Any, part: Any = "", attribute: str | None = None) -> str:
    items = value if isinstance(value, list) else list(_items(value))
    picked = [item.get(attribute) if isinstance(item, Mapping) and attribute else item for item in items]
    texts, mark = [_text(item) for item in picked], _text(part)
    if sum(len(text) + len(mark) for text in texts) > MAX_OUTPUT:
        raise SecurityError("a text of more than 64 KiB")
    return mark.join(texts)


def _truncate(value: Any, length: int = 255, end: str = "…") -> str:
    text = _text(value)
    return text if len(text) <= length else text[: max(length - len(end), 0)] + end


def _to_json(value: Any) -> str:
    if size(value) > MAX_OUTPUT:
        raise SecurityError("a text of more than 64 KiB")
    return to_json(None if isinstance(value, ChainableUndefined) else value)


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > MAX_RANGE:
        raise SecurityError(f"range has more than {MAX_RANGE} items")
    return made


@pass_context
def _turns(context: Context, value: Any, weight: int = 1) -> list[Any]:
    budget = context["_budget"]
    items = []
    for item in _items(value):
        budget.turns += weight
        if budget.turns > MAX_TURNS:
            raise SecurityError(f"more than {MAX_TURNS} loop turns")
        items.append(item)
    return items


def _items(value: Any) -> Iterator[Any]:
    if value is None or isinstance(value, ChainableUndefined):
        return iter(())
    if isinstance(value, bool | int | float | str):
        raise SecurityError("a loop needs a list or a map")
    return iter(value)


def _joined(parts: list[Any]) -> str:
    return _bounded("".join(_text(part) for part in parts))


class Sandbox(ImmutableSandboxedEnvironment):
    """Values are plain data: a dot asks a map for its key, never an object for an attribute."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            undefined=ChainableUndefined, autoescape=False, finalize=_text, keep_trailing_newline=False
        )
        self.globals = {"range": _range}
        self.filters = {name: call for name, call in self.filters.items() if name in FILTERS}
        ours = {
            "replace": _replace,
            "join": _join,
            "truncate": _truncate,
            "string": _text,
            "tojson": _to_json,
        }
        self.filters.update({**ours, _TURNS: _turns, _JOINED: _joined})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _bounded(left + right)
        if operator == "**" or not (is_number(left) and is_number(right)):
            raise SecurityError(f"{operator} is for numbers")
        if (operator == "*" and abs(left) > 2**63) or abs(right) > 2**63:
            raise SecurityError("a number that does not fit 64 bits")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in ("index", "index0", "first", "last", "length"):
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            return obj[argument] if isinstance(argument, str) and argument in obj else self.undefined(obj=obj)
        if isinstance(obj, list | str) and isinstance(argument, int | slice):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(obj=obj)
        return self.undefined(obj=obj)


def compile_leaf(environment: Sandbox, where: str, source: str) -> Any:
    """A compiled leaf. TemplateError for syntax and for everything that the sandbox does not have."""
    if len(source.encode("utf-8", "replace")) > MAX_LEAF:
        raise TemplateError("too_large", f"{where}: a leaf may have 8 KiB")
    try:
        tree = environment.parse(source)
        _check(tree, where, 0)
        for concat in list(tree.find_all(nodes.Concat)):
            concat_items = nodes.List(concat.nodes, lineno=concat.lineno)
            _become(concat, nodes.Filter(concat_items, _JOINED, [], [], None, None, lineno=concat.lineno))
        for loop in tree.find_all(nodes.For):
            weight = nodes.Const(1 + sum(1 for _ in loop.find_all(_WORK)) // 4)
            loop.iter = nodes.Filter(loop.iter, _TURNS, [weight], [], None, None, lineno=loop.lineno)
        return environment.from_string(tree)
    except TemplateSyntaxError as problem:
        raise TemplateError("syntax", f"{where}: {problem.message}", line=problem.lineno, column=1) from None
    except RecursionError:
        raise TemplateError("too_large", f"{where}: nested too deep") from None


def _become(old: nodes.Node, new: nodes.Node) -> None:
    """Exchange a node in place: the tree has no way up to its parent."""
    old.__class__ = new.__class__
    old.__dict__.clear()
    old.__dict__.update(new.__dict__)


def _check(node: nodes.Node, where: str, loops: int) -> None:
    line = node.lineno or 1
    if isinstance(node, _FORBIDDEN):
        raise TemplateError(
            "unsupported", f"{where}: {type(node).__name__.lower()} is not supported", line=line, column=1
        )
    if isinstance(node, nodes.For):
        loops += 1
        if loops > MAX_NESTED_LOOPS or node.recursive:
            raise TemplateError(
                "too_large", f"{where}: at most {MAX_NESTED_LOOPS} nested loops", line=line, column=1
            )
    name = node.name if isinstance(node, nodes.Name | nodes.Filter | nodes.Test) else ""
    name = node.attr if isinstance(node, nodes.Getattr) else name
    if name.startswith("_"):
        raise TemplateError("unsupported", f"{where}: no name may begin with _", line=line, column=1)
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise TemplateError(
            "unknown_function", f"{where}: unknown filter {node.name[:40]}", line=line, column=1
        )
    if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Name) and node.node.name == "range"):
        sentence, hint = f"{where}: only range can be called", "write value|filter; for a map use |dictsort"
        raise TemplateError("unsupported", sentence, hint, line=line, column=1)
    for child in node.iter_child_nodes():
        _check(child, where, loops)


def run_leaf(leaf: Any, where: str, names: Mapping[str, Any], budget: Budget) -> str:
    """The text of one leaf. TemplateError for everything that goes wrong while running."""
    try:
        made: list[str] = []
        for piece in leaf.generate({**names, "_budget": budget}):
            budget.characters += len(piece)
            if budget.characters > MAX_OUTPUT:
                raise SecurityError("the output has more than 64 KiB")
            made.append(piece)
        return "".join(made)
    except JinjaError as problem:
        raise TemplateError("value", f"{where}: {problem.message}") from None
    except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError) as problem:
        raise TemplateError("value", f"{where}: {type(problem).__name__}: {str(problem)[:120]}") from None
