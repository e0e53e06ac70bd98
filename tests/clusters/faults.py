"""A small API server that misbehaves on demand: scripted answers first, else a plain store of objects.

It speaks just enough of the protocol for the gate's own tests: discovery, CRUD with resourceVersions, paging,
label-selected watches. What a real server answers is tested in tests/live on a real one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from clusters.core.connection import Connection

KINDS: dict[tuple[str, str], list[tuple[str, str, bool]]] = {
    ("", "v1"): [
        ("configmaps", "ConfigMap", True),
        ("secrets", "Secret", True),
        ("services", "Service", True),
        ("namespaces", "Namespace", False),
    ],
    ("apps", "v1"): [("deployments", "Deployment", True), ("statefulsets", "StatefulSet", True)],
}


@dataclass
class Reply:
    """One scripted answer. `drop` closes the connection without any, `delay` waits first (seconds)."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


def status(code: int, reason: str, message: str, **details: Any) -> dict[str, Any]:
    """A Status body as an API server makes it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    return body | ({"reason": reason} if reason else {}) | ({"details": details} if details else {})


class FaultServer:
    """Runs in a thread of its own until `close`. All public methods may be called from the test's thread."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.stale_groups: set[str] = set()
        self.kinds = {key: list(value) for key, value in KINDS.items()}
        self.streaming_list = True
        self.etags = True
        self.legacy_discovery = False
        self.mute_watch_events = False
        self._version = itertools.count(100)
        self._scripts: dict[tuple[str, str], deque[Reply]] = defaultdict(deque)
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the fault server did not start")

    # --- for the tests ---------------------------------------------------------------------------------------
    def connection(self, identity: str = "c1", **more: Any) -> Connection:
        scheme = "https" if self._tls else "http"
        options = {"server": f"{scheme}://127.0.0.1:{self.port}", "token": "t0ken", "allow_loopback": True}
        return Connection(identity=identity, **{**options, **more})

    def script(self, method: str, path: str, *replies: Reply) -> None:
        """The next answers to `method` on `path` (watch requests: method "WATCH")."""
        self._scripts[method, path].extend(replies)

    def put(self, path: str, obj: dict[str, Any]) -> dict[str, Any]:
        """Store an object and tell the watches; the stored copy."""
        return self._on_loop(lambda: self._store(path, json.loads(json.dumps(obj))))

    def remove(self, path: str) -> None:
        self._on_loop(lambda: self._forget(path))

    def emit(self, collection: str, event: dict[str, Any]) -> None:
        """Send any event to the open watches of a collection, without touching the store."""
        self._on_loop(lambda: [watcher.queue.put_nowait(event) for watcher in self._watchers[collection]])

    def cut_watches(self, collection: str, *, clean: bool = False) -> None:
        """End the open watches: in the middle of a chunk, or properly."""
        token = "END" if clean else "CUT"
        self._on_loop(lambda: [watcher.queue.put_nowait(token) for watcher in self._watchers[collection]])

    def watches(self, collection: str) -> int:
        return len(self._watchers[collection])

    def count(self, method: str, path: str) -> int:
        return sum(1 for one in self.seen if (one.method, one.path) == (method, path))

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # --- inside ----------------------------------------------------------------------------------------------
    def _on_loop(self, work: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _finish(self) -> None:
        await self._runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._loop.call_soon(self._started.set)
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        watching = request.query.get("watch") in ("1", "true")
        method = "WATCH" if watching else request.method
        self.seen.append(Seen(method, request.path, dict(request.query), dict(request.headers), body))
        script = self._scripts.get((method, request.path))
        if script:
            return await self._scripted(request, script.popleft())
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.36.1", "major": "1", "minor": "36"})
        if request.path in ("/api", "/apis") or self._is_group_version(request.path):
            return self._discovery(request)
        if watching:
            return await self._watch(request)
        return self._crud(request, body)

    async def _scripted(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(reply.body, str):
            return web.Response(status=reply.status, text=reply.body, headers=reply.headers)
        return web.json_response(reply.body, status=reply.status, headers=reply.headers)

    # --- discovery -------------------------------------------------------------------------------------------
    def _is_group_version(self, path: str) -> bool:
        return path == "/api/v1" or path in {
            f"/apis/{group}/{version}" for group, version in self.kinds if group
        }

    def _discovery(self, request: web.Request) -> web.Response:
        if request.path == "/api" and self.legacy_discovery:
            return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
        if request.path == "/apis" and self.legacy_discovery:
            return web.json_response({"kind": "APIGroupList", "groups": [*self._groups()]})
        if request.path not in ("/api", "/apis"):
            return web.json_response(
                {"kind": "APIResourceList", "resources": self._resource_list(request.path)}
            )
        items = [
            self._item(group, version)
            for group, version in self.kinds
            if bool(group) == (request.path == "/apis")
        ]
        etag = f'"{hash(json.dumps(items))}"'
        if self.etags and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.json_response({"kind": "APIGroupDiscoveryList", "items": items}, headers={"ETag": etag})

    def _groups(self) -> list[dict[str, Any]]:
        return [
            {
                "name": group,
                "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                "preferredVersion": {"version": version},
            }
            for group, version in self.kinds
            if group
        ]

    def _resource_list(self, path: str) -> list[dict[str, Any]]:
        group, version = ("", "v1") if path == "/api/v1" else (path.split("/")[2], path.split("/")[3])
        kinds = self.kinds[group, version]
        return [
            {"name": name, "kind": kind, "namespaced": spaced, "verbs": ["list"]}
            for name, kind, spaced in kinds
        ] + [
            {"name": f"{name}/status", "kind": kind, "namespaced": spaced, "verbs": ["get"]}
            for name, kind, spaced in kinds
        ]

    def _item(self, group: str, version: str) -> dict[str, Any]:
        resources = [
            {
                "resource": name,
                "responseKind": {"group": "", "version": "", "kind": kind},
                "scope": "Namespaced" if namespaced else "Cluster",
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
                "subresources": [{"subresource": "status", "verbs": ["get", "patch", "update"]}],
            }
            for name, kind, namespaced in self.kinds[group, version]
        ]
        freshness = "Stale" if group in self.stale_groups else "Current"
        entry = {
            "version": version,
            "resources": [] if freshness == "Stale" else resources,
            "freshness": freshness,
        }
        return {"metadata": {"name": group}, "versions": [entry]}

    def _kind_of(self, path: str) -> tuple[str, str] | None:
        """(apiVersion, kind) of a collection or object path; None when it is not served."""
        parts = path.strip("/").split("/")
        group, version, rest = (
            ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        )
        if len(rest) > 2 and rest[0] == "namespaces":
            rest = rest[2:]
        for name, kind, _ in self.kinds.get((group, version), ()):
            if rest and name == rest[0]:
                return (f"{group}/{version}" if group else version), kind
        return None

    # --- objects ---------------------------------------------------------------------------------------------
    def _crud(self, request: web.Request, body: Any) -> web.Response:
        found = self._kind_of(request.path)
        if found is None:
            return web.Response(status=404, text="404 page not found")
        path = request.path
        live = self.objects.get(path)
        if request.method == "GET" and live is None and self._is_collection(path):
            return self._list(request, path)
        if request.method == "POST":
            return self._post(path, body, found)
        if request.method == "PATCH" and "apply" in request.headers["Content-Type"]:
            stored = self._store(path, {**body, "apiVersion": found[0], "kind": found[1]}, same_is_quiet=True)
            return web.json_response(stored, status=201 if live is None else 200)
        if live is None:
            return web.json_response(status(404, "NotFound", f'"{path}" not found', name=path), status=404)
        return self._existing(request, path, live, body)

    def _existing(self, request: web.Request, path: str, live: dict[str, Any], body: Any) -> web.Response:
        if request.method == "GET":
            return web.json_response(live)
        if request.method == "PUT":
            return web.json_response(self._store(path, body))
        if request.method == "PATCH":
            return web.json_response(self._store(path, live))
        uid = ((body or {}).get("preconditions") or {}).get("uid")
        if uid and uid != live["metadata"]["uid"]:
            return web.json_response(
                status(409, "Conflict", "the UID in the precondition does not match"), status=409
            )
        self._forget(path)
        return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _post(self, path: str, body: dict[str, Any], found: tuple[str, str]) -> web.Response:
        at = f"{path}/{body['metadata']['name']}"
        if at in self.objects:
            return web.json_response(status(409, "AlreadyExists", "already exists"), status=409)
        return web.json_response(
            self._store(at, {**body, "apiVersion": found[0], "kind": found[1]}), status=201
        )

    def _is_collection(self, path: str) -> bool:
        last = path.rstrip("/").rpartition("/")[2]
        return any(last == name for kinds in self.kinds.values() for name, _, _ in kinds)

    def _members(self, path: str, selector: str) -> list[dict[str, Any]]:
        """Objects of a collection; a cluster-wide one has those of all namespaces."""
        base, _, plural = path.rpartition("/")
        found = []
        for at, obj in sorted(self.objects.items()):
            parent = at.rpartition("/")[0]
            inside = parent == path or (
                parent.startswith(f"{base}/namespaces/") and parent.endswith(f"/{plural}")
            )
            if inside and _selected(obj, selector):
                found.append(obj)
        return found

    def _list(self, request: web.Request, path: str) -> web.Response:
        items = self._members(path, request.query.get("labelSelector", ""))
        begin = int(request.query.get("continue", "0"))
        limit = int(request.query.get("limit", "500"))
        page = [
            {key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items
        ]
        meta = {"resourceVersion": str(next(self._version))}
        if begin + limit < len(items):
            meta["continue"] = str(begin + limit)
        return web.json_response({"kind": "List", "metadata": meta, "items": page[begin : begin + limit]})

    def _store(self, path: str, obj: dict[str, Any], *, same_is_quiet: bool = False) -> dict[str, Any]:
        live = self.objects.get(path)
        metadata = {**(live or {}).get("metadata", {}), **obj.get("metadata", {})}
        metadata.setdefault("uid", f"uid-{next(self._version)}")
        metadata["name"] = path.rpartition("/")[2]
        if "/namespaces/" in path and path.split("/")[-2] != "namespaces":
            metadata["namespace"] = path.split("/namespaces/")[1].split("/")[0]
        found = self._kind_of(path)
        assert found is not None
        stored = {**obj, "apiVersion": found[0], "kind": found[1], "metadata": metadata}
        if same_is_quiet and live == stored:
            return live
        metadata["resourceVersion"] = str(next(self._version))
        self.objects[path] = stored
        self._tell(path, "MODIFIED" if live else "ADDED", stored)
        return stored

    def _forget(self, path: str) -> None:
        gone = self.objects.pop(path, None)
        if gone:
            gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(next(self._version))}}
            self._tell(path, "DELETED", gone)

    def _tell(self, path: str, kind: str, obj: dict[str, Any]) -> None:
        if self.mute_watch_events:
            return
        parent = path.rpartition("/")[0]
        for collection, watchers in self._watchers.items():
            base, _, plural = collection.rpartition("/")
            if parent == collection or (
                parent.startswith(f"{base}/namespaces/") and parent.endswith(f"/{plural}")
            ):
                for watcher in watchers:
                    if _selected(obj, watcher.selector):
                        watcher.queue.put_nowait({"type": kind, "object": obj})

    # --- watches ---------------------------------------------------------------------------------------------
    async def _watch(self, request: web.Request) -> web.StreamResponse:
        selector = request.query.get("labelSelector", "")
        initial = request.query.get("sendInitialEvents") == "true"
        if initial and not self.streaming_list:
            text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            return web.json_response(status(422, "Invalid", text), status=422)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watcher = Watcher(selector)
        self._watchers[request.path].add(watcher)
        try:
            if initial:
                await self._initial(request, response, selector)
            await self._stream(request, response, watcher)
        except ConnectionError:
            pass
        finally:
            self._watchers[request.path].discard(watcher)
        return response

    async def _initial(self, request: web.Request, response: web.StreamResponse, selector: str) -> None:
        for obj in self._members(request.path, selector):
            await response.write(_line({"type": "ADDED", "object": obj}))
        metadata = {
            "resourceVersion": str(next(self._version)),
            "annotations": {"k8s.io/initial-events-end": "true"},
        }
        await response.write(_line({"type": "BOOKMARK", "object": {"kind": "x", "metadata": metadata}}))

    async def _stream(self, request: web.Request, response: web.StreamResponse, watcher: Watcher) -> None:
        while True:
            event = await watcher.queue.get()
            if event == "END":
                return
            if event == "CUT":
                await response.write(b'{"type":"MODI')
                assert request.transport is not None
                request.transport.abort()
                return
            await response.write(_line(event))


class Watcher:
    def __init__(self, selector: str) -> None:
        self.selector = selector
        self.queue: asyncio.Queue[Any] = asyncio.Queue()


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"


def _selected(obj: dict[str, Any], selector: str) -> bool:
    if not selector:
        return True
    name, _, value = selector.partition("=")
    return (obj["metadata"].get("labels") or {}).get(name) == value
