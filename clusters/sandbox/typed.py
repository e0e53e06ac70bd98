"""Values seen through their Node: which fields they hold, merging, comparing, removing.

These are the four operations of server-side apply (structured merge). Values are never changed in place: results
share what did not change with their arguments.
"""

from __future__ import annotations

from typing import Any

import orjson

from clusters.sandbox.fieldsets import LEAF, MARK, FieldSet, is_member, made
from clusters.sandbox.schema import ANY, ATOMIC_LIST, KEYED_LIST, MAP, SCALAR, SET_LIST, STRUCT, Node

Problems = list[tuple[str, str]]
NUMERIC = ("int32", "int64", "number")
STRINGS = ("string", "time", "bytes")
GO_NAMES = {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map[string]interface {}"}
NO_KEYS = "associative list with keys may not have non-map elements"


def element_of(item: Any, node: Node) -> str:
    """The path element of a list item: `k:{...}` by its keys, or `v:...` by its value."""
    if node.kind == SET_LIST:
        return "v:" + orjson.dumps(item).decode()
    keys = {}
    for key in node.keys:
        value = item.get(key) if isinstance(item, dict) else None
        keys[key] = _key_default(node, key) if value is None else value
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _key_default(node: Node, key: str) -> Any:
    if key in node.key_defaults:
        return node.key_defaults[key]
    field = node.element.fields.get(key) if node.element else None
    return 0 if field is not None and field.scalar in NUMERIC else ""


def field_of(name: str, node: Node) -> Node | None:
    """The Node of a field or map entry; None when the schema does not declare it."""
    return node.fields.get(name) or node.element


def read(value: Any, node: Node, *, duplicates: bool = False) -> tuple[FieldSet, Problems]:
    """The set of fields `value` holds, and what the schema says against it as (path, sentence).

    As the real walker does, each map stops at its first undeclared field.
    """
    problems: Problems = []
    tree = _read(value, node, problems, duplicates, False)
    return tree or {}, problems


def _read(value: Any, node: Node, problems: Problems, duplicates: bool, atomic: bool) -> FieldSet | None:
    """Children of a container, LEAF for a leaf, None for an empty container (its parent decides)."""
    kind = node.kind
    if kind == SCALAR:
        if value is not None:
            wrong = _scalar_problem(value, node.scalar)
            if wrong:
                problems.append(("", wrong))
        return LEAF
    if kind == ANY:
        kind = MAP if isinstance(value, dict) else ATOMIC_LIST if isinstance(value, list) else SCALAR
        if kind == SCALAR:
            return LEAF
    if value is None:
        return None
    if kind in (STRUCT, MAP):
        return _read_map(value, node, problems, duplicates, atomic)
    return _read_list(value, node, kind, problems, duplicates, atomic)


def _read_map(value: Any, node: Node, problems: Problems, duplicates: bool, atomic: bool) -> FieldSet | None:
    if not isinstance(value, dict):
        problems.append(("", f"expected map, got &{{{_plain(value)}}}"))
        return None
    inside = atomic or node.atomic
    out: FieldSet = {}
    fields, extra = node.fields, node.element
    for name, item in value.items():
        declared = fields.get(name)
        field = declared or extra
        if field is None:
            problems.append((f".{name}", "field not declared in schema"))
            break
        mark = len(problems)
        tree = _read(item, field, problems, duplicates, inside)
        if len(problems) > mark:
            _prefix(problems, mark, f".{name}")
        if not inside:
            member = item is None or item == {} or declared is None
            kept = made(member or tree is LEAF, tree or {})
            if kept is not None:
                out["f:" + name] = kept
    return LEAF if node.atomic and not atomic else out or None


def _read_list(
    value: Any, node: Node, kind: int, problems: Problems, duplicates: bool, atomic: bool
) -> FieldSet | None:
    if not isinstance(value, list):
        problems.append(("", f"expected list, got &{{{_plain(value)}}}"))
        return None
    inside = atomic or kind == ATOMIC_LIST
    out: FieldSet = {}
    seen: set[str] = set()
    for index, item in enumerate(value):
        if kind == KEYED_LIST and not isinstance(item, dict):
            problems.append(("", f"element {index}: {NO_KEYS}"))
            break
        element = f"[{index}]" if kind == ATOMIC_LIST else element_of(item, node)
        if kind != ATOMIC_LIST:
            if element in seen and not duplicates:
                problems.append(("", f"duplicate entries for key {shown_element(element)}"))
            seen.add(element)
        mark = len(problems)
        tree = _read(item, node.element or node, problems, duplicates, inside)
        if len(problems) > mark:
            _prefix(problems, mark, element if kind == ATOMIC_LIST else shown_element(element))
        if not inside:
            out[element] = made(True, tree or {}) or LEAF
    return LEAF if kind == ATOMIC_LIST and not atomic else out or None


def shown_element(element: str) -> str:
    """A path element as messages print it: `[name="c"]`, `[="x"]`."""
    sort, _, rest = element.partition(":")
    if sort == "v":
        return f"[={rest}]"
    return "[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in orjson.loads(rest).items()) + "]"


def _prefix(problems: Problems, mark: int, step: str) -> None:
    for index in range(mark, len(problems)):
        path, sentence = problems[index]
        problems[index] = (step + path, sentence)


def _shown(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{_go(value)}}}"


def _go(value: Any) -> str:
    """A value as Go's `%#v` prints it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{orjson.dumps(k).decode()}:{_go(v)}" for k, v in value.items())
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(_go, value)) + "}"
    return orjson.dumps(value).decode() if value is not None else "interface {}(nil)"


def _plain(value: Any) -> str:
    """A value as Go's `%v` prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{_plain(v)}" for k, v in value.items()) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_plain, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)


def _scalar_problem(value: Any, scalar: str) -> str:
    if scalar in STRINGS:
        return "" if isinstance(value, str) else f"expected string, got {_shown(value)}"
    if scalar in NUMERIC:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return ""
        return f"expected numeric (int or float), got {GO_NAMES.get(type(value), '[]interface {}')}"
    if scalar == "bool":
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{_plain(value)}}}"
    if isinstance(value, (dict, list)):
        return f"expected any scalar, got &{{{_plain(value)}}}"
    return ""


def merge(live: Any, config: Any, node: Node) -> Any:
    """`live` with everything that `config` says; lists by key keep foreign items where they are."""
    if live is None or live is config:
        return config
    kind = node.kind
    if not config and live and not node.atomic and _granular(kind, live, config):
        return live
    if kind == ANY and isinstance(config, dict) and isinstance(live, dict):
        kind = MAP
    if kind in (STRUCT, MAP) and not node.atomic and isinstance(live, dict) and isinstance(config, dict):
        return _merge_map(live, config, node)
    if kind in (KEYED_LIST, SET_LIST) and isinstance(live, list) and isinstance(config, list):
        return _merge_list(live, config, node)
    return live if live == config and type(live) is type(config) else config


def _granular(kind: int, live: Any, config: Any) -> bool:
    """Whether nothing (null or empty) in the place of a container leaves the container as it is."""
    if config is not None and not isinstance(config, (dict, list)):
        return False
    if isinstance(live, dict):
        return kind in (STRUCT, MAP, ANY)
    return isinstance(live, list) and kind in (KEYED_LIST, SET_LIST)


def _merge_map(live: dict[str, Any], config: dict[str, Any], node: Node) -> dict[str, Any]:
    out = None
    for name, item in config.items():
        had = live.get(name)
        if had is None:
            value = item
            if item is None and name in live:
                continue
        else:
            value = merge(had, item, field_of(name, node) or node)
            if value is had:
                continue
        out = live.copy() if out is None else out
        out[name] = value
    return live if out is None else out


def _merge_list(live: list[Any], config: list[Any], node: Node) -> list[Any]:
    left: dict[str, Any] = {}
    for item in live:
        left.setdefault(element_of(item, node), item)
    right = {element_of(item, node): item for item in config}
    order = list(left)
    shared = [element for element in right if element in left]
    out: list[Any] = []
    at = 0
    for element, item in right.items():
        wanted = shared[0] if shared else None
        while at < len(order) and order[at] != wanted:
            if order[at] not in right:
                out.append(left[order[at]])
            at += 1
        if element == wanted:
            shared.pop(0)
            if at < len(order):
                at += 1
        out.append(merge(left.get(element), item, node.element or node))
    out += [left[element] for element in order[at:] if element not in right]
    return live if out == live else out


def compare(old: Any, new: Any, node: Node) -> tuple[FieldSet, FieldSet]:
    """What was added or modified, and what was removed, from `old` to `new`."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    if old is not new:
        _compare_maps(old or {}, new or {}, node, changed, removed)
    return changed, removed


def _compare(old: Any, new: Any, node: Node, element: str, changed: FieldSet, removed: FieldSet) -> None:
    """Put what happened at `element` into the two trees of its parent; None stands for absent."""
    kind = node.kind
    sample = new if new is not None else old
    if kind == ANY:
        alike = new is None or old is None or isinstance(new, dict) == isinstance(old, dict)
        kind = MAP if isinstance(sample, dict) and alike else SCALAR
    container = (kind in (STRUCT, MAP) and not node.atomic) or kind in (KEYED_LIST, SET_LIST)
    if container and not old and not new:
        container = False
    if not container:
        if old is None:
            changed[element] = LEAF
        elif new is None:
            removed[element] = LEAF
        elif old != new:
            changed[element] = LEAF
        return
    changed_below: FieldSet = {}
    removed_below: FieldSet = {}
    if kind in (STRUCT, MAP):
        _compare_maps(old or {}, new or {}, node, changed_below, removed_below)
    else:
        _compare_lists(old or [], new or [], node, changed_below, removed_below)
    if changed_below or old is None:
        changed[element] = made(old is None, changed_below) or LEAF
    if removed_below or new is None:
        removed[element] = made(new is None, removed_below) or LEAF


def _compare_maps(
    old: dict[str, Any], new: dict[str, Any], node: Node, changed: FieldSet, removed: FieldSet
) -> None:
    for name, had in old.items():
        has = new.get(name)
        if had is not has and had != has:
            _compare(had, has, field_of(name, node) or Node(ANY), "f:" + name, changed, removed)
    for name, has in new.items():
        if name not in old:
            _compare(None, has, field_of(name, node) or Node(ANY), "f:" + name, changed, removed)


def _compare_lists(old: list[Any], new: list[Any], node: Node, changed: FieldSet, removed: FieldSet) -> None:
    left = {element_of(item, node): item for item in old}
    right = {element_of(item, node): item for item in new}
    inner = node.element or node
    for element, had in left.items():
        has = right.get(element)
        if had is not has and had != has:
            _compare(had, has, inner, element, changed, removed)
    for element, has in right.items():
        if element not in left:
            _compare(None, has, inner, element, changed, removed)


def abandoned(last: FieldSet, owned: FieldSet, node: Node) -> FieldSet:
    """Of what a manager owned (`last`), the part nobody owns now. Struct fields with owned parts stay."""
    out: FieldSet = {}
    for element, tree in last.items():
        if element == MARK:
            continue
        now = owned.get(element)
        inner, declared = _inner(element, node)
        if (is_member(tree) or declared) and not (is_member(now) or (declared and now)):
            out[element] = LEAF
            continue
        below = abandoned(tree, now or {}, inner) if tree else {}
        if below:
            out[element] = below
    return out


def _inner(element: str, node: Node) -> tuple[Node, bool]:
    """The Node below a path element, and whether the element is a declared field of a struct."""
    if element.startswith("f:"):
        declared = node.fields.get(element[2:])
        return declared or node.element or Node(ANY), declared is not None
    return node.element or Node(ANY), False


def remove(value: Any, doomed: FieldSet, node: Node) -> Any:
    """`value` without the members of `doomed` and all below them."""
    if not doomed:
        return value
    if isinstance(value, dict):
        out = {}
        for name, item in value.items():
            tree = doomed.get("f:" + name)
            if tree is None:
                out[name] = item
            elif tree:
                kept = remove(item, tree, field_of(name, node) or node)
                if kept is not None:
                    out[name] = kept
        return out or None
    if isinstance(value, list) and node.kind in (KEYED_LIST, SET_LIST):
        items = []
        for item in value:
            tree = doomed.get(element_of(item, node))
            if tree is None:
                items.append(item)
            elif tree:
                items.append(remove(item, tree, node.element or node))
        return items or None
    return value
