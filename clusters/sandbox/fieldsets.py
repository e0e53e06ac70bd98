"""Sets of field paths, kept as the very trees that `managedFields[].fieldsV1` holds.

A tree maps path elements (`f:name`, `k:{"name":"c"}`, `v:"x"`) to trees. A path is a *member* when its tree is
empty (a leaf) or holds the mark `.`. The root is never a member, so an empty root is the empty set. Trees are
values: no function here changes its arguments, and results share parts with them.
"""

from __future__ import annotations

from typing import Any

import orjson

FieldSet = dict[str, Any]
MARK = "."
LEAF: FieldSet = {}


def is_member(tree: FieldSet | None) -> bool:
    """Whether the path at which `tree` stands is itself in the set."""
    return tree is not None and (not tree or MARK in tree)


def made(member: bool, children: FieldSet) -> FieldSet | None:
    """The tree of a path with these children, or None when nothing is left of it."""
    if not children:
        return LEAF if member else None
    if member:
        return {MARK: LEAF, **children} if MARK not in children else children
    if MARK in children:
        return {key: tree for key, tree in children.items() if key != MARK}
    return children


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """All members of both sets."""
    if not left:
        return right
    if not right:
        return left
    out = dict(left)
    for key, tree in right.items():
        if key == MARK:
            out[MARK] = LEAF
        elif key in out:
            out[key] = _joined(out[key], tree)
        else:
            out[key] = tree
    return out


def _joined(left: FieldSet, right: FieldSet) -> FieldSet:
    if left is right or left == right:
        return left
    member = is_member(left) or is_member(right)
    return made(member, union(left, right)) or LEAF


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of `left` that are not members of `right`."""
    if not left or not right:
        return left
    out: FieldSet = {}
    for key, tree in left.items():
        other = right.get(key)
        if key == MARK:
            continue
        if other is None:
            out[key] = tree
            continue
        kept = made(is_member(tree) and not is_member(other), difference(tree, other))
        if kept is not None:
            out[key] = kept
    return out


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of both sets."""
    out: FieldSet = {}
    for key, tree in left.items():
        other = right.get(key)
        if key == MARK or other is None:
            continue
        children = intersection(tree, other) if tree and other else {}
        kept = made(is_member(tree) and is_member(other), children)
        if kept is not None:
            out[key] = kept
    return out


def without(tree: FieldSet, paths: tuple[tuple[str, ...], ...]) -> FieldSet:
    """`tree` without these paths and everything below them."""
    for path in paths:
        tree = _cut(tree, path)
    return tree


def _cut(tree: FieldSet, path: tuple[str, ...]) -> FieldSet:
    head, rest = path[0], path[1:]
    if head not in tree:
        return tree
    out = dict(tree)
    if not rest:
        del out[head]
        return out
    had = tree[head]
    below = _cut(had, rest)
    if below is had:
        return tree
    kept = made(MARK in had, {key: value for key, value in below.items() if key != MARK})
    if kept is None:
        del out[head]
    else:
        out[head] = kept
    return out


def only(tree: FieldSet, heads: tuple[str, ...]) -> FieldSet:
    """The part of `tree` below these first elements."""
    return {key: value for key, value in tree.items() if key in heads}


def members(tree: FieldSet, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every member as a path of elements, in the order of the tree."""
    out: list[tuple[str, ...]] = []
    for key, below in tree.items():
        if key == MARK:
            continue
        if is_member(below):
            out.append((*path, key))
        if below:
            out += members(below, (*path, key))
    return out


def printed(path: tuple[str, ...]) -> str:
    """A path as API servers print it: `.spec.containers[name="c"].image`."""
    out = []
    for element in path:
        sort, _, rest = element.partition(":")
        if sort == "f":
            out.append(f".{rest}")
        elif sort == "k":
            keys = ",".join(
                f"{name}={orjson.dumps(value).decode()}" for name, value in orjson.loads(rest).items()
            )
            out.append(f"[{keys}]")
        else:
            out.append(f"[={rest}]")
    return "".join(out)
