"""P11: how long a plan of 10,000 objects takes. `python -m benchmarks.core_plan [objects]` prints seconds and ratios."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from clusters.core.discovery import Discovery, KindInfo
from clusters.core.manifests import Manifest, ResourceKey, key_of, stamp
from clusters.core.plan import (
    Observed,
    PlanFacts,
    PlanRequest,
    Progress,
    SyncPlan,
    advance,
    build_plan,
    index_desired,
    plan_digest,
    wanted_keys,
)

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = (("", "ConfigMap"), ("", "Secret"), ("", "Service"), ("apps", "Deployment"))


def manifests(count: int) -> list[Manifest]:
    found = []
    for number in range(count):
        group, kind = KINDS[number % len(KINDS)]
        annotations = {"argocd.argoproj.io/sync-wave": str(number % 10)}
        metadata = {"name": f"o{number}", "namespace": f"n{number % 50}", "annotations": annotations}
        manifest = {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata}
        found.append(stamp(manifest, "shop", "h1", "shop"))
    return found


def timed(name: str, work: Callable[[], T], limit: float) -> T:
    begun = time.perf_counter()
    answer = work()
    seconds = time.perf_counter() - begun
    print(f"{name:32} {seconds:7.3f} s  {seconds / limit:6.1%} of the target of {limit:g} s")
    return answer


def main(count: int) -> None:
    print(f"{count} objects, Python {platform.python_version()}, {platform.machine()}")
    desired = manifests(count)
    live: dict[ResourceKey, Any] = {}
    for number, manifest in enumerate(desired):
        metadata = {**manifest["metadata"], "uid": str(number), "resourceVersion": "1"}
        live[key_of(manifest)] = {**manifest, "metadata": metadata}
    discovery = Discovery({pair: KindInfo(*pair[:1], "v1", pair[1], pair[1].lower(), True) for pair in KINDS})
    request = PlanRequest("41", "shop", "h1", "shop", START, prune=True)
    facts = PlanFacts(desired=desired, live=live, discovery=discovery)
    plan = timed("build_plan", lambda: build_plan(request, facts), 1.0)
    text = timed("plan to JSON", lambda: json.dumps(plan.to_json()), 1.0)
    plan = timed("plan from JSON", lambda: SyncPlan.from_json(json.loads(text)), 1.0)
    timed("plan_digest", lambda: plan_digest(plan), 1.0)
    progress = Progress.begin(START)
    wanted = timed("wanted_keys", lambda: wanted_keys(plan, progress), 1.0)
    observed = Observed(
        desired=index_desired(desired), live={key: live.get(key) for key in wanted}, discovery=discovery
    )
    timed("advance (first step)", lambda: advance(plan, progress, observed, START), 1.0)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
