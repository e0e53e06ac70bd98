"""P10: no-change looks per second and core (target >= 2,000), without any call to the cluster.

python -m benchmarks.p10_quiet_looks [--applications 500] [--looks 10000] [--cluster sandbox|real] [--database ...]
"""

from __future__ import annotations

import time

from benchmarks import raw_replay
from benchmarks.stage import options, quiet, stage, working


def main() -> None:
    arguments = options(__doc__, cluster="sandbox", applications=500, looks=10_000)
    with stage(arguments.cluster, arguments.database) as hub:
        namespace = raw_replay.create_namespace(raw_replay.target_of(hub.kubeconfig))
        with working() as process:
            from clusters.services import request_counts
            from hub.models import Application
            from hub.services import looks

            hub.deploy(arguments.applications, namespace)
            quiet(process)
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
