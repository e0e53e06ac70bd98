"""The requests of the gate: each builds a path and a body, sends it through a Session, reads the answer.

Coroutines for callers on the loop; the plain functions are in `clusters.kube.gate`.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

import clusters.errors as errors
from clusters.core.connection import Connection
from clusters.core.discovery import KindInfo
from clusters.core.manifests import FIELD_MANAGER, Manifest, ResourceKey
from clusters.errors import ClusterError
from clusters.kube.answers import Answer, warnings_of
from clusters.kube.discovery import Catalogue
from clusters.kube.objects import Seen, read_object, read_page
from clusters.kube.session import Session
from clusters.kube.tuning import tuning

PATCH_TYPES = {
    "apply": "application/apply-patch+yaml",
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
Propagation = Literal["Foreground", "Background", "Orphan"]


class Gate(NamedTuple):
    """One cluster as the requests see it: who asks is in the Connection (impersonation, namespaces)."""

    session: Session
    catalogue: Catalogue
    connection: Connection


class Written(NamedTuple):
    """What a write answered: the object (managedFields kept), 200 or 201, and the server's warnings."""

    object: Manifest
    created: bool
    warnings: tuple[str, ...]


@dataclass(slots=True)
class Listing:
    """One kind as listed. `complete` only when every page of every namespace was read (sync-semantics.md 7.3)."""

    items: list[Seen] = field(default_factory=list)
    complete: bool = False
    resource_versions: dict[str, str] = field(default_factory=dict)
    error: ClusterError | None = None


def path_of(
    info: KindInfo,
    namespace: str = "",
    name: str | None = None,
    *,
    subresource: str = "",
    api_version: str = "",
) -> str:
    """The URL path of a kind, or of one object. Invalid for names that would change the path."""
    group_version = api_version or info.api_version
    parts = ["/apis" if "/" in group_version else "/api", group_version]
    if info.namespaced and namespace:
        parts += ["namespaces", _segment(namespace)]
    parts.append(info.resource)
    if name is not None:
        parts.append(_segment(name))
    if subresource:
        parts.append(_segment(subresource))
    return "/".join(parts)


def _segment(text: str) -> str:
    """One path segment. No text of a manifest may climb out of its place in the path."""
    if _PLAIN.fullmatch(text):
        return text
    if text in ("", ".", ".."):
        raise errors.Invalid(f"{text!r} is no name of an object or namespace")
    return quote(text, safe=":@~")


async def path_to(gate: Gate, key: ResourceKey, *, api_version: str = "", subresource: str = "") -> str:
    info = await gate.catalogue.find(key.group, key.kind)
    if info.namespaced and not key.namespace:
        raise errors.Invalid(f"{key} needs a namespace")
    return path_of(info, key.namespace, key.name, subresource=subresource, api_version=api_version)


async def get(gate: Gate, key: ResourceKey, *, api_version: str = "", repeats: int = 1) -> Manifest:
    """One object, managedFields kept. NotFound, KindNotServed, Forbidden, Unavailable..."""
    path = await path_to(gate, key, api_version=api_version)
    answer = await _send(gate, "GET", path, key, verb="get", repeats=repeats)
    return answer.json()


async def list_kind(
    gate: Gate,
    group: str,
    kind: str,
    *,
    selector: str = "",
    metadata_only: bool = False,
    api_version: str = "",
) -> Listing:
    """All objects of one kind, page by page, in the namespaces that the Connection permits. Never raises ClusterError:
    what could not be read is `error` and `complete` stays off."""
    listing = Listing()
    try:
        info = await gate.catalogue.find(group, kind)
        spaces = namespaces_of(gate.connection, info)
        parts = [
            _list_one(gate, info, space, selector, metadata_only, api_version, listing) for space in spaces
        ]
        for result in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        listing.complete = True
    except ClusterError as error:
        listing.error = error
        if isinstance(error, errors.KindNotServed):
            gate.catalogue.doubt()
    return listing


def namespaces_of(connection: Connection, info: KindInfo) -> Sequence[str]:
    """Where to look: everywhere (one empty name), or in each permitted namespace. ListIncomplete when nowhere."""
    if not connection.namespaces:
        return ("",)
    if info.namespaced:
        return connection.namespaces
    if connection.cluster_resources:
        return ("",)
    raise errors.ListIncomplete(f"{info.kind} is cluster-scoped, and this cluster is used by namespace only")


async def _list_one(
    gate: Gate,
    info: KindInfo,
    namespace: str,
    selector: str,
    metadata_only: bool,
    api_version: str,
    listing: Listing,
) -> None:
    items, version = await list_space(
        gate, info, namespace, selector=selector, metadata_only=metadata_only, api_version=api_version
    )
    listing.items.extend(items)
    listing.resource_versions[namespace] = version


async def list_space(
    gate: Gate,
    info: KindInfo,
    namespace: str = "",
    *,
    selector: str = "",
    metadata_only: bool = False,
    api_version: str = "",
) -> tuple[list[Seen], str]:
    """All pages of one kind in one namespace (empty: everywhere), and the resourceVersion of the list."""
    try:
        return await _pages(gate, info, namespace, selector, metadata_only, api_version)
    except errors.Gone:
        # A lapsed continue token goes on inconsistently: its pages are thrown away (api-server-facts.md 5).
        return await _pages(gate, info, namespace, selector, metadata_only, api_version)


async def _pages(
    gate: Gate, info: KindInfo, namespace: str, selector: str, metadata_only: bool, api_version: str
) -> tuple[list[Seen], str]:
    path = path_of(info, namespace, api_version=api_version)
    query = {"limit": str(tuning().page)} | ({"labelSelector": selector} if selector else {})
    shown_as = api_version or info.api_version
    items: list[Seen] = []
    while True:
        answer = await gate.session.request(
            "GET",
            f"{path}?{urlencode(query)}",
            verb="list",
            accept=METADATA_LIST if metadata_only else "",
            user=gate.connection.impersonate_user,
            repeats=1,
        )
        try:
            page = read_page(answer.body)
            items.extend(read_object(raw, info.group, info.kind, shown_as) for raw in page.items or ())
        except (msgspec.DecodeError, KeyError) as problem:
            raise errors.Unavailable(
                f"the listing of {info.kind} is broken: {problem}", status=answer.status
            ) from None
        if not page.metadata.continue_:
            return items, page.metadata.resourceVersion
        query["continue"] = page.metadata.continue_


async def apply(
    gate: Gate,
    key: ResourceKey,
    body: Manifest,
    *,
    manager: str = FIELD_MANAGER,
    force: bool = True,
    strict: bool = True,
    dry_run: bool = False,
) -> Written:
    """Server-side apply. A lost reply is repeated: the same apply has the same effect (sync-semantics.md 4.1)."""
    query = _query(manager, strict, dry_run, force)
    path = await path_to(gate, key, api_version=str(body.get("apiVersion") or ""))
    answer = await _send(
        gate,
        "PATCH",
        f"{path}?{query}",
        key,
        verb="apply",
        body=body,
        content_type=PATCH_TYPES["apply"],
    )
    return _written(answer, body)


async def create(
    gate: Gate,
    key: ResourceKey,
    body: Manifest,
    *,
    manager: str = FIELD_MANAGER,
    strict: bool = True,
    dry_run: bool = False,
) -> Written:
    """POST. AlreadyExists when the name is taken; a lost reply is the caller's to judge."""
    info = await gate.catalogue.find(key.group, key.kind)
    path = path_of(info, key.namespace, api_version=str(body.get("apiVersion") or ""))
    query = _query(manager, strict, dry_run)
    answer = await _send(
        gate, "POST", f"{path}?{query}", key, verb="create", body=body, lost_reply_repeats=False
    )
    return _written(answer, body)


async def replace(
    gate: Gate,
    key: ResourceKey,
    body: Manifest,
    *,
    manager: str = FIELD_MANAGER,
    strict: bool = True,
    dry_run: bool = False,
) -> Written:
    """PUT; the body carries the resourceVersion that is replaced."""
    path = await path_to(gate, key, api_version=str(body.get("apiVersion") or ""))
    query = _query(manager, strict, dry_run)
    answer = await _send(gate, "PUT", f"{path}?{query}", key, verb="replace", body=body)
    return _written(answer, body)


async def patch(
    gate: Gate,
    key: ResourceKey,
    body: Any,
    *,
    patch_type: str = "json",
    subresource: str = "",
    manager: str = FIELD_MANAGER,
    dry_run: bool = False,
) -> Written:
    """PATCH by json, merge or strategic merge patch, of an object or one of its subresources."""
    path = await path_to(gate, key, subresource=subresource)
    query = _query(manager, None, dry_run)
    answer = await _send(
        gate,
        "PATCH",
        f"{path}?{query}",
        key,
        verb="patch",
        body=body,
        content_type=PATCH_TYPES[patch_type],
    )
    return _written(answer, body)


async def delete(
    gate: Gate,
    key: ResourceKey,
    *,
    propagation: Propagation = "Foreground",
    uid: str = "",
    resource_version: str = "",
    dry_run: bool = False,
) -> Manifest | None:
    """DELETE: the object that is now being deleted, or None when it is gone at once.

    All options go into the body: beside any body the server ignores the query, dryRun included (facts 3).
    """
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
    if dry_run:
        options["dryRun"] = ["All"]
    held = {"uid": uid, "resourceVersion": resource_version}
    if wanted := {name: value for name, value in held.items() if value}:
        options["preconditions"] = wanted
    path = await path_to(gate, key)
    answer = (await _send(gate, "DELETE", path, key, verb="delete", body=options)).json()
    return None if answer.get("kind") == "Status" else answer


@functools.lru_cache(maxsize=256)
def _query(manager: str, strict: bool | None, dry_run: bool, force: bool | None = None) -> str:
    """The query of a write; the same few come again and again."""
    query = {"fieldManager": manager}
    if force is not None:
        query["force"] = "true" if force else "false"
    if strict is not None:
        query["fieldValidation"] = "Strict" if strict else "Ignore"
    if dry_run:
        query["dryRun"] = "All"
    return urlencode(query)


async def _send(gate: Gate, method: str, path: str, key: ResourceKey, *, verb: str, **options: Any) -> Answer:
    try:
        return await gate.session.request(
            method, path, verb=verb, user=gate.connection.impersonate_user, **options
        )
    except errors.KindNotServed:
        gate.catalogue.doubt()
        raise errors.KindNotServed(
            f"the cluster does not serve {key.group or 'v1'}/{key.kind} at {path.partition('?')[0]}"
        ) from None


def _written(answer: Answer, sent: Any) -> Written:
    return Written(answer.json(), answer.status == 201, warnings_of(answer, sent))
