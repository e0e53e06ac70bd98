"""What is known of a value's type: list types, canonical scalars, defaults. Unknown maps are granular, unknown lists atomic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Form = Literal["any", "keyed", "set", "atomic", "quantity", "duration", "time", "allocated"]


@dataclass(frozen=True, slots=True)
class Type:
    """One node of a schema.

    `fields` of a map, `values` of a map with free keys (a ResourceList), `items` of a list. keyed: a list known by
    `keys`, with `key_defaults` for keys a manifest may leave out. atomic: a map that has one owner as a whole.
    allocated: a number that the server chooses where the manifest says 0.
    `defaults`: what the server writes for an absent field. `zeros`: fields whose zero value the server drops.
    `undeclared`: fields of the live value that count only when the target names them.
    """

    form: Form = "any"
    fields: Mapping[str, Type] = field(default_factory=dict)
    values: Type | None = None
    items: Type | None = None
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    zeros: frozenset[str] = frozenset()
    undeclared: frozenset[str] = frozenset()

    def field(self, name: str) -> Type:
        """The type of a map's entry."""
        return self.fields.get(name) or self.values or ANY

    @property
    def item(self) -> Type:
        """The type of a list's items."""
        return self.items or ANY


ANY = Type()
QUANTITY = Type("quantity")
QUANTITIES = Type(values=QUANTITY)
DURATION = Type("duration")
TIME = Type("time")
ALLOCATED = Type("allocated")


def struct(
    defaults: Mapping[str, Any] | None = None, zeros: str = "", undeclared: str = "", /, **fields: Type
) -> Type:
    """A granular map with known fields."""
    return Type(
        fields=fields,
        defaults=defaults or {},
        zeros=frozenset(zeros.split()),
        undeclared=frozenset(undeclared.split()),
    )


def atomic(of: Type = ANY) -> Type:
    """A map that changes as a whole (a label selector, a reference)."""
    return Type("atomic", fields=of.fields, defaults=of.defaults, zeros=of.zeros, undeclared=of.undeclared)


def keyed(*keys: str, of: Type = ANY, **key_defaults: Any) -> Type:
    """A list whose items are known by these keys."""
    return Type("keyed", items=of, keys=keys, key_defaults=key_defaults)


def listed(of: Type) -> Type:
    """An atomic list of items of a known type."""
    return Type(items=of)


def scalars_only(of: Type) -> Type:
    """The same type with its lists atomic: for custom kinds that embed a built-in type without list markers."""
    return Type(
        form="any" if of.form in ("keyed", "set") else of.form,
        fields={name: scalars_only(below) for name, below in of.fields.items()},
        values=of.values,
        items=scalars_only(of.items) if of.items else None,
    )
