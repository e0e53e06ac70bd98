"""Statements of the hot path: what runs for every pass is not put together anew for every pass.

For one row by its key the ORM takes five to ten times longer to make the text of a statement than the database to run
it, and a pass is mostly statements (performance.md 4). Values still go through the fields of the model.

May live here: how a statement is said in few words. May not: which rows are read or written, and when.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import orjson
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import (
    BigIntegerField,
    BooleanField,
    CharField,
    Field,
    IntegerField,
    JSONField,
    Model,
    PositiveBigIntegerField,
    PositiveIntegerField,
    PositiveSmallIntegerField,
    QuerySet,
    TextField,
)
from psycopg.types.json import Jsonb

_MOST_PARAMETERS = 30_000  # SQLite takes 32,766 in one statement
Row = TypeVar("Row", bound=Model)


class Prepared(Generic[Row]):
    """A QuerySet of one value or some, compiled once for each connection (and so for each thread).

    `build(*values)` must use these values and no other, and compare each as the field of the model does that has its
    name in `fields`.
    """

    def __init__(self, build: Callable[..., QuerySet[Row]], *fields: str) -> None:
        self._build, self._fields = build, fields or ("id",)
        self._compiled = threading.local()

    def rows(self, *values: Any) -> list[Row]:
        """The rows for these values."""
        wrapper = connections[DEFAULT_DB_ALIAS]
        if getattr(self._compiled, "wrapper", None) is not wrapper:
            if len(set(values)) < len(values):
                # Which is which could not be told from the statement.
                return list(self._build(*values))
            self._compiled.kept, self._compiled.wrapper = self._compile(values), wrapper
        queryset, say = self._compiled.kept
        say(self._prepare(queryset, values))
        found: list[Row] = list(queryset._iterable_class(queryset))
        return found

    def _prepare(self, queryset: Any, values: Sequence[Any]) -> list[Any]:
        fields = map(queryset.model._meta.get_field, self._fields)
        return [
            field.get_db_prep_value(value, connection) for field, value in zip(fields, values, strict=True)
        ]

    def _compile(self, values: Sequence[Any]) -> tuple[Any, Callable[[list[Any]], None]]:
        queryset: Any = self._build(*values)
        compiler: Any = queryset.query.get_compiler(using=queryset.db)
        text, parameters = compiler.as_sql()
        # At which place of the statement which value stands.
        places = [self._prepare(queryset, values).index(parameter) for parameter in parameters]
        converters = compiler.get_converters([each[0] for each in compiler.select])

        def say(prepared: list[Any]) -> None:
            compiler.as_sql = lambda *_, **__: (text, tuple([prepared[place] for place in places]))

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
    columns = _columns(model, tuple(values))
    assignments = [f'"{column.name}" = %s' for column in columns] + [text for text, _ in computed]
    parameters = [column.prepared(value) for column, value in zip(columns, values.values(), strict=True)]
    parameters += [one for _, given in computed for one in given]
    with connection.cursor() as cursor:
        cursor.execute(
            # Names of columns and the text of `where` are written in our own code; values are parameters.
            f'UPDATE "{model._meta.db_table}" SET {", ".join(assignments)} WHERE {where}',  # noqa: S608
            [*parameters, *keys],
        )
        return int(cursor.rowcount)


def insert(rows: Sequence[Model], *, unique: Sequence[str] = (), update: Sequence[str] = ()) -> int:
    """`INSERT` of rows of one model; of a row that `unique` finds only the fields `update` are written, none: nothing.

    A key that the database makes is not read back. Returns how many rows were written. Raises IntegrityError as `save`
    does.
    """
    meta: Any = rows[0]._meta
    made_there = meta.pk.attname if rows[0].pk is None else ""
    names = tuple(field.name for field in meta.concrete_fields if field.attname != made_there)
    fields, conflict, written_rows = _columns(type(rows[0]), names), "", 0
    if unique:
        kept, written = ([meta.get_field(name).column for name in given] for given in (unique, update))
        values = ", ".join(f'"{column}" = EXCLUDED."{column}"' for column in written)
        instead = f"UPDATE SET {values}" if values else "NOTHING"
        conflict = " ON CONFLICT ({}) DO {}".format(", ".join(f'"{column}"' for column in kept), instead)
    columns = ", ".join(f'"{field.name}"' for field in fields)
    one = f"({', '.join(['%s'] * len(fields))})"
    most = max(1, _MOST_PARAMETERS // len(fields))
    with connection.cursor() as cursor:
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            cursor.execute(
                # As above: names are our own, values are parameters.
                f'INSERT INTO "{meta.db_table}" ({columns}) VALUES {", ".join([one] * len(some))}{conflict}',  # noqa: S608
                [field.prepared(field.of(row)) for row in some for field in fields],
            )
            written_rows += int(cursor.rowcount)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    return written_rows


# Values of these types go into columns of these fields as they are.
_AS_IT_IS: dict[type[Field[Any, Any]], type] = {
    CharField: str,
    TextField: str,
    BooleanField: bool,
    IntegerField: int,
    PositiveIntegerField: int,
    PositiveBigIntegerField: int,
    BigIntegerField: int,
    PositiveSmallIntegerField: int,
}


class _Column:
    """How values of one field get into its column."""

    def __init__(self, field: Any) -> None:
        self.name: str = field.column
        self._field, self._plain = field, _AS_IT_IS.get(type(field))
        self._attname = field.attname if self._plain else ""
        self._is_json = type(field) is JSONField and field.encoder is None

    def of(self, row: Model) -> Any:
        """The value that a new row has."""
        return getattr(row, self._attname) if self._attname else self._field.pre_save(row, True)

    def prepared(self, value: Any) -> Any:
        """The parameter of a statement, for most values the value: asking the field costs ten times as much."""
        if type(value) is self._plain:
            return value
        text = _json(value) if self._is_json and value is not None else None
        if text is not None and connection.vendor == "postgresql":
            return Jsonb(text, dumps=bytes)
        # SQLite compares texts, and the ORM escapes all other characters.
        if text is not None and text.isascii():
            return text.decode()
        return self._field.get_db_prep_save(value, connection)


def _json(value: Any) -> bytes | None:
    """None for what only the library of the field can say: half of a surrogate pair, keys that are no texts."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


@functools.cache
def _columns(model: type[Model], names: tuple[str, ...]) -> list[_Column]:
    return [_Column(model._meta.get_field(name)) for name in names]


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
