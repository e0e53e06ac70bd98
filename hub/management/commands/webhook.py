"""`manage.py webhook VERB`: secrets of webhooks from the command line of the hub."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.management.base import CommandParser

from hub.core.webhooks.providers import BY_NAME
from hub.errors import HubError
from hub.management.commands.cluster import text_of
from hub.management.doors import VerbCommand, actor
from hub.models import WebhookSecret
from hub.services import webhook_secrets

COLUMNS = ("id", "provider", "repository", "address", "created_at")


class Command(VerbCommand):
    help = "Secrets of webhooks: add, list, remove"

    def arguments(self, verb: str, parser: CommandParser) -> None:
        if verb == "add":
            parser.add_argument("provider", choices=sorted(BY_NAME))
            parser.add_argument("--repository", default="", help="for this repository alone: its address")
            parser.add_argument("--secret-file", default="", help="a file, - for the standard input")
        if verb == "remove":
            parser.add_argument("id")

    def do_list(self, options: dict[str, Any]) -> None:
        """All secrets, without their values"""
        rows = WebhookSecret.objects.select_related("repository")
        self.show(options, [webhook_secrets.shown_secret(row) for row in rows], COLUMNS)

    def do_add(self, options: dict[str, Any]) -> None:
        """A new secret, random unless a file holds it; shown once"""
        document = {"provider": options["provider"], "repository": options["repository"]}
        if options["secret_file"]:
            document["secret"] = text_of(options["secret_file"]).strip()
        row, secret = webhook_secrets.create(actor(), document)
        self.show_one(options, webhook_secrets.shown_secret(row) | {"secret": secret})

    def do_remove(self, options: dict[str, Any]) -> None:
        """Nothing is proven by it any more"""
        try:
            row = WebhookSecret.objects.filter(id=uuid.UUID(options["id"])).first()
        except ValueError:
            row = None
        if row is None:
            raise HubError("not_found", "there is no such secret", "manage.py webhook list")
        webhook_secrets.delete(actor(), row)
        self.stdout.write("removed")
