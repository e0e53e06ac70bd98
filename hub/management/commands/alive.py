"""`manage.py alive PART`: is this part of the hub alive? The exit code is for health checks (OB3)."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError

from hub.services import heartbeats
from hub.services.leases import host_name

LOCAL = "http://127.0.0.1:8000"
# The tick comes every 5 s: two missed ones are an alarm (security-and-reliability.md H12).
MOST_S = {"worker": 60.0, "tick": 10.0}


class Command(BaseCommand):
    help = (
        "Exit code 0 when the web process answers /readyz, or the newest beat of workers or the tick is young"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", choices=["web", "worker", "tick"])
        parser.add_argument(
            "--url", default=os.environ.get("HUB_ALIVE_URL", LOCAL), help=f"of the web process ({LOCAL})"
        )
        parser.add_argument("--here", action="store_true", help="count only the beats of this host")
        parser.add_argument("--max-age", type=float, default=0, help="seconds since the last beat")

    def handle(self, *_: Any, **options: Any) -> None:
        part = options["part"]
        well, message = (
            web(options["url"])
            if part == "web"
            else beat(part, options["max_age"] or MOST_S[part], host_name() if options["here"] else "")
        )
        self.stdout.write(f"{part} {message}")
        if not well:
            sys.exit(1)


def web(url: str) -> tuple[bool, str]:
    """Ask the process beside this one, by the name that the hub is known by: no proxy, no redirect to follow."""
    public = urlsplit(settings.HUB_URL)
    headers = {"Host": public.netloc, "X-Forwarded-Proto": public.scheme}
    request = urllib.request.Request(f"{url.rstrip('/')}/readyz", headers=headers)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as response:
            return True, f"answers {response.status}"
    except urllib.error.HTTPError as error:
        with error:
            return False, f"answers {error.code}"
    except (OSError, ValueError) as error:
        return False, f"does not answer: {getattr(error, 'reason', error)}"


def beat(part: str, most: float, host: str = "") -> tuple[bool, str]:
    """A part is alive because it consumed something lately, not because it answers a ping."""
    try:
        age = heartbeats.ages(host).get(part)
    except DatabaseError:
        return False, "is unknown: the database does not answer"
    if age is None:
        return False, "never beat"
    return age <= most, f"last beat {age:.0f} s ago"
