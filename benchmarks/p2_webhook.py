"""P2: from the webhook of a commit that changes one application to the object changed in the cluster.

    python -m benchmarks.p2_webhook [--applications 500] [--pushes 40] [--cluster real|sandbox] [--database ...]

Each push changes one application's ConfigMap; the webhook is posted, signed, to the hub's own web server; time from
that request to the arrival of the changed object at a watch of somebody else. Target: p50 <= 0.20 s, p95 <= 0.40 s.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import statistics
import threading
import time
import urllib.request

from benchmarks import raw_replay
from benchmarks.client import Client
from benchmarks.stage import Hub, options, quiet, stage, until, working

SECRET = "benchmark-secret-of-the-webhook"


def main() -> None:
    arguments = options(__doc__, applications=500, pushes=40)
    with stage(arguments.cluster, arguments.database) as hub:
        target = raw_replay.target_of(hub.kubeconfig)
        namespace = raw_replay.create_namespace(target)
        with working() as process:
            from hub.models import WebhookSecret

            WebhookSecret.objects.create(provider="github", secret=SECRET)
            hub.deploy(arguments.applications, namespace)
            quiet(process)
            port = _serve()
            watch = Client(target).watch(f"api/v1/namespaces/{namespace}/configmaps")
            took = sorted(_push(hub, watch, port, n, namespace) for n in range(arguments.pushes))
    quantiles = statistics.quantiles(took, n=20, method="inclusive")
    print(
        f"webhook to changed object: p50 {statistics.median(took):.3f} s, p95 {quantiles[18]:.3f} s, "
        f"max {took[-1]:.3f} s, {arguments.applications} applications (target p50 <= 0.20, p95 <= 0.40)"
    )


def _serve() -> int:
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config("hub.asgi:application", port=0, log_level="warning", lifespan="off")
    )
    threading.Thread(target=server.run, daemon=True).start()
    until(lambda: server.started, 20, "the web server")
    return int(server.servers[0].sockets[0].getsockname()[1])


def _push(hub: Hub, watch, port: int, n: int, namespace: str) -> float:  # type: ignore[no-untyped-def]
    import yaml

    name = f"app{n:04}"
    objects = raw_replay.application_objects(name, namespace)
    objects[0]["data"]["mode"] = f"pushed-{n}"
    hub.commit({f"apps/{name}/all.yaml": yaml.safe_dump_all(objects, sort_keys=False)})
    body = json.dumps({"ref": "refs/heads/main", "repository": {"clone_url": hub.repository.url}}).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/webhook",
        body,
        {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": f"{n}",
            "X-Hub-Signature-256": f"sha256={signature}",
        },
    )
    threading.Event().wait(1.05)  # at most one listing a second: what a person pushes is never denser
    began = time.perf_counter()
    urllib.request.urlopen(request, timeout=10).read()

    def arrived() -> bool:
        return any(o["data"].get("mode") == f"pushed-{n}" for _, o in watch.events[-40:])

    until(arrived, 30, f"{name} to be changed", every=0.001)
    return next(at for at, o in reversed(watch.events) if o["data"].get("mode") == f"pushed-{n}") - began


if __name__ == "__main__":
    main()
