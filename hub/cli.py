"""The program `hub`: the everyday verbs of the command line (`hub app list`, `hub cluster add dev ...`).

The same commands as `manage.py`, by a shorter name.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run one command; without any, say what there is."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    from django.core.management import execute_from_command_line

    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and not words[0].startswith("-"):
        # `hub slack-socket` is the module slack_socket.
        words[0] = words[0].replace("-", "_")
    execute_from_command_line(["hub", *words])


if __name__ == "__main__":
    main()
