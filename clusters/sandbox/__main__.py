"""`python -m clusters.sandbox`: run simulated clusters and print a kubeconfig for the first."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from clusters.sandbox.server import Sandbox


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m clusters.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--storage", help="SQLite file; without it everything is kept in memory")
    parser.add_argument("--ready-after", type=float, default=0.1, help="seconds until a pod is ready")
    parser.add_argument("--clusters", default="default", help="names, separated by commas")
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Sandbox(arguments.port, arguments.storage, arguments.ready_after) as sandbox:
        made = [sandbox.cluster(name) for name in arguments.clusters.split(",")]
        sys.stdout.write(made[0].kubeconfig())
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
