"""`manage.py createadmin`: the first administrator, with a random password that is shown once (A1)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.errors import HubError
from hub.management.doors import actor
from hub.services import accounts


class Command(BaseCommand):
    help = "Create a platform administrator; the random password is shown once"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", default="admin")
        parser.add_argument("--email", default="")

    def handle(self, *_: Any, **options: Any) -> None:
        document = {
            "username": options["username"],
            "email": options["email"],
            "is_admin": True,
            "is_staff": True,
        }
        try:
            user, password = accounts.create(actor(), document)
        except HubError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"user      {user.username}\npassword  {password}\nIt is not shown again.")
