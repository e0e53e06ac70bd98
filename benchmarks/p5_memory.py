"""P5, second half: resident memory of a worker that holds 100,000 live managed objects (target <= 400 MB).

    python -m benchmarks.p5_memory [--objects 100000] [--cluster real|sandbox] [--database ...]

One application is deployed; the four objects as the API server then answers them are put into the memory of live
states under so many names, by the same code as a watch does. (The first half is printed by `p4_idle`.)
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from benchmarks import raw_replay
from benchmarks.client import Client
from benchmarks.stage import options, stage, working
from clusters.core.connection import Connection
from clusters.kube.objects import read_object
from clusters.live.store import ClusterStore, Watched


def main() -> None:
    arguments = options(__doc__, objects=100_000)
    with stage(arguments.cluster, arguments.database) as hub:
        target = raw_replay.target_of(hub.kubeconfig)
        namespace = raw_replay.create_namespace(target)
        with working():
            hub.deploy(1, namespace)
            client = Client(target)
            paths = [path.format(namespace=namespace, name="app0000") for path in raw_replay.PATHS.values()]
            bodies = [msgspec.json.encode(client.request("GET", path)) for path in paths]
            before = memory()
            began = time.perf_counter()
            store = _filled(bodies, arguments.objects)
            seconds = time.perf_counter() - began
            after = memory()
    held = sum(len(watched.objects) for watched in store.kinds.values())
    print(
        f"{held} live objects: {after:.0f} MiB resident (target <= 400), {before:.0f} MiB before them, "
        f"{(after - before) * 1024 * 1024 / held:.0f} bytes each, read in {seconds:.1f} s"
    )


def _filled(bodies: list[bytes], count: int) -> ClusterStore:
    """The memory of one watched cluster with the objects of `count / 4` applications."""
    store = ClusterStore(Connection(server="https://127.0.0.1", identity="memory"), "bench")
    kinds = [("", "ConfigMap"), ("", "Secret"), ("", "Service"), ("apps", "Deployment")]
    for kind in kinds:
        store.kinds[kind] = Watched(*kind, api_version="/".join(filter(None, (kind[0], "v1"))))
    for number in range(count // len(kinds)):
        for (group, kind), body in zip(kinds, bodies, strict=True):
            watched = store.kinds[group, kind]
            raw = body.replace(b"app0000", f"app{number:05}".encode())
            store.put(
                watched, "ADDED", read_object(msgspec.Raw(raw), group, kind, watched.api_version), quiet=True
            )
    return store


def memory(name: str = "VmRSS") -> float:
    """Resident memory of this process in MiB; `RssAnon` without the files it maps (programs, SQLite's file)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
