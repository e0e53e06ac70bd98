"""Lists: keyset pages with signed cursors, sort and filters from an allow-list, totals only when asked (AP4, AP5).

Nothing a caller sends ever becomes a field name: parameters are looked up in tables of functions (F7, F8).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request

from hub.api.access import person
from hub.api.door import flag
from hub.errors import HubError

PAGE, MOST, COUNTED = 50, 500, 10_000
ALWAYS = {"limit", "cursor", "sort", "count", "fields"}
Filter = Callable[[str], Q]


def bad(name: str, sentence: str, hint: str = "") -> HubError:
    return HubError("bad_parameter", f"{name} {sentence}", hint)


@dataclass(frozen=True)
class Listing:
    """How one noun is listed. `sorts` maps a name to columns whose last one is unique; each has an index.

    `show` turns a row into its summary; `fields` are the names that `?fields=` may choose from.
    """

    route: str
    sorts: Mapping[str, Sequence[str]]
    default: str
    show: Callable[[Any], dict[str, Any]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    others: frozenset[str] = frozenset()

    def answer(
        self, request: Request, rows: QuerySet[Any], *, show: Any = None, most: int = MOST
    ) -> dict[str, Any]:
        """One page of `rows` as {"items", "next", "total"?}. Raises HubError for a parameter nobody knows."""
        self._refuse_unknown(request)
        for name, condition in self.filters.items():
            if value := request.query_params.get(name, ""):
                rows = rows.filter(condition(value))
        sort = request.query_params.get("sort", "") or self.default
        descending = sort.startswith("-")
        columns = self.sorts.get(sort.lstrip("-"))
        if columns is None:
            raise bad(
                "sort", f"knows {', '.join(sorted(self.sorts))}, each also with - in front", "?sort=name"
            )
        answer: dict[str, Any] = {}
        if flag(request, "count"):
            answer["total"] = rows.order_by()[:COUNTED].count()
        page = rows
        if cursor := request.query_params.get("cursor", ""):
            page = page.filter(_after(columns, self._read(request, sort, cursor), descending))
        limit = self._limit(request, most)
        found = list(
            page.order_by(*(f"-{column}" if descending else column for column in columns))[: limit + 1]
        )
        shown = [(show or self.show)(row) for row in found[:limit]]
        answer["items"] = narrowed(request, shown)
        answer["next"] = self._write(request, sort, columns, found[limit - 1]) if len(found) > limit else None
        return answer

    def _refuse_unknown(self, request: Request) -> None:
        known = ALWAYS | set(self.filters) | self.others
        for name in request.query_params:
            if name not in known:
                raise bad(repr(name[:40]), "is not a parameter here", f"known are {', '.join(sorted(known))}")

    def _limit(self, request: Request, most: int) -> int:
        text = request.query_params.get("limit", str(min(PAGE, most)))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
            raise bad("limit", f"must be a number from 1 to {most}", "?limit=50")
        return int(text)

    def _salt(self, request: Request) -> str:
        return f"hub.cursor:{self.route}:{person(request).pk}"

    def _write(self, request: Request, sort: str, columns: Sequence[str], row: Model) -> str:
        values = [getattr(row, column) for column in columns]
        texts = [value.isoformat() if isinstance(value, datetime) else _plain(value) for value in values]
        return signing.dumps([sort, texts], salt=self._salt(request), compress=True)

    def _read(self, request: Request, sort: str, cursor: str) -> list[Any]:
        """Cursors are signed for one principal and one sort: altered or borrowed ones are refused (E12)."""
        try:
            signed_sort, values = signing.loads(cursor, salt=self._salt(request))
        except (signing.BadSignature, ValueError, TypeError):
            raise bad("cursor", "is not one of ours, or not for you", "start again without it") from None
        if signed_sort != sort:
            raise bad("cursor", "belongs to another sort", "keep ?sort= while you turn pages")
        return list(values)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


def _after(columns: Sequence[str], values: Sequence[Any], descending: bool) -> Q:
    """Rows behind the cursor. The bound on the first column alone lets the database start inside the index."""
    beyond = "lt" if descending else "gt"
    condition, equal = Q(), Q()
    for column, value in zip(columns, values, strict=True):
        condition |= equal & Q(**{f"{column}__{beyond}": value})
        equal &= Q(**{column: value})
    return Q(**{f"{columns[0]}__{beyond}e": values[0]}) & condition


def narrowed(request: Request, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only the fields that `?fields=a,b` names."""
    text = request.query_params.get("fields", "")
    if not text or not items:
        return items
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in items[0]]
    if unknown:
        raise bad("fields", f"does not know {unknown[0][:40]!r}", f"known are {', '.join(items[0])}")
    return [{name: item[name] for name in wanted} for item in items]


def equals(column: str) -> Filter:
    return lambda value: Q(**{column: value})


def prefix(column: str) -> Filter:
    """Rows whose text begins so, as a range that every index can serve on both databases."""
    return lambda value: Q(**{f"{column}__gte": value, f"{column}__lt": value + "\U0010fffd"})


def one_of(column: str, allowed: Sequence[str], name: str) -> Filter:
    """A value, or several with commas, of a closed set."""

    def condition(value: str) -> Q:
        wanted = value.split(",")
        for item in wanted:
            if item not in allowed:
                raise bad(name, f"must be one of {', '.join(allowed)}")
        return Q(**{f"{column}__in": wanted})

    return condition


def since(column: str, name: str, operator: str = "gte") -> Filter:
    def condition(value: str) -> Q:
        try:
            moment = parse_datetime(value.replace(" ", "+"))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise bad(name, "must be a time as in RFC 3339", f"?{name}=2026-01-31T12:00:00Z")
        return Q(**{f"{column}__{operator}": moment})

    return condition


def truth(name: str, condition: Q) -> Filter:
    def choose(value: str) -> Q:
        if value not in {"true", "false"}:
            raise bad(name, "must be true or false")
        return condition if value == "true" else ~condition

    return choose
