#!/usr/bin/env python3
"""The command line of the hub: `python manage.py help` (everyday verbs: `python manage.py app list`)."""

import os
import sys

# A real cluster gets a folder of its own: what is known of the simulated one is not true of it.
FOLDER = "var/demo-real" if os.environ.get("KUBECONFIG") else "var/demo"
DEMO = {"HUB_DEMO": "true", "HUB_DATA_DIR": FOLDER, "HUB_POLL_SECONDS": "3"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    if sys.argv[1:2] == ["demo"]:
        for name, value in DEMO.items():
            os.environ.setdefault(name, value)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
