"""P1: N applications of 4 objects from one repository, from registration to all Synced, against the raw limit.

    python -m benchmarks.p1_registration [--applications 500] [--cluster real|sandbox] [--database sqlite|postgres]

Prints objects per second of the hub, of the bare client in the same run, and their ratio (target >= 0.8). The bare
client runs before and after the hub, and both count: a server gets slower the more objects it holds, and a shared
machine faster and slower by the minute.
"""

from __future__ import annotations

import resource
import time

from benchmarks import raw_replay
from benchmarks.stage import Hub, options, stage, unsynced, until, working


def main() -> None:
    arguments = options(__doc__, applications=500, threads=0)
    with stage(arguments.cluster, arguments.database) as hub:
        before = _raw(hub, arguments.applications)
        print(f"raw limit before: {before}")
        rate, cpu = _hub(hub, arguments.applications, arguments.threads)
        print(f"hub: {rate:.0f} objects/s, {cpu:.1f} ms CPU of the hub per application")
        after = _raw(hub, arguments.applications)
        print(f"raw limit after: {after}")
        limit = (before.objects + after.objects) / (before.seconds + after.seconds)
        print(f"ratio hub / raw limit of {limit:.0f} objects/s: {rate / limit:.2f} (target 0.80)")


def _raw(hub: Hub, count: int) -> raw_replay.Replay:
    target = raw_replay.target_of(hub.kubeconfig)
    namespace = raw_replay.create_namespace(target)
    objects = [each for n in range(count) for each in raw_replay.application_objects(f"app{n:04}", namespace)]
    return raw_replay.replay(target, objects, 16)


def _hub(hub: Hub, count: int, threads: int) -> tuple[float, float]:
    target = raw_replay.target_of(hub.kubeconfig)
    namespace = raw_replay.create_namespace(target)
    hub.commit_applications(count, raw_replay.application_objects, namespace)
    with working(threads):
        hub.poll()
        began, cpu = time.perf_counter(), _cpu()
        from hub.tasks import nudges

        for n in range(count):
            app = hub.register(f"app{n:04}", f"apps/app{n:04}", namespace)
            nudges.look([app.id])
        print(f"registered after {time.perf_counter() - began:.1f} s")
        until(lambda: unsynced() == 0, 600, "all applications to be Synced", every=0.1)
        seconds = time.perf_counter() - began
        return count * 4 / seconds, (_cpu() - cpu) / count * 1000


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
