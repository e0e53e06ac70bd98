"""Statements of the hot path: what runs for every pass is not put together anew for every pass.

For one row by its key the ORM takes five to ten times longer to make the text of a statement than the database to run
it, and a pass is mostly statements (performance.md 4). Values still go through the fields of the model.

May live here: how a statement is said in few words. May not: which rows are read or written, and when.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Model, QuerySet

_MOST_PARAMETERS = 30_000  # SQLite takes 32,766 in one statement
Row = TypeVar("Row", bound=Model)


class Prepared(Generic[Row]):
    """A QuerySet with one value, compiled once for each connection (and so for each thread).

    `build(value)` must use the value exactly once, and compare it as `field` of the model does.
    """

    def __init__(self, build: Callable[[Any], QuerySet[Row]], field: str = "id") -> None:
        self._build, self._field = build, field
        self._compiled = threading.local()

    def rows(self, value: Any) -> list[Row]:
        """The rows for this value."""
        wrapper = connections[DEFAULT_DB_ALIAS]
        if getattr(self._compiled, "wrapper", None) is not wrapper:
            self._compiled.wrapper, self._compiled.kept = wrapper, self._compile(value)
        queryset, say = self._compiled.kept
        say(queryset.model._meta.get_field(self._field).get_db_prep_value(value, connection))
        found: list[Row] = list(queryset._iterable_class(queryset))
        return found

    def _compile(self, value: Any) -> tuple[Any, Callable[[Any], None]]:
        queryset: Any = self._build(value)
        compiler: Any = queryset.query.get_compiler(using=queryset.db)
        text, parameters = compiler.as_sql()
        assert len(parameters) == 1, text
        converters = compiler.get_converters([each[0] for each in compiler.select])

        def say(prepared: Any) -> None:
            compiler.as_sql = lambda *_, **__: (text, (prepared,))

        # Iterating asks the query for a compiler, and the compiler for its statement and how to read it: all are kept.
        compiler.get_converters = lambda *_: converters
        queryset.query.get_compiler = lambda *_, **__: compiler
        return queryset, say


def update(
    model: type[Model],
    values: Mapping[str, Any],
    where: str,
    keys: Sequence[Any],
    *,
    computed: Sequence[tuple[str, Sequence[Any]]] = (),
) -> int:
    """`UPDATE ... SET values, computed WHERE where` on one table; returns how many rows it hit.

    `computed` are assignments as text with their parameters; `keys` the parameters of `where`, as the database has them
    (see `key`).
    """
    meta: Any = model._meta
    fields = [(meta.get_field(name), value) for name, value in values.items()]
    assignments = [f'"{field.column}" = %s' for field, _ in fields] + [text for text, _ in computed]
    parameters = [field.get_db_prep_save(value, connection) for field, value in fields]
    parameters += [one for _, given in computed for one in given]
    with connection.cursor() as cursor:
        cursor.execute(
            # Names of columns and the text of `where` are written in our own code; values are parameters.
            f'UPDATE "{meta.db_table}" SET {", ".join(assignments)} WHERE {where}',  # noqa: S608
            [*parameters, *keys],
        )
        return int(cursor.rowcount)


def insert(rows: Sequence[Model], *, unique: Sequence[str] = (), update: Sequence[str] = ()) -> None:
    """`INSERT` of rows of one model; of a row that `unique` finds only the fields `update` are written, none: nothing.

    A key that the database makes is not read back. Raises IntegrityError as `save` does.
    """
    meta: Any = rows[0]._meta
    fields = [field for field in meta.concrete_fields if not (field.primary_key and rows[0].pk is None)]
    conflict = ""
    if unique:
        kept, written = ([meta.get_field(name).column for name in names] for names in (unique, update))
        values = ", ".join(f'"{column}" = EXCLUDED."{column}"' for column in written)
        instead = f"UPDATE SET {values}" if values else "NOTHING"
        conflict = " ON CONFLICT ({}) DO {}".format(", ".join(f'"{column}"' for column in kept), instead)
    columns = ", ".join(f'"{field.column}"' for field in fields)
    one = f"({', '.join(['%s'] * len(fields))})"
    most = max(1, _MOST_PARAMETERS // len(fields))
    with connection.cursor() as cursor:
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            cursor.execute(
                # As above: names are our own, values are parameters.
                f'INSERT INTO "{meta.db_table}" ({columns}) VALUES {", ".join([one] * len(some))}{conflict}',  # noqa: S608
                [
                    field.get_db_prep_save(field.pre_save(row, True), connection)
                    for row in some
                    for field in fields
                ],
            )
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def exists(text: str, parameters: Sequence[Any] = ()) -> bool:
    """Whether this SELECT finds a row."""
    with connection.cursor() as cursor:
        cursor.execute(f"{text} LIMIT 1", parameters)
        return cursor.fetchone() is not None


def key(value: Any) -> Any:
    """A UUID as the database holds it."""
    return value.hex if connection.vendor == "sqlite" else value


def moment(value: Any) -> Any:
    """A point in time as the database holds it."""
    return connection.ops.adapt_datetimefield_value(value)
