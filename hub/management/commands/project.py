"""`manage.py project VERB`: projects from the command line of the hub."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count

from hub.errors import HubError
from hub.management.commands.cluster import text_of
from hub.management.doors import VerbCommand, actor
from hub.models import Project
from hub.services import projects

COLUMNS = ("name", "description", "applications", "archived")


class Command(VerbCommand):
    help = "Projects: list, create"

    def arguments(self, verb: str, parser: CommandParser) -> None:
        if verb == "create":
            parser.add_argument("name")
            parser.add_argument("--description", default="")
            parser.add_argument("--rules-file", default="", help="JSON; without it everything is denied")
            parser.add_argument("--owner", action="append", default=[], help="a user; may be repeated")

    def do_list(self, options: dict[str, Any]) -> None:
        """All projects"""
        rows = Project.objects.annotate(count=Count("applications")).order_by("name")
        found = [
            {
                "name": row.name,
                "description": row.description,
                "applications": row.count,
                "archived": row.archived,
            }
            for row in rows
        ]
        self.show(options, found, COLUMNS)

    def do_create(self, options: dict[str, Any]) -> None:
        """A new project"""
        rules: Any = {}
        if options["rules_file"]:
            try:
                rules = json.loads(text_of(options["rules_file"]))
            except ValueError as error:
                raise HubError("invalid", f"{options['rules_file']} is not JSON: {error}") from None
        members = [{"user": name, "role": "owner"} for name in options["owner"]]
        document = {
            "name": options["name"],
            "description": options["description"],
            "rules": rules,
            "members": members,
        }
        project = projects.create(actor(), document)
        self.show_one(options, projects.document(project))
