"""P7: one application with ten waves of one ConfigMap each, from the request to Succeeded (target <= 0.5 s).

python -m benchmarks.p7_waves [--runs 10] [--cluster real|sandbox] [--database sqlite|postgres]
"""

from __future__ import annotations

import statistics
import time

from benchmarks import raw_replay
from benchmarks.stage import options, stage, until, working

WAVE = """apiVersion: v1
kind: ConfigMap
metadata: {{name: wave-{n}, annotations: {{argocd.argoproj.io/sync-wave: "{n}"}}}}
data: {{run: "{run}"}}
"""


def main() -> None:
    arguments = options(__doc__, runs=10)
    with stage(arguments.cluster, arguments.database) as hub:
        namespace = raw_replay.create_namespace(raw_replay.target_of(hub.kubeconfig))
        from hub.models import Application
        from hub.services import operations
        from hub.tasks import nudges

        took = []
        with working() as process:
            for run in range(arguments.runs):
                hub.commit({f"waves/{n}.yaml": WAVE.format(n=n, run=run) for n in range(10)})
                app = Application.objects.filter(name="waves").first()
                app = app or hub.register("waves", "waves", namespace, sync_policy={})
                hub.poll()
                nudges.look([app.id])
                until(_sees, 60, "the commit to be seen", every=0.01)
                until(process.runtime.idle, 10, "the hub to be quiet")
                began = time.perf_counter()
                operations.request(hub.actor, app, {})
                nudges.look([app.id])
                until(_succeeded, 60, "the sync", 0.002)
                took.append(time.perf_counter() - began)
    print(
        f"ten waves: median {statistics.median(took):.3f} s, max {max(took):.3f} s over {len(took)} runs (target <= 0.5)"
    )


def _sees() -> bool:
    from hub.models import Application

    app = Application.objects.get(name="waves")
    return app.sync_status == "OutOfSync" and app.manifest_digest != app.synced_digest


def _succeeded() -> bool:
    from hub.models import SyncOperation

    return SyncOperation.objects.order_by("-number")[0].phase == "Succeeded"


if __name__ == "__main__":
    main()
