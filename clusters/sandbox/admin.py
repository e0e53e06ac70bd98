"""The sandbox's own endpoints, under `/sandbox/`: clusters and faults. They need no token: loopback only.

GET, POST `/sandbox/clusters` ({"name": ...}); GET, POST, DELETE `/sandbox/faults` ({"cluster": ..., "sort": ..., ...});
POST `/sandbox/expire` ({"cluster": ...}).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from aiohttp import web

from clusters.sandbox.answers import ApiError
from clusters.sandbox.faults import Faults
from clusters.sandbox.http import error_answer, json_answer


class Known(Protocol):
    """A cluster, as far as these endpoints need it."""

    name: str
    token: str

    @property
    def server(self) -> str: ...

    @property
    def faults(self) -> Faults: ...

    def expire(self) -> None: ...


class Clusters(Protocol):
    """The server behind these endpoints."""

    @property
    def clusters(self) -> Mapping[str, Known]: ...

    def cluster(self, name: str) -> Known: ...


async def answer(request: web.BaseRequest, sandbox: Clusters) -> web.StreamResponse:
    """Answer a request outside `/clusters/`."""
    raw = await request.read()
    try:
        body = orjson.loads(raw) if raw else {}
        if not isinstance(body, dict):
            raise ApiError(400, "a JSON object is needed")
        return _answer(request.method, request.path.rstrip("/"), body, sandbox)
    except orjson.JSONDecodeError as broken:
        return error_answer(ApiError(400, f"not JSON: {broken}"))
    except (ValueError, TypeError) as wrong:
        return error_answer(ApiError(400, str(wrong)))
    except ApiError as error:
        return error_answer(error)


def _answer(method: str, path: str, body: dict[str, Any], sandbox: Clusters) -> web.Response:
    if path == "/sandbox/clusters":
        if method == "POST":
            return json_answer(_shown(sandbox.cluster(str(body.get("name") or "default"))), 201)
        return json_answer({"clusters": [_shown(cluster) for cluster in sandbox.clusters.values()]})
    if path not in ("/sandbox/faults", "/sandbox/expire"):
        raise ApiError(404, "404 page not found", plain=True)
    cluster = sandbox.clusters.get(str(body.pop("cluster", "default")))
    if method == "GET" and cluster is None:
        return json_answer({name: held.faults.listed() for name, held in sandbox.clusters.items()})
    if cluster is None:
        raise ApiError(404, "no such cluster")
    if path == "/sandbox/expire":
        cluster.expire()
        return json_answer({})
    if method == "POST":
        fault = cluster.faults.add(str(body.pop("sort", "")), **body)
        return json_answer({"id": fault.id}, 201)
    if method == "DELETE":
        cluster.faults.clear(str(body.get("id") or ""))
    return json_answer({"faults": cluster.faults.listed()})


def _shown(cluster: Known) -> dict[str, str]:
    return {"name": cluster.name, "server": cluster.server, "token": cluster.token}
