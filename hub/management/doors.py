"""What the commands share: who asks, tables, JSON, and refusals as one sentence."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from clusters.errors import ClusterError
from hub.errors import HubError
from hub.services.actors import Actor


def actor() -> Actor:
    """Who has a shell on the hub is its administrator; the audit keeps the name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "operator"
    return Actor(kind="user", name=name, via="cli", is_admin=True)


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Aligned columns with a line of titles; long texts stay whole, so that they can be copied."""
    lines = [[column.upper().replace("_", " ") for column in columns]]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value in (None, "", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d %H:%M:%S"))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


class VerbCommand(BaseCommand):
    """`manage.py NOUN VERB ...`: a method `do_<verb>` for each; refusals of services are one sentence and code 1."""

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name in sorted(method[3:] for method in dir(self) if method.startswith("do_")):
            method = getattr(self, f"do_{name}")
            verb = verbs.add_parser(name, help=(method.__doc__ or "").splitlines()[0])
            verb.add_argument("-o", "--output", choices=["table", "json"], default="table")
            self.arguments(name, verb)

    def arguments(self, verb: str, parser: CommandParser) -> None:
        """The arguments of one verb."""

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            getattr(self, f"do_{options['verb']}")(options)
        except (HubError, ClusterError) as error:
            fields = getattr(error, "fields", {})
            lines = [f"{path}: {text}" for path, texts in fields.items() for text in texts]
            message = "\n".join(lines) or str(getattr(error, "message", error))
            hint = getattr(error, "hint", "")
            raise CommandError(f"{message}\n{hint}" if hint and not lines else message) from None

    def show(self, options: dict[str, Any], rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
        if options["output"] == "json":
            self.stdout.write(json.dumps(list(rows), indent=2, cls=DjangoJSONEncoder))
        elif rows:
            self.stdout.write(table(rows, columns))
        else:
            self.stdout.write("none")

    def show_one(self, options: dict[str, Any], row: dict[str, Any]) -> None:
        if options["output"] == "json":
            self.stdout.write(json.dumps(row, indent=2, cls=DjangoJSONEncoder))
            return
        width = max(map(len, row))
        for name, value in row.items():
            text = (
                json.dumps(value, cls=DjangoJSONEncoder)
                if isinstance(value, (dict, list)) and value
                else _cell(value)
            )
            self.stdout.write(f"{name.replace('_', ' ').ljust(width)}  {text}")
