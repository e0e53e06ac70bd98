"""P10: no-change looks per second and core (target >= 2,000), without any call to the cluster.

python -m benchmarks.p10_quiet_looks [--applications 500] [--looks 10000] [--cluster sandbox|real] [--database ...]
"""

from __future__ import annotations

import argparse
import time

from benchmarks import raw_replay
from benchmarks.stage import stage, unsynced, until, working


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--applications", type=int, default=500)
    parser.add_argument("--looks", type=int, default=10_000)
    parser.add_argument("--cluster", choices=("real", "sandbox"), default="sandbox")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    arguments = parser.parse_args()
    with stage(arguments.cluster, arguments.database) as hub:
        namespace = raw_replay.create_namespace(raw_replay.target_of(hub.kubeconfig))
        hub.commit_applications(arguments.applications, raw_replay.application_objects, namespace)
        with working() as process:
            hub.poll()
            from clusters.services import request_counts
            from hub.models import Application
            from hub.services import looks
            from hub.tasks import nudges

            count = arguments.applications
            nudges.look([hub.register(f"app{n:04}", f"apps/app{n:04}", namespace).id for n in range(count)])
            until(lambda: unsynced() == 0, 900, "all applications to be Synced", every=0.2)
            until(process.watching.settled, 60, "all watches to be healthy", every=0.1)
            until(process.runtime.idle, 60, "the hub to be quiet", every=0.1)
            ids = list(Application.objects.values_list("id", flat=True))
            before = request_counts()
            began, cpu, done, busy = time.perf_counter(), time.process_time(), 0, 0
            while done < arguments.looks:
                busy += len(looks.settle_quiet(ids))
                done += len(ids)
            seconds, used = time.perf_counter() - began, time.process_time() - cpu
            asked = sum(request_counts().values()) - sum(before.values())
    print(
        f"{done} looks in {seconds:.2f} s, {used:.2f} s CPU: {done / used:.0f} per second and core (target >= 2000); "
        f"{busy} wanted a pass, {asked} requests to the cluster"
    )


if __name__ == "__main__":
    main()
