"""The raw limit of P1: how fast a bare client replays the server-side applies of N applications of 4 objects.

    python -m benchmarks.raw_replay [--applications 500] [--in-flight 1,4,16,32] [--kubeconfig FILE]

Without --kubeconfig it starts a control plane of its own (tests/live/controlplane). Another benchmark imports
`application_objects` and `replay` and calls them in the same run, on the same cluster, with the same number in
flight: only that ratio means something, as absolute rates change with the machine and its other work, and
with what the controllers still have to do for the objects of the run before.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import resource
import secrets
import ssl
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from benchmarks import machine

Manifest = dict[str, Any]
FIELD_MANAGER = "gitops-hub"
PATHS = {
    "ConfigMap": "api/v1/namespaces/{namespace}/configmaps/{name}",
    "Secret": "api/v1/namespaces/{namespace}/secrets/{name}",
    "Service": "api/v1/namespaces/{namespace}/services/{name}",
    "Deployment": "apis/apps/v1/namespaces/{namespace}/deployments/{name}",
}


@dataclass(frozen=True)
class Target:
    """An API server: base URL, how to trust it, how to be let in."""

    url: str
    tls: ssl.SSLContext = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Replay:
    """What one replay took; times in seconds, `cpu` is this client's own."""

    objects: int
    in_flight: int
    seconds: float
    latencies: Sequence[float] = field(repr=False)
    cpu: float

    @property
    def per_second(self) -> float:
        return self.objects / self.seconds

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[percent - 1]

    def __str__(self) -> str:
        return (
            f"{self.in_flight:3} in flight: {self.per_second:6.0f} objects/s  "
            f"({self.objects} in {self.seconds:.2f} s, p50 {self.percentile(50) * 1000:.1f} ms, "
            f"p95 {self.percentile(95) * 1000:.1f} ms, client CPU {self.cpu / self.objects * 1000:.2f} ms each)"
        )


def application_objects(name: str, namespace: str) -> list[Manifest]:
    """The four objects of one application of P1, without what only a hub would add."""
    labels = {"app.kubernetes.io/name": name}

    def manifest(version: str, kind: str, **content: Any) -> Manifest:
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    container = {
        "name": "main",
        "image": "registry.example/app:1.0",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "MODE", "value": "production"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    secret = base64.b64encode(f"secret-of-{name}".encode()).decode()
    return [
        manifest("v1", "ConfigMap", data={"mode": "production", "name": name}),
        manifest("v1", "Secret", data={"password": secret}),
        manifest("v1", "Service", spec={"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}),
        manifest(
            "apps/v1",
            "Deployment",
            spec={"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        ),
    ]


def replay(target: Target, manifests: Sequence[Manifest], in_flight: int) -> Replay:
    """Apply all `manifests` (namespaces must exist), `in_flight` at a time, forced, over connections already open.

    Raises RuntimeError at the first answer that is not 200 or 201.
    """
    return asyncio.run(_replay(target, manifests, in_flight))


def create_namespace(target: Target) -> str:
    """A fresh namespace for a replay; its name."""
    name = f"replay-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    asyncio.run(_single(target, "POST", "api/v1/namespaces", body))
    return name


def delete_namespace(target: Target, name: str) -> None:
    """Ask for it and do not wait."""
    asyncio.run(_single(target, "DELETE", f"api/v1/namespaces/{name}"))


def target_of(kubeconfig: Path) -> Target:
    """Reads a kubeconfig with a token or a client certificate; nothing in it is ever executed.

    Raises ValueError for other kinds of credentials.
    """
    document = yaml.safe_load(kubeconfig.read_text())

    def named(section: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in document[section] if each["name"] == name)
        content: dict[str, Any] = found[section.removesuffix("s")]
        return content

    context = named("contexts", document["current-context"])
    cluster, user = named("clusters", context["cluster"]), named("users", context["user"])
    tls = ssl.create_default_context(cadata=_pem(cluster, "certificate-authority") or None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate and key:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(certificate + key)
            file.flush()
            tls.load_cert_chain(file.name)
    elif "token" not in user:
        raise ValueError(f"{kubeconfig}: only a token or a client certificate is understood.")
    return Target(cluster["server"].rstrip("/"), tls, user.get("token", ""))


def _pem(section: dict[str, Any], name: str) -> str:
    if f"{name}-data" in section:
        return base64.b64decode(section[f"{name}-data"]).decode()
    return Path(section[name]).read_text() if name in section else ""


def _session(target: Target, in_flight: int) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    connector = aiohttp.TCPConnector(limit=in_flight, ssl=target.tls)
    return aiohttp.ClientSession(base_url=f"{target.url}/", connector=connector, headers=headers)


async def _single(target: Target, method: str, path: str, body: Manifest | None = None) -> None:
    async with _session(target, 1) as session, session.request(method, path, json=body) as answer:
        await _check(answer)


async def _replay(target: Target, manifests: Sequence[Manifest], in_flight: int) -> Replay:
    query = {"fieldManager": FIELD_MANAGER, "force": "true"}
    headers = {"Content-Type": "application/apply-patch+yaml"}
    work = iter(
        [(PATHS[each["kind"]].format_map(each["metadata"]), orjson.dumps(each)) for each in manifests]
    )
    latencies: list[float] = []

    async def worker(session: aiohttp.ClientSession) -> None:
        for path, body in work:  # one iterator for all: each takes the next
            began = time.perf_counter()
            async with session.patch(path, params=query, headers=headers, data=body) as answer:
                await _check(answer)
            latencies.append(time.perf_counter() - began)

    async def connect(session: aiohttp.ClientSession) -> None:
        async with session.get("readyz") as answer:
            await _check(answer)

    async with _session(target, in_flight) as session:
        await asyncio.gather(*(connect(session) for _ in range(in_flight)))
        began, cpu = time.perf_counter(), _cpu()
        await asyncio.gather(*(worker(session) for _ in range(in_flight)))
        return Replay(len(latencies), in_flight, time.perf_counter() - began, latencies, _cpu() - cpu)


async def _check(answer: aiohttp.ClientResponse) -> None:
    body = await answer.read()
    if answer.status not in (200, 201, 202):
        raise RuntimeError(f"{answer.method} {answer.url.path}: {answer.status} {body[:500]!r}")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def _target(kubeconfig: Path | None) -> Iterator[Target]:
    if kubeconfig is not None:
        yield target_of(kubeconfig)
        return
    from tests.live.controlplane.instance import ControlPlane

    with ControlPlane(prefix="raw-replay") as cluster:
        yield target_of(cluster.hub_kubeconfig)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.raw_replay", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--applications", type=int, default=500, metavar="N")
    parser.add_argument("--in-flight", default="1,4,16,32", metavar="LIST")
    parser.add_argument(
        "--kubeconfig", type=Path, help="a cluster of yours; objects go to namespaces replay-*"
    )
    options = parser.parse_args()
    print(machine.as_text(machine.facts("aiohttp", "orjson")))
    with _target(options.kubeconfig) as target:
        warm_up = create_namespace(target)
        replay(target, application_objects("warm-up", warm_up), in_flight=1)
        namespaces = [warm_up]
        for in_flight in map(int, options.in_flight.split(",")):
            namespaces.append(create_namespace(target))
            numbers = range(options.applications)
            manifests = [each for n in numbers for each in application_objects(f"app-{n}", namespaces[-1])]
            print("new      ", replay(target, manifests, in_flight), flush=True)
            print("unchanged", replay(target, manifests, in_flight), flush=True)
        for namespace in namespaces:
            delete_namespace(target, namespace)


if __name__ == "__main__":
    main()
