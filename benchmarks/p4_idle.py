"""P4 and P5: 500 applications in sync and nothing to do: processor, requests to the cluster, memory.

    python -m benchmarks.p4_idle [--applications 500] [--minutes 10] [--cluster real|sandbox] [--database ...]

Prints the hub's share of one core (target <= 1.3 %), requests per second to the API server (target <= 0.2), listings of
the repository, and the resident memory of the process that holds everything (target <= 150 MB for a worker; here web,
worker and tick are one process, and with --cluster sandbox the simulated cluster as well).
"""

from __future__ import annotations

import os
import threading
import time

from benchmarks import raw_replay
from benchmarks.p5_memory import memory
from benchmarks.stage import options, quiet, stage, working


def main() -> None:
    arguments = options(__doc__, applications=500, minutes=10.0)
    os.environ["HUB_POLL_SECONDS"] = "60"
    with stage(arguments.cluster, arguments.database) as hub:
        namespace = raw_replay.create_namespace(raw_replay.target_of(hub.kubeconfig))
        with working() as process:
            from clusters.services import request_counts

            hub.deploy(arguments.applications, namespace)
            quiet(process)
            before = request_counts()
            began, cpu = time.perf_counter(), time.process_time()
            threading.Event().wait(arguments.minutes * 60)
            seconds, used = time.perf_counter() - began, time.process_time() - cpu
            asked = sum(request_counts().values()) - sum(before.values())
            resident, own = memory(), memory("RssAnon")
    print(
        f"idle for {seconds:.0f} s with {arguments.applications} applications: {used / seconds * 100:.2f} % of one core (target <= 1.3), "
        f"{asked / seconds:.3f} requests/s (target <= 0.2), {resident:.0f} MiB resident, {own:.0f} without mapped files "
        "(target <= 150 for a worker)"
    )


if __name__ == "__main__":
    main()
