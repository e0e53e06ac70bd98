"""`manage.py repo VERB`: repositories from the command line of the hub."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from hub.core.sources import normalise_url, shown
from hub.errors import HubError
from hub.management.commands.cluster import text_of
from hub.management.doors import VerbCommand, actor
from hub.models import Repository
from hub.services import repositories
from hub.tasks import nudges

COLUMNS = ("url", "project", "credential_kind", "state", "error_code", "checked_at")


def line(repository: Repository) -> dict[str, Any]:
    return {
        "url": shown(repository.url),
        "project": repository.project.name if repository.project else "",
        "credential_kind": repository.credential_kind,
        "state": repository.state,
        "error_code": repository.error_code,
        "checked_at": repository.checked_at,
    }


class Command(VerbCommand):
    help = "Repositories: add, list, probe"

    def arguments(self, verb: str, parser: CommandParser) -> None:
        if verb == "list":
            return
        parser.add_argument("url")
        parser.add_argument("--project", default="", help="for this project alone")
        if verb == "add":
            parser.add_argument("--username", default="")
            parser.add_argument("--password-file", default="", help="a file, - for the standard input")
            parser.add_argument("--token-file", default="", help="a file, - for the standard input")
            parser.add_argument("--ssh-key-file", default="")
            parser.add_argument("--known-hosts-file", default="")

    def do_list(self, options: dict[str, Any]) -> None:
        """All repositories"""
        rows = Repository.objects.select_related("project").defer("refs").order_by("url")
        self.show(options, [line(repository) for repository in rows], COLUMNS)

    def do_add(self, options: dict[str, Any]) -> None:
        """Register a repository"""
        document = {"url": options["url"], "project": options["project"], "username": options["username"]}
        files = {
            "password": "password_file",
            "bearer_token": "token_file",
            "ssh_private_key": "ssh_key_file",
            "known_hosts": "known_hosts_file",
        }
        for field, option in files.items():
            if options[option]:
                text = text_of(options[option])
                document[field] = text.strip() if field in {"password", "bearer_token"} else text
        repository = repositories.create(actor(), {name: value for name, value in document.items() if value})
        nudges.send("hub.poll", [str(repository.id)])
        self.show(options, [line(repository)], COLUMNS)

    def do_probe(self, options: dict[str, Any]) -> None:
        """Poll it now; code 1 unless it answers"""
        from hub.services import polling

        rows = Repository.objects.filter(normal_url=normalise_url(options["url"]))
        rows = rows.filter(project__name=options["project"]) if options["project"] else rows
        repository = rows.select_related("project").first()
        if repository is None:
            raise HubError(
                "not_found", f"there is no repository {shown(options['url'])}", "manage.py repo list"
            )
        repositories.poll_now(actor(), repository)
        nudges.look(polling.poll(repository.id))
        repository.refresh_from_db()
        self.show(options, [line(repository)], COLUMNS)
        if repository.state != "Connected":
            self.stderr.write(repository.error_message)
            sys.exit(1)
