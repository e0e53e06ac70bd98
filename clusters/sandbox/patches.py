"""The three patch formats that are not an apply: JSON patch, merge patch, strategic merge patch."""

from __future__ import annotations

from typing import Any

from clusters.sandbox.answers import ApiError, generic
from clusters.sandbox.schema import ANYTHING, LISTS, Node

Manifest = dict[str, Any]
REJECTED = "the server rejected our request due to an error in our request"


def json_patch(obj: Manifest, operations: Any) -> Manifest:
    """RFC 6902 on a copy. Raises ApiError 422 without detail when an operation fails, 400 for a bad document."""
    if not isinstance(operations, list):
        raise ApiError(
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        )
    out: Any = obj
    for operation in operations:
        try:
            out = _operate(out, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as failed:
            raise generic(422, REJECTED) from failed
    if not isinstance(out, dict):
        raise generic(422, REJECTED)
    return out


def _operate(root: Any, operation: Manifest) -> Any:
    name, path = operation["op"], _steps(operation["path"])
    if name == "test":
        if _at(root, path) != operation.get("value"):
            raise ValueError("test failed")
        return root
    if name in ("add", "replace"):
        return _set(root, path, operation["value"], insert=name == "add")
    if name == "remove":
        return _unset(root, path)
    source = _steps(operation["from"])
    value = _at(root, source)
    if name == "move":
        root = _unset(root, source)
    elif name != "copy":
        raise ValueError(name)
    return _set(root, path, value, insert=True)


def _steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ValueError(pointer)
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _at(root: Any, path: list[str]) -> Any:
    for step in path:
        root = root[_index(root, step)] if isinstance(root, list) else root[step]
    return root


def _index(items: list[Any], step: str) -> int:
    index = int(step)
    if index < 0 or index >= len(items):
        raise IndexError(step)
    return index


def _set(root: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(root, list):
        items = list(root)
        if rest:
            index = _index(items, step)
            items[index] = _set(items[index], rest, value, insert=insert)
        elif not insert:
            items[_index(items, step)] = value
        elif step == "-":
            items.append(value)
        else:
            at = int(step)
            if not 0 <= at <= len(items):
                raise IndexError(step)
            items.insert(at, value)
        return items
    if rest:
        return {**root, step: _set(root[step], rest, value, insert=insert)}
    if not insert and step not in root:
        raise KeyError(step)
    return {**root, step: value}


def _unset(root: Any, path: list[str]) -> Any:
    step, rest = path[0], path[1:]
    if isinstance(root, list):
        index = _index(root, step)
        if rest:
            return [*root[:index], _unset(root[index], rest), *root[index + 1 :]]
        return [*root[:index], *root[index + 1 :]]
    if rest:
        return {**root, step: _unset(root[step], rest)}
    if step not in root:
        raise KeyError(step)
    return {key: value for key, value in root.items() if key != step}


def merge_patch(obj: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    out = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        elif isinstance(value, dict):
            out[name] = merge_patch(out.get(name), value)
        else:
            out[name] = value
    return out


def strategic_patch(obj: Any, patch: Manifest, node: Node) -> Any:
    """A merge patch that merges lists by the merge keys of the kind; knows `$patch`, `$retainKeys` and the like."""
    order = patch.get("$patch")
    if order == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if order == "delete":
        return {}
    out = dict(obj) if isinstance(obj, dict) else {}
    if "$retainKeys" in patch:
        out = {key: value for key, value in out.items() if key in patch["$retainKeys"]}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            out[field] = [item for item in out.get(field) or () if item not in value]
        elif name.startswith("$"):
            continue
        elif value is None:
            out.pop(name, None)
        else:
            out[name] = _strategic_value(
                out.get(name), value, node.fields.get(name) or node.element or ANYTHING
            )
    return out


def _strategic_value(held: Any, value: Any, node: Node) -> Any:
    if isinstance(value, dict):
        return strategic_patch(held, value, node)
    if isinstance(value, list) and node.kind in LISTS and node.patch is not None:
        return _strategic_list(held or [], value, node)
    return value


def _strategic_list(held: list[Any], patch: list[Any], node: Node) -> list[Any]:
    key = node.patch
    if not key:
        return [*held, *(item for item in patch if item not in held)]
    if any(item.get("$patch") == "replace" for item in patch if isinstance(item, dict)):
        return [item for item in patch if "$patch" not in item]
    out = list(held)
    for item in patch:
        at = next((i for i, old in enumerate(out) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            out = [old for old in out if old.get(key) != item.get(key)]
        elif at is None:
            out.append(strategic_patch({}, item, node.element or ANYTHING))
        else:
            out[at] = strategic_patch(out[at], item, node.element or ANYTHING)
    return out
