"""P12: applications with a PreSync Job that runs 10 s each; nobody may be held while the Jobs run.

    python -m benchmarks.p12_hooks [--applications 200] [--seconds 10] [--cluster real|sandbox] [--database sqlite|postgres]

First as many applications with the same ConfigMap and a Job that ends at once: the apply time, hook included. Then
those whose Job takes its time. A hub that holds a worker (or a thread) per running hook needs applications / threads
times 10 s; the target is 10 s + the apply time.
"""

from __future__ import annotations

import time

from benchmarks import raw_replay
from benchmarks.stage import Hub, options, stage, until, working

THREADS = 8
APPLICATION = """apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: PreSync}}}}
spec:
  template:
    metadata: {{annotations: {{sim/ends-after: "{ends}"}}}}
    spec: {{restartPolicy: Never, containers: [{{name: c, image: x}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}}}
data: {{mode: production}}
"""


def main() -> None:
    arguments = options(__doc__, applications=200, seconds=10)
    with stage(arguments.cluster, arguments.database) as hub, working(THREADS):
        target = raw_replay.target_of(hub.kubeconfig)
        applied, _ = _run(hub, raw_replay.create_namespace(target), "quick", arguments.applications, "10ms")
        ends = f"{arguments.seconds}s"
        took, most = _run(hub, raw_replay.create_namespace(target), "slow", arguments.applications, ends)
    limit = arguments.seconds + applied
    held = arguments.applications / THREADS * arguments.seconds
    print(
        f"{arguments.applications} PreSync Jobs of {arguments.seconds} s: {took:.1f} s; apply time {applied:.1f} s; "
        f"{took / limit:.2f} of {limit:.1f} s (target <= 1); {most} hooks ran at once over {THREADS} threads, "
        f"which would take {held:.0f} s if each were held"
    )


def _run(hub: Hub, namespace: str, prefix: str, count: int, ends: str) -> tuple[float, int]:
    """(seconds until all have succeeded, most operations that waited for a hook at once)."""
    from hub.models import Application, SyncOperation
    from hub.tasks import nudges

    names = [f"{prefix}{n:04}" for n in range(count)]
    hub.commit({f"{prefix}/{name}/all.yaml": APPLICATION.format(name=name, ends=ends) for name in names})
    hub.poll()
    apps = [hub.register(name, f"{prefix}/{name}", namespace).id for name in names]
    began, most = time.perf_counter(), 0
    nudges.look(apps)

    def over() -> bool:
        nonlocal most
        rows = SyncOperation.objects.filter(application__in=apps)
        most = max(most, rows.filter(phase="Running", wait__code="hook").count())
        return Application.objects.filter(id__in=apps, operation_phase="Succeeded").count() == count

    until(over, 600, f"{count} applications to have run their hooks", every=0.1)
    return time.perf_counter() - began, most


if __name__ == "__main__":
    main()
