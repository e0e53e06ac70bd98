"""`manage.py rotate_keys`: re-encrypt every stored secret with the first of HUB_ENCRYPTION_KEYS."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from hub.management.doors import actor
from hub.services import audit, keys


class Command(BaseCommand):
    help = "Re-encrypt stored secrets with the first key; then the other keys may go. Can be interrupted and repeated"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="only count: code 1 when something is left to do"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        found = keys.rotate(check=options["check"])
        todo = "need the first key" if options["check"] else "were re-encrypted"
        self.stdout.write(f"{found.values} values, {found.old} {todo}")
        for name in found.broken:
            self.stderr.write(f"cannot be read: {name}")
        if not options["check"]:
            outcome = "failed" if found.broken else "done"
            audit.record(actor(), "rotate keys", resource="settings", outcome=outcome, level=4)
        if found.broken or (options["check"] and found.old):
            sys.exit(1)
