"""The HTTP face of the sandbox: from a request to the modules that answer it, and back."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import orjson
import yaml
from aiohttp import web

import clusters.sandbox.deletes as deletes
import clusters.sandbox.discovery as discovery
import clusters.sandbox.openapi as openapi
import clusters.sandbox.reads as reads
import clusters.sandbox.schema as schema
import clusters.sandbox.streams as streams
import clusters.sandbox.subresources as subresources
import clusters.sandbox.writes as writes
from clusters.sandbox.answers import ApiError, generic
from clusters.sandbox.backend import Backend, Options
from clusters.sandbox.calls import Call
from clusters.sandbox.registry import Served, builtin_kinds

Manifest = dict[str, Any]
LARGEST_BODY = 3 * 1024 * 1024
PATCHES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
JSON = "application/json"
TOKEN_IN_PATH = "with-token"  # noqa: S105 - a path, no token: kubectl sends no credentials over plain HTTP
BINARY = ("application/vnd.kubernetes.protobuf", "application/cbor")
UNKNOWN_RESOURCE = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"


def json_answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return web.Response(body=raw, status=status, headers=headers, content_type=JSON)


def error_answer(error: ApiError) -> web.Response:
    if error.plain:
        return web.Response(text=error.message + "\n", status=error.code, headers=error.headers)
    return json_answer(error.body(), error.code, error.headers)


def not_served() -> ApiError:
    return ApiError(404, "404 page not found", plain=True)


async def answer(request: web.BaseRequest, backend: Backend, path: list[str]) -> web.StreamResponse:
    """Answer one request to a cluster; `path` is what follows the cluster's own prefix."""
    in_path = path[1] if path[:1] == [TOKEN_IN_PATH] and len(path) > 1 else ""
    path = path[2:] if in_path else path
    user = _user(request, backend, in_path)
    if user is None:
        return error_answer(ApiError(401, "Unauthorized"))
    try:
        if not path or path[0] not in ("api", "apis"):
            return _plain(path, backend)
        found = _discovery(request, backend, path)
        if found is not None:
            return found
        call = _routed(request, backend, path, user)
        return await _faulty(call)
    except ApiError as error:
        return error_answer(error)


def _user(request: web.BaseRequest, backend: Backend, in_path: str) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return backend.tokens.get(token.strip())
    return backend.tokens.get(in_path) if in_path else None


def _plain(path: list[str], backend: Backend) -> web.Response:
    if path == ["version"]:
        release = schema.recorded()["version"]
        _, minor, _ = release.split(".")
        body = {"major": "1", "minor": minor, "gitVersion": release + "+sandbox", "platform": "linux/amd64"}
        return json_answer(body)
    if path and path[0] in ("readyz", "livez", "healthz"):
        return web.Response(text="ok")
    if path == ["openapi", "v3"]:
        return json_answer(openapi.index(backend.registry))
    if path[:2] == ["openapi", "v3"]:
        found = openapi.document(backend.registry, "/".join(path[2:]))
        if found is not None:
            return json_answer(found)
    raise not_served()


def _discovery(request: web.BaseRequest, backend: Backend, path: list[str]) -> web.Response | None:
    registry = backend.registry
    if len(path) == 1:
        core = path[0] == "api"
        if "as=APIGroupDiscoveryList" in request.headers.get("Accept", ""):
            etag = f'"{registry.digest}"'
            headers = {"ETag": etag, "Vary": "Accept", "Content-Type": discovery.AGGREGATED}
            if request.headers.get("If-None-Match") == etag:
                return web.Response(status=304, headers={"ETag": etag})
            return web.Response(body=discovery.aggregated(registry, core), headers=headers)
        return json_answer(discovery.versions(request.host) if core else discovery.groups(registry))
    body = None
    if path[0] == "api" and len(path) == 2:
        body = discovery.resources(registry, "", path[1])
    elif path[0] == "apis" and len(path) == 2:
        body = discovery.group(registry, path[1])
    elif path[0] == "apis" and len(path) == 3:
        body = discovery.resources(registry, path[1], path[2])
    else:
        return None
    if body is None:
        raise not_served()
    return json_answer(body)


def _routed(request: web.BaseRequest, backend: Backend, path: list[str], user: str) -> Call:
    """The Call a path means. Raises ApiError 404."""
    group, version, rest = ("", path[1], path[2:]) if path[0] == "api" else (path[1], path[2], path[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "", "")[:3]
    served = backend.registry.find(group, version, resource)
    if served is None or len(rest) > 3:
        known = any((k.group, k.version) == (group, version) for k in builtin_kinds())
        raise generic(404, UNKNOWN_RESOURCE) if known else not_served()
    if subresource and subresource not in served.subresources:
        raise not_served()
    if served.namespaced and name and not namespace:
        raise not_served()
    return Call(request, backend, served, namespace, name, subresource, user)


async def _faulty(call: Call) -> web.StreamResponse:
    """Answer a Call, with the faults that hold for it."""
    faults = call.backend.faults
    if not faults.active:
        return await _dispatch(call)
    asked = call.asked()
    slow = faults.take("latency", asked)
    if slow is not None:
        await asyncio.sleep(slow.seconds)
    if faults.take("drop", asked) is not None:
        if call.request.transport is not None:
            call.request.transport.abort()
        return web.Response(status=500)
    refusal = faults.refusal(asked)
    if refusal is not None:
        raise refusal
    if asked.verb != "watch" and faults.take("expire", asked) is not None:
        raise ApiError(410, f"too old resource version: {call.query.get('resourceVersion')} (0)")
    response = await _dispatch(call)
    trickle = faults.take("trickle", asked)
    if trickle is not None and isinstance(response, web.Response):
        return await streams.trickled(call.request, response, trickle.seconds)
    return response


async def _dispatch(call: Call) -> web.StreamResponse:
    method, served = call.request.method, call.served
    if (served.group, served.resource) in subresources.REVIEWS and method == "POST":
        body = subresources.parse(await _body(call.request))
        return json_answer(subresources.review(call.backend, served, body, call.user), 201)
    if method == "GET":
        return await _get(call)
    handler = {"POST": _post, "PUT": _put, "PATCH": _patch, "DELETE": _delete}.get(method)
    if handler is None:
        raise generic(405, NOT_ALLOWED)
    response: web.StreamResponse = await handler(call)
    return response


async def _body(request: web.BaseRequest) -> bytes:
    """The body of a request. Raises ApiError 413, 415."""
    if request.content_type in BINARY:
        text = "the body of the request was in an unknown format - accepted media types include: application/json"
        raise generic(415, text)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as large:
        text = f"Request entity too large: limit is {LARGEST_BODY}"
        raise ApiError(413, text) from large


async def _get(call: Call) -> web.StreamResponse:
    b, served = call.backend, call.served
    if not call.name:
        if call.query.get("watch") in ("1", "true"):
            return await streams.watch(call)
        if "list" not in served.verbs:
            raise generic(405, NOT_ALLOWED)
        query = call.query if call.request.query_string else {}
        return json_answer(reads.list_objects(b, served, call.namespace, query, metadata_only=call.partial))
    obj = b.get(served, call.namespace, call.name)
    if call.subresource == "scale":
        return json_answer(subresources.scale_of(obj))
    if call.subresource == "log":
        return web.Response(
            body=subresources.log(b, served, call.namespace, call.name), content_type="text/plain"
        )
    table = b.store.table(served.group, served.resource)
    return json_answer(reads.encoder(table, served, call.partial)((call.namespace, call.name), obj))


def _written(call: Call, obj: Manifest, status: int, options: Options | None = None) -> web.Response:
    headers: dict[str, str] = {}
    if options is not None and options.warnings:
        headers["Warning"] = ", ".join(f'299 - "{_quoted(text)}"' for text in options.warnings)
    return json_answer(reads.partial(obj) if call.partial else obj, status, headers)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


async def _post(call: Call) -> web.Response:
    b, served = call.backend, call.served
    raw = await _body(call.request)
    body = _decoded(raw, call.request.content_type)
    if call.subresource == "token":
        return json_answer(subresources.token(b, call.namespace, call.name, body), 201)
    if call.subresource == "eviction":
        return json_answer(subresources.evict(b, served, call.namespace, call.name, body), 201)
    if call.name or "create" not in served.verbs:
        raise generic(405, NOT_ALLOWED)
    options = call.options()
    _no_key_twice(raw, body, options, served, apply=False)
    return _written(call, writes.create(b, served, call.namespace, body, options), 201, options)


async def _put(call: Call) -> web.Response:
    b, served = call.backend, call.served
    body = _decoded(await _body(call.request), call.request.content_type)
    options = call.options()
    if call.subresource == "scale":
        return json_answer(
            subresources.write_scale(b, served, call.namespace, call.name, "update", body, options)
        )
    obj = writes.replace(b, served, call.namespace, call.name, body, options, call.subresource)
    return _written(call, obj, 200, options)


async def _patch(call: Call) -> web.Response:
    b, served = call.backend, call.served
    sort = PATCHES.get(call.request.content_type)
    if not call.name:
        raise generic(405, NOT_ALLOWED)
    raw = await _body(call.request)
    if sort is None:
        raise generic(415, "415: Unsupported Media Type")
    options = call.options(apply=sort == "apply")
    body = _decoded(raw, "application/yaml" if sort == "apply" else JSON)
    if call.subresource == "scale":
        return json_answer(
            subresources.write_scale(b, served, call.namespace, call.name, sort, body, options)
        )
    if sort == "apply":
        _no_key_twice(raw, body, options, served, apply=True)
        obj, new = writes.apply(b, served, call.namespace, call.name, body, options, call.subresource)
        return _written(call, obj, 201 if new else 200, options)
    obj = writes.patch(b, served, call.namespace, call.name, sort, body, options, call.subresource)
    return _written(call, obj, 200, options)


def _decoded(raw: bytes, content_type: str) -> Any:
    """A body as JSON, or as YAML where that is allowed."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        if "yaml" not in content_type:
            return subresources.parse(raw)
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as broken:
        raise ApiError(400, f"error decoding YAML: error converting YAML to JSON: yaml: {broken}") from broken


def _no_key_twice(raw: bytes, body: Any, options: Options, served: Served, *, apply: bool) -> None:
    """Refuse, or warn of, a key that stands twice in one map. A body as compact as ours cannot have one."""
    if options.validation == "Ignore" or len(raw) == len(orjson.dumps(body)):
        return
    twice: list[str] = []

    def seen(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(name for name in made if names.count(name) > 1)
        return made

    try:
        json.loads(raw, object_pairs_hook=seen)
    except ValueError:
        return
    if not twice:
        return
    key = twice[0]
    if options.validation == "Warn":
        options.warnings.append(
            f'line 1: key "{key}" already set in map' if apply else f'duplicate field "{key}"'
        )
    elif apply:
        text = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:"
        raise ApiError(400, f'{text}\n  line 1: key "{key}" already set in map')
    else:
        text = f'{served.kind} in version "{served.version}" cannot be handled as a {served.kind}: strict decoding error'
        raise ApiError(400, f'{text}: duplicate field "{key}"')


async def _delete(call: Call) -> web.Response:
    b, served = call.backend, call.served
    raw = await _body(call.request)
    body = _decoded(raw, call.request.content_type) if raw else None
    options = deletes.DeleteOptions.of(body, call.query)
    if call.name:
        return json_answer(deletes.delete(b, served, call.namespace, call.name, options))
    wanted = reads.Filter.of(call.namespace, call.query, served)
    table = b.store.table(served.group, served.resource)
    for place in list(table.order()):
        obj = table.objects.get(place)
        if obj is not None and wanted.place(place) and wanted.holds(obj):
            deletes.delete(b, served, place[0], place[1], options)
    return json_answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})


CLUSTER_PATH = re.compile(r"/clusters/([^/]+)/?(.*)")


def split(path: str) -> tuple[str, list[str]] | None:
    """(cluster, rest of the path), or None when the path names no cluster."""
    match = CLUSTER_PATH.fullmatch(path)
    if match is None:
        return None
    return match.group(1), [part for part in match.group(2).split("/") if part]
