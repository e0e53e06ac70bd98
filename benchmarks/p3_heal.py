"""P3: a managed object is edited by hand; how long until the edit is reverted.

    python -m benchmarks.p3_heal [--edits 50] [--cluster real|sandbox] [--database sqlite|postgres]

Each edit goes to another application, quiet for longer than 5 s, as the first heal of a quiet object has no delay.
Time from the answer of the edit to the arrival of the reverting write at a watch of somebody else. Target: p50 <=
100 ms, p95 <= 250 ms.
"""

from __future__ import annotations

import statistics
import time

from benchmarks import raw_replay
from benchmarks.client import Client
from benchmarks.stage import options, quiet, stage, until, working


def main() -> None:
    arguments = options(__doc__, edits=50)
    with stage(arguments.cluster, arguments.database) as hub:
        target = raw_replay.target_of(hub.kubeconfig)
        namespace = raw_replay.create_namespace(target)
        with working() as process:
            hub.deploy(arguments.edits, namespace)
            quiet(process)
            client = Client(target)
            watch = client.watch(f"api/v1/namespaces/{namespace}/configmaps")
            took = []
            for n in range(arguments.edits):
                path = f"api/v1/namespaces/{namespace}/configmaps/app{n:04}"
                edited = client.edit(path, {"data": {"mode": f"edited-{n}"}})
                began = time.perf_counter()
                took.append(_reverted(watch, f"app{n:04}", edited["metadata"]["resourceVersion"], began))
    took.sort()
    quantiles = statistics.quantiles(took, n=20, method="inclusive")
    print(
        f"edit to healed: p50 {statistics.median(took) * 1000:.0f} ms, p95 {quantiles[18] * 1000:.0f} ms, "
        f"max {took[-1] * 1000:.0f} ms over {len(took)} edits (target p50 <= 100, p95 <= 250)"
    )


def _reverted(watch, name: str, edited: str, began: float) -> float:  # type: ignore[no-untyped-def]
    def healed() -> bool:
        return any(
            o["metadata"]["name"] == name
            and o["data"].get("mode") == "production"
            and int(o["metadata"]["resourceVersion"]) > int(edited)
            for _, o in watch.events[-40:]
        )

    until(healed, 30, f"{name} to be healed", every=0.001)
    return (
        next(
            at
            for at, o in reversed(watch.events)
            if o["metadata"]["name"] == name and int(o["metadata"]["resourceVersion"]) > int(edited)
        )
        - began
    )


if __name__ == "__main__":
    main()
