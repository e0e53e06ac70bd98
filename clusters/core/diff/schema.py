"""Which type an object has: the shipped table, plus what settings say of custom kinds."""

from __future__ import annotations

from collections.abc import Mapping

import clusters.core.diff.builtin as builtin
from clusters.core.diff.types import Type, listed, scalars_only
from clusters.core.manifests import Manifest, group_of


def type_of(obj: Manifest, known_types: Mapping[str, str] | None = None) -> Type:
    """The type of an object by its group and kind.

    `known_types` are `knownTypeFields` of a custom kind: field path (`spec.template.spec`) to type name
    (`core/v1/PodSpec`, `core/Quantity`, `meta/v1/Duration`).
    """
    found = builtin.KINDS.get((group_of(obj), obj.get("kind", "")), builtin.OBJECT)
    for path, name in (known_types or {}).items():
        if name in builtin.NAMED:
            found = _with(found, path.split("."), scalars_only(builtin.NAMED[name]))
    return found


def _with(of: Type, path: list[str], leaf: Type) -> Type:
    if not path:
        return leaf
    name = path[0].removesuffix("[]")
    below = of.field(name)
    if path[0].endswith("[]"):
        inner = listed(_with(below.item, path[1:], leaf))
    else:
        inner = _with(below, path[1:], leaf)
    return Type(fields={**of.fields, name: inner}, defaults=of.defaults, zeros=of.zeros)
