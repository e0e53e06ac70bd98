"""The sandbox as a server: its own thread and loop, one port, many clusters; and the Python side of each cluster."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self, TypeVar

import orjson
import yaml
from aiohttp import web

import clusters.sandbox.admin as admin
import clusters.sandbox.deletes as deletes
import clusters.sandbox.http as http
import clusters.sandbox.reads as reads
import clusters.sandbox.writes as writes
from clusters.core.manifests import Manifest
from clusters.sandbox.backend import Backend, Options
from clusters.sandbox.faults import Faults
from clusters.sandbox.lifecycle import Controllers
from clusters.sandbox.persistence import Persistence

HOST = "127.0.0.1"
T = TypeVar("T")
BODY_LIMIT = http.LARGEST_BODY


class Cluster:
    """One cluster of a Sandbox, for tests and demonstrations. Every method may be called from any thread.

    `server` is the base URL, `token` a bearer token that may do everything, `ca` is empty (plain HTTP on loopback).
    """

    def __init__(self, sandbox: Sandbox, backend: Backend, token: str) -> None:
        self._sandbox = sandbox
        self.backend = backend
        self.name = backend.name
        self.token = token
        self.ca = ""

    @property
    def server(self) -> str:
        return f"{self._sandbox.url}/clusters/{self.name}"

    @property
    def faults(self) -> Faults:
        return self.backend.faults

    def run(self, work: Callable[[Backend], T]) -> T:
        """Run `work` with the backend in the server's thread and give its result."""
        return self._sandbox.run(lambda: work(self.backend))

    def create(self, obj: Manifest, *, manager: str = "test") -> Manifest:
        """POST. Raises ApiError."""
        namespace = (obj.get("metadata") or {}).get("namespace") or ""
        served = self.backend.served(obj["apiVersion"], obj["kind"])
        space = namespace or ("default" if served.namespaced else "")
        options = Options(manager=manager, validation="Ignore")
        return self.run(lambda b: writes.create(b, served, space, obj, options))

    def apply(self, obj: Manifest, *, manager: str = "test", force: bool = True) -> Manifest:
        """Server-side apply. Raises ApiError."""
        served = self.backend.served(obj["apiVersion"], obj["kind"])
        metadata = obj["metadata"]
        space = (metadata.get("namespace") or "default") if served.namespaced else ""
        options = Options(manager=manager, force=force)
        return self.run(lambda b: writes.apply(b, served, space, metadata["name"], obj, options)[0])

    def get(self, api_version: str, kind: str, name: str, namespace: str = "default") -> Manifest | None:
        """The object, or None."""
        served = self.backend.served(api_version, kind)
        space = namespace if served.namespaced else ""
        return self.run(lambda b: b.store.get(served.group, served.resource, space, name))

    def list(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        """All objects of a kind."""
        served = self.backend.served(api_version, kind)
        raw = self.run(lambda b: reads.list_objects(b, served, namespace, {"labelSelector": selector}))
        items: list[Manifest] = orjson.loads(raw)["items"]
        return items

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        patch: Manifest,
        namespace: str = "default",
        subresource: str = "",
    ) -> Manifest:
        """A merge patch. Raises ApiError."""
        served = self.backend.served(api_version, kind)
        space = namespace if served.namespaced else ""
        options = Options(manager="kubectl-edit", validation="Ignore")
        return self.run(lambda b: writes.patch(b, served, space, name, "merge", patch, options, subresource))

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str = "default", propagation: str = ""
    ) -> Manifest:
        """DELETE. Raises ApiError."""
        served = self.backend.served(api_version, kind)
        space = namespace if served.namespaced else ""
        options = deletes.DeleteOptions(propagation)
        return self.run(lambda b: deletes.delete(b, served, space, name, options))

    def expire(self) -> None:
        """Forget all history: every older resourceVersion is answered with 410."""
        self.run(lambda b: b.store.compact())

    def kubeconfig(self) -> str:
        """A kubeconfig for this cluster, as YAML. The token stands in the path, too: kubectl wants it there."""
        name = f"sandbox-{self.name}"
        server = f"{self.server}/{http.TOKEN_IN_PATH}/{self.token}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server}}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        return yaml.safe_dump(document, sort_keys=False)


class Sandbox:
    """A server of simulated clusters on loopback.

    `port` 0 takes a free one. `storage` is the path of a SQLite file, or None to keep everything in memory.
    `ready_after`: seconds until a pod is ready, unless its annotation `sim/ready-after` says otherwise.
    `lifecycle=False` leaves out all controllers: objects stay as they were written.
    """

    def __init__(
        self,
        port: int = 0,
        storage: str | None = None,
        ready_after: float = 0.1,
        *,
        lifecycle: bool = True,
        keep_history: int = 5000,
    ) -> None:
        self.port = port
        self.ready_after = ready_after
        self.lifecycle = lifecycle
        self.keep_history = keep_history
        self.clusters: dict[str, Cluster] = {}
        self._persistence = Persistence(storage) if storage else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
        self._started: Future[None] = Future()
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        """Start listening. Raises OSError when the port is taken."""
        self._thread.start()
        self._started.result(timeout=30)
        if self._persistence is not None:
            for name in self._persistence.names():
                self.cluster(name)
        return self

    def stop(self) -> None:
        """Close all watches and the port, write what is not stored yet, end the thread."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the server's thread; errors come out here."""
        if threading.current_thread() is self._thread:
            return work()
        future: Future[T] = Future()

        def carry_out() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        self._loop.call_soon_threadsafe(carry_out)
        return future.result(timeout=60)

    def cluster(self, name: str = "default") -> Cluster:
        """The cluster of this name, made when first asked for."""
        held = self.clusters.get(name)
        return held if held is not None else self.run(lambda: self._made(name))

    def _made(self, name: str) -> Cluster:
        if name in self.clusters:
            return self.clusters[name]
        backend = Backend(name, self._later, ready_after=self.ready_after, keep_history=self.keep_history)
        token = secrets.token_urlsafe(24)
        if self._persistence is not None:
            token = self._persistence.load(backend, token)
            self._persistence.follow(backend, self._later)
        backend.tokens[token] = "sandbox-admin"
        controllers = Controllers(backend, workloads=self.lifecycle)
        controllers.begin()
        made = self.clusters[name] = Cluster(self, backend, token)
        return made

    def _later(self, delay: float, work: Callable[[], None]) -> Any:
        return self._loop.call_later(delay, work) if delay > 0 else self._loop.call_soon(work)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._open())
        except BaseException as error:
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        self._loop.run_forever()

    async def _open(self) -> None:
        server = web.Server(self._handle, request_factory=self._request, access_log=None)
        self._runner = web.ServerRunner(server)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=BODY_LIMIT
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        found = http.split(request.path)
        if found is None:
            return await admin.answer(request, self)
        held = self.clusters.get(found[0])
        if held is None:
            return http.error_answer(http.not_served())
        return await http.answer(request, held.backend, found[1])

    async def _close(self) -> None:
        for cluster in self.clusters.values():
            cluster.backend.closed = True
            for table in cluster.backend.store.tables.values():
                for watcher in tuple(table.watchers):
                    watcher.wake()
        if self._runner is not None:
            await self._runner.shutdown()
            await self._runner.cleanup()
        if self._persistence is not None:
            self._persistence.close()
