#!/usr/bin/env python3
"""The command line of the hub: `python manage.py help` (everyday verbs: `python manage.py app list`)."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
