"""How long the pure part of the drift check takes for 10,000 objects (target P11: below one second).

Run: python -m benchmarks.core_diff [objects]
Half the objects are Deployments, the rest ConfigMaps, Services and Secrets. Shown: projection and comparison of every
object against its stored Baseline (a watch event after which nothing of ours changed), the same with one edit in every
hundredth object, an apply's answer turned into a Baseline, and target against live without a Baseline.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.machine import as_text, facts
from clusters.core.diff import baseline_of, compare, drift

KEY = b"benchmark"


def deployment(number: int) -> dict[str, Any]:
    """A Deployment as people write them."""
    labels = {"app": f"web-{number}", "team": "shop"}
    container = {
        "name": "web",
        "image": "registry.example.com/web:1.25",
        "args": ["--port", "8080"],
        "env": [{"name": f"VAR_{n}", "value": str(n)} for n in range(8)],
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "resources": {
            "limits": {"cpu": "1", "memory": "1Gi"},
            "requests": {"cpu": "100m", "memory": "256Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "serviceAccountName": "web"},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(number, labels),
        "spec": spec,
    }


def small(number: int) -> dict[str, Any]:
    """A ConfigMap, Service or Secret."""
    metadata = _metadata(number, {"app": "web"})
    if number % 3 == 0:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {f"k{n}": "v" for n in range(5)},
        }
    if number % 3 == 1:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": "c2VjcmV0"}}
    ports = [{"port": 80, "protocol": "TCP", "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": ports, "selector": {"app": "web"}},
    }


def _metadata(number: int, labels: dict[str, str]) -> dict[str, Any]:
    return {"name": f"object-{number}", "namespace": "shop", "labels": labels}


def answer(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest as a server returns it; without managed fields, so the leaf set comes from the manifest."""
    live = copy.deepcopy(manifest)
    live["metadata"].update(
        uid="u", resourceVersion="1", generation=1, creationTimestamp="2024-01-01T00:00:00Z"
    )
    live["status"] = {"conditions": [{"type": "Ready", "status": "True"}] * 3}
    return live


def timed(name: str, work: Callable[[], Any], count: int) -> float:
    """Run once, print and return seconds."""
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"{name:<52} {seconds:6.3f} s  {seconds / count * 1e6:7.1f} us each")
    return seconds


def main(count: int) -> None:
    """Print the figures as text, then one line of JSON with the machine's facts."""
    manifests = [deployment(n) if n % 2 else small(n) for n in range(count)]
    answers = [answer(manifest) for manifest in manifests]
    baselines: list[Any] = []

    def apply_all() -> None:
        baselines.extend(
            baseline_of(a, m, "hash", key=KEY, from_manifest=True)
            for a, m in zip(answers, manifests, strict=True)
        )

    made = timed("Baseline of an answer", apply_all, count)
    events = []
    for number, item in enumerate(answers):
        event = copy.deepcopy(item)
        event["metadata"]["resourceVersion"] = "2"
        if number % 100 == 0:
            event["metadata"]["labels"]["app"] = "edited"
        events.append(event)
    same = [{**a, "metadata": {**a["metadata"], "resourceVersion": "2"}} for a in answers]
    pairs = list(zip(baselines, same, strict=True))
    quiet = timed(
        "projection and comparison, nothing changed", lambda: [drift(b, o, key=KEY) for b, o in pairs], count
    )
    edits = list(zip(baselines, events, strict=True))
    noisy = timed(
        "the same, every hundredth object edited", lambda: [drift(b, o, key=KEY) for b, o in edits], count
    )
    direct = timed(
        "target against live, no Baseline",
        lambda: [compare(m, a) for m, a in zip(manifests, answers, strict=True)],
        count,
    )
    size = sum(len(b.to_bytes()) for b in baselines) / count
    print(as_text(facts()))
    figures = {"baseline": made, "quiet": quiet, "edited": noisy, "direct": direct}
    print(
        json.dumps(
            {
                "benchmark": "core_diff",
                "objects": count,
                "baseline_bytes": round(size),
                **{k: round(v, 3) for k, v in figures.items()},
                "target_s": 1.0,
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
