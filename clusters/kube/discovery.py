"""What a cluster serves: aggregated discovery with ETags, the legacy way as fallback, cached per cluster.

The answer of an unchanged cluster is two empty 304s, so looking again for a missing kind is free. A group that could
not be read is *broken*: unknown, never absent (access-and-api.md CL10, sync-semantics.md 7.3).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import clusters.errors as errors
from clusters.core.discovery import Discovery, KindInfo
from clusters.kube.session import Session
from clusters.kube.tuning import tuning

_SHAPE = "g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT = (
    f"application/json;{_SHAPE.format('v2')},application/json;{_SHAPE.format('v2beta1')},application/json"
)
_LOOK_AGAIN = 2.0


class Catalogue:
    """The discovery of one cluster, kept until a kind is missing or someone asks anew."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = asyncio.Lock()
        self._found: Discovery | None = None
        self._parts: dict[str, tuple[str, dict[str, Any]]] = {}
        self._read_at = float("-inf")
        self._suspect = False
        self._settling: dict[tuple[str, str], float] = {}

    async def current(self) -> Discovery:
        """What is known; asked anew when something cast doubt on it."""
        return self.known() or await self.refresh()

    def known(self) -> Discovery | None:
        """What is known and not in doubt; safe from any thread."""
        return None if self._suspect else self._found

    async def find(self, group: str, kind: str) -> KindInfo:
        """The kind in its preferred version. KindNotServed, or Unavailable while its group cannot be read."""
        discovery = await self.current()
        info = discovery.find(group, kind)
        if info is None and (self._suspect or tuning().clock() - self._read_at >= _LOOK_AGAIN):
            discovery = await self.refresh()
            info = discovery.find(group, kind)
        if info is not None:
            return info
        if group in discovery.broken_groups:
            raise errors.Unavailable(f"the API group {group} does not answer, {kind} is unknown for now")
        raise errors.KindNotServed(f"the cluster does not serve {group or 'v1'}/{kind}")

    def doubt(self) -> None:
        """Something was seen that makes the cache doubtful (a CRD was written, a path answered 404)."""
        self._suspect = True

    def changed(self, group: str, kind: str) -> None:
        """The definition of a kind was written: for a few seconds the server may not know it, or its new fields."""
        self.doubt()
        self._settling[group, kind] = tuning().clock() + tuning().new_kind

    def is_settling(self, group: str, kind: str) -> bool:
        """Whether 404, 429 and "field not declared" of this kind are believed to pass (api-server-facts.md C14)."""
        until = self._settling.get((group, kind))
        if until is not None and tuning().clock() >= until:
            del self._settling[group, kind]
            return False
        return until is not None

    async def refresh(self) -> Discovery:
        """Ask the cluster now; a caller that waited for another's refresh takes that one's answer."""
        before = self._read_at
        async with self._lock:
            if self._found is not None and self._read_at > before and not self._suspect:
                return self._found
            self._suspect = False
            await self._read()
            self._read_at = tuning().clock()
            assert self._found is not None
            return self._found

    async def _read(self) -> None:
        core, core_changed = await self._part("/api")
        named, named_changed = await self._part("/apis")
        if self._found is not None and not (core_changed or named_changed):
            return
        if core.get("kind") == "APIGroupDiscoveryList" and named.get("kind") == "APIGroupDiscoveryList":
            kinds = [*_aggregated(core), *_aggregated(named)]
            broken = frozenset(_stale(named))
        else:
            kinds, broken = await self._legacy(core, named)
        version = (await self._session.request("GET", "/version", verb="read", repeats=1)).json()
        self._found = _discovery(kinds, broken, str(version.get("gitVersion") or ""))

    async def _part(self, path: str) -> tuple[dict[str, Any], bool]:
        etag, cached = self._parts.get(path, ("", {}))
        headers = {"If-None-Match": etag} if etag else None
        answer = await self._session.request(
            "GET", path, verb="read", accept=ACCEPT, headers=headers, repeats=1
        )
        if answer.status == 304:
            return cached, False
        body = answer.json()
        self._parts[path] = (answer.headers.get("ETag", ""), body)
        return body, True

    async def _legacy(
        self, core: Mapping[str, Any], named: Mapping[str, Any]
    ) -> tuple[list[KindInfo], frozenset[str]]:
        wanted = [("", version, f"/api/{version}") for version in core.get("versions") or ["v1"]]
        for group in named.get("groups") or ():
            preferred = (group.get("preferredVersion") or {}).get("version")
            versions = [entry["version"] for entry in group.get("versions") or ()]
            versions.sort(key=lambda version: version != preferred)
            wanted += [(group["name"], version, f"/apis/{group['name']}/{version}") for version in versions]
        lists = await asyncio.gather(*(self._resources(path) for _, _, path in wanted))
        kinds: list[KindInfo] = []
        broken: set[str] = set()
        for (group_name, version, _), resources in zip(wanted, lists, strict=True):
            if resources is None:
                broken.add(group_name)
            else:
                kinds.extend(_legacy_kinds(group_name, version, resources))
        return kinds, frozenset(broken)

    async def _resources(self, path: str) -> list[dict[str, Any]] | None:
        try:
            answer = await self._session.request("GET", path, verb="read", repeats=1)
        except (errors.Unauthorized, errors.CircuitOpen):
            raise
        except errors.ClusterError:
            return None
        return list(answer.json().get("resources") or ())


def _aggregated(body: Mapping[str, Any]) -> Iterator[KindInfo]:
    for item in body.get("items") or ():
        group = (item.get("metadata") or {}).get("name") or ""
        for version in item.get("versions") or ():
            for resource in version.get("resources") or ():
                kind = (resource.get("responseKind") or {}).get("kind")
                if not kind:
                    continue
                yield KindInfo(
                    group=group,
                    version=version["version"],
                    kind=kind,
                    resource=resource["resource"],
                    namespaced=resource.get("scope") == "Namespaced",
                    verbs=frozenset(resource.get("verbs") or ()),
                    subresources=frozenset(sub["subresource"] for sub in resource.get("subresources") or ()),
                )


def _stale(body: Mapping[str, Any]) -> Iterator[str]:
    """Groups of which some version is not current: an aggregated API that does not answer."""
    for item in body.get("items") or ():
        if any(version.get("freshness", "Current") != "Current" for version in item.get("versions") or ()):
            yield (item.get("metadata") or {}).get("name") or ""


def _legacy_kinds(group: str, version: str, resources: Iterable[Mapping[str, Any]]) -> Iterator[KindInfo]:
    listed = list(resources)
    for entry in listed:
        name = entry["name"]
        if "/" in name:
            continue
        below = (other["name"].partition("/") for other in listed)
        yield KindInfo(
            group=group,
            version=version,
            kind=entry["kind"],
            resource=name,
            namespaced=bool(entry.get("namespaced")),
            verbs=frozenset(entry.get("verbs") or ()),
            subresources=frozenset(sub for resource, slash, sub in below if slash and resource == name),
        )


def _discovery(kinds: Iterable[KindInfo], broken: frozenset[str], server_version: str) -> Discovery:
    """Unite the versions of each kind; the first one seen is the preferred one."""
    by_kind: dict[tuple[str, str], list[KindInfo]] = {}
    for info in kinds:
        by_kind.setdefault((info.group, info.kind), []).append(info)
    united = {
        key: KindInfo(
            group=found[0].group,
            version=found[0].version,
            kind=found[0].kind,
            resource=found[0].resource,
            namespaced=found[0].namespaced,
            verbs=found[0].verbs,
            subresources=found[0].subresources,
            versions=tuple(dict.fromkeys(info.version for info in found)),
        )
        for key, found in by_kind.items()
    }
    lines = sorted(f"{i.group}/{i.versions}/{i.kind}/{i.resource}/{sorted(i.verbs)}" for i in united.values())
    digest = hashlib.sha256("\n".join([*lines, *sorted(broken)]).encode()).hexdigest()
    return Discovery(kinds=united, digest=digest, broken_groups=broken, server_version=server_version)
