"""What a call costs besides its one step, so that the budget bounds time and not only the number of calls.

Looking at 64 characters inside lists and maps, or at 256 of a text, is a step; ten are a thousand instructions of RE2.
"""

from __future__ import annotations

from typing import Any

import notifications.core.regexes as regexes
from notifications.core.gotemplates.functions.printing import size

# These look at a list or map only from outside.
SHALLOW = frozenset(
    [
        "index",
        "slice",
        "get",
        "hasKey",
        "len",
        "keys",
        "values",
        "first",
        "last",
        "rest",
        "initial",
        "reverse",
        "dig",
        "default",
        "empty",
        "coalesce",
        "ternary",
        "list",
        "dict",
        "not",
        "eq",
        "ne",
        "kindOf",
        "typeOf",
        "pick",
        "omit",
        "concat",
        "int",
        "int64",
        "float64",
    ]
)


def cost(name: str, values: list[Any]) -> int:
    """Steps for the arguments (or the result) of the function `name`."""
    total = 0
    for value in values:
        if isinstance(value, str):
            total += len(value) // 256
        elif isinstance(value, list | dict):
            total += len(value) // 16 if name in SHALLOW else size(value) // 64
    if name.startswith("regex") and len(values) > 1 and all(isinstance(value, str) for value in values[:2]):
        total += regexes.work(values[0], values[1]) * 10
    return total
