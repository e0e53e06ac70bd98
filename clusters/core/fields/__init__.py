"""Field sets: who owns which field of a live object, and the paths that server-side apply names in its errors.

May live here: fieldsV1 trees, managedFields entries, paths such as `.spec.containers[name="c"].env`.
May not: comparing objects (see `clusters.core.diff`), requests.
"""

from clusters.core.fields.managed import move_patch, union
from clusters.core.fields.paths import (
    LEFT_OUT,
    drop,
    duplicate_lists,
    forbidden_default,
    keep_last,
    undeclared,
    value_at,
    with_value,
)

__all__ = [
    "LEFT_OUT",
    "drop",
    "duplicate_lists",
    "forbidden_default",
    "keep_last",
    "move_patch",
    "undeclared",
    "union",
    "value_at",
    "with_value",
]
