"""GET, LIST and the watches."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

import clusters.sandbox.selectors as selectors
from clusters.sandbox.answers import ApiError, Cause, expired, invalid_options, too_large, unsupported
from clusters.sandbox.backend import Backend
from clusters.sandbox.convert import to_served
from clusters.sandbox.registry import Served
from clusters.sandbox.store import ADDED, DELETED, MODIFIED, Change, Place, Table

Manifest = dict[str, Any]
LAPSED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects of a resource a reader wants."""

    namespace: str
    name: str
    labels: selectors.Test | None
    fields: tuple[Any, ...]

    @classmethod
    def of(cls, namespace: str, query: Any, served: Served) -> Filter:
        """From a URL's query. Raises ApiError 400."""
        tests = selectors.fields(query.get("fieldSelector", ""))
        if tests:
            held = (served.crd or {}).get("selectableFields") or ()
            extra = tuple(field["jsonPath"].lstrip(".") for field in held)
            selectors.check_fields(served.group, served.resource, extra, tests)
        name = next((value for path, value, equal in tests if path == ("metadata", "name") and equal), "")
        return cls(namespace, name, selectors.labels(query.get("labelSelector", "")), tests)

    @property
    def selective(self) -> bool:
        return self.labels is not None or bool(self.fields)

    def place(self, place: Place) -> bool:
        return (not self.namespace or place[0] == self.namespace) and (not self.name or place[1] == self.name)

    def holds(self, obj: Manifest) -> bool:
        if self.labels is not None and not self.labels(obj["metadata"].get("labels") or {}):
            return False
        return not self.fields or selectors.matches_fields(obj, self.fields)


def parse_version(text: str) -> int:
    """A resourceVersion as a number. Raises ApiError 500 for garbage, as servers do."""
    if not text:
        return 0
    if not text.isdigit():
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ApiError(500, why, reason="")
    return int(text)


def partial(obj: Manifest) -> Manifest:
    """The PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def encoder(table: Table, served: Served, metadata_only: bool) -> Callable[[Place, Manifest], bytes]:
    """How objects of a table become JSON for a reader of `served`."""
    if metadata_only:
        return lambda _, obj: orjson.dumps(partial(obj))

    def shown(place: Place, obj: Manifest) -> bytes:
        held = obj.get("apiVersion") == served.api_version
        return table.encoded(place, obj) if held else orjson.dumps(to_served(obj, served))

    return shown


def list_objects(
    b: Backend, served: Served, namespace: str, query: Any, *, metadata_only: bool = False
) -> bytes:
    """The body of a LIST. Raises ApiError 400, 410, 422, 504."""
    table = b.store.table(served.group, served.resource)
    wanted = Filter.of(namespace, query, served)
    limit = int(query.get("limit") or 0)
    token = query.get("continue", "")
    _check_list(query, token)
    try:
        version = parse_version(query.get("resourceVersion", ""))
    except ApiError as garbage:
        raise ApiError(400, f"invalid resource version: {garbage.message}") from garbage
    start: Place = ("", "")
    objects, order = table.objects, table.order()
    at = b.store.version
    if token:
        at, start = _continued(table, token)
    elif query.get("resourceVersionMatch") == "Exact":
        at = _exact(b, table, version)
    elif version > b.store.version:
        raise too_large(version, b.store.version)
    elif query.get("resourceVersion") == "0":
        limit = 0
    if at != b.store.version:
        objects = table.snapshot(at)
        order = sorted(objects)
    kind = (
        ("PartialObjectMetadataList", "meta.k8s.io/v1")
        if metadata_only
        else (served.list_kind, served.api_version)
    )
    return _page(kind, wanted, objects, order, at, start, limit, encoder(table, served, metadata_only))


def _check_list(query: Any, token: str) -> None:
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    causes = []
    if match and token:
        causes.append(
            _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        )
    elif match and not version:
        text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(_forbidden("resourceVersionMatch", text))
    elif match == "Exact" and version == "0":
        text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(_forbidden("resourceVersionMatch", text))
    if query.get("sendInitialEvents"):
        causes.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if causes:
        raise invalid_options("ListOptions", causes)


def _forbidden(field: str, text: str) -> Cause:
    return Cause(field, f"Forbidden: {text}", "FieldValueForbidden")


def _continued(table: Table, token: str) -> tuple[int, Place]:
    try:
        held = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        at, start = int(held["rv"]), tuple(held["start"])
    except (ValueError, KeyError, TypeError) as broken:
        raise ApiError(400, f"invalid continue token: continue key is not valid: {broken}") from broken
    if at < table.floor:
        fresh = _token(-1, start)
        raise ApiError(410, LAPSED, metadata={"continue": fresh})
    return at, start


def _token(at: int, start: Place) -> str:
    raw = orjson.dumps({"v": "meta.k8s.io/v1", "rv": at, "start": list(start)})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _exact(b: Backend, table: Table, version: int) -> int:
    if version > b.store.version:
        raise too_large(version, b.store.version)
    if version < table.floor:
        raise expired("The resourceVersion for the provided list is too old.")
    return version


def _page(
    kind: tuple[str, str],
    wanted: Filter,
    objects: dict[Place, Manifest],
    order: list[Place],
    at: int,
    start: Place,
    limit: int,
    encode: Callable[[Place, Manifest], bytes],
) -> bytes:
    items: list[bytes] = []
    last = start
    metadata: Manifest = {"resourceVersion": str(at)}
    rest = [place for place in order if place > start and wanted.place(place)] if start != ("", "") else order
    for index, place in enumerate(rest):
        obj = objects[place]
        if not wanted.place(place) or not wanted.holds(obj):
            continue
        if limit and len(items) == limit:
            metadata["continue"] = _token(at, last)
            if not wanted.selective:
                metadata["remainingItemCount"] = sum(wanted.place(p) for p in rest[index:])
            break
        items.append(encode(place, obj))
        last = place
    head = f'{{"kind":"{kind[0]}","apiVersion":"{kind[1]}","metadata":'.encode() + orjson.dumps(metadata)
    return head + b',"items":[' + b",".join(items) + b"]}\n"


class Watcher:
    """One open watch: what it still has to send, and a call when there is something new."""

    def __init__(
        self, served: Served, table: Table, wanted: Filter, wake: Callable[[], None], partly: bool
    ) -> None:
        self.served = served
        self.table = table
        self.wanted = wanted
        self.wake = wake
        self.partly = partly
        self.pending: deque[bytes] = deque()
        self.version = 0
        self.over = False

    def saw(self, change: Change) -> None:
        """A write happened in the table."""
        self.version = change.version
        if not self.wanted.place(change.place):
            return
        sort = self._sort(change)
        if sort:
            self.pending.append(self._line(sort, change))
            self.wake()

    def _sort(self, change: Change) -> str:
        had = change.old is not None and self.wanted.holds(change.old)
        has = not change.gone and self.wanted.holds(change.new)
        if has:
            return MODIFIED if had else ADDED
        return DELETED if had else ""

    def _line(self, sort: str, change: Change) -> bytes:
        left = sort == DELETED and not change.gone
        if self.partly or change.new.get("apiVersion") != self.served.api_version:
            obj = to_served(change.left() if left else change.new, self.served)
            body = orjson.dumps(partial(obj) if self.partly else obj)
        else:
            body = change.raw_left if left else change.raw
        return b'{"type":"' + sort.encode() + b'","object":' + body + b"}\n"

    def initial(self) -> None:
        """ADDED for every object there is."""
        encode = encoder(self.table, self.served, self.partly)
        for place in self.table.order():
            obj = self.table.objects[place]
            if self.wanted.place(place) and self.wanted.holds(obj):
                self.pending.append(b'{"type":"ADDED","object":' + encode(place, obj) + b"}\n")

    def bookmark(self, version: int, *, ends_initial: bool = False) -> bytes:
        metadata: Manifest = {"resourceVersion": str(version)}
        if ends_initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind = "PartialObjectMetadata" if self.partly else self.served.kind
        api = "meta.k8s.io/v1" if self.partly else self.served.api_version
        obj = {"kind": kind, "apiVersion": api, "metadata": metadata}
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"

    def drain(self) -> Iterator[bytes]:
        while self.pending:
            yield self.pending.popleft()


def error_line(error: ApiError) -> bytes:
    return orjson.dumps({"type": "ERROR", "object": error.body()}) + b"\n"


def open_watch(
    b: Backend, served: Served, namespace: str, query: Any, wake: Callable[[], None], *, partly: bool
) -> Watcher:
    """A registered Watcher with what it must send first. Raises ApiError 422 before, 410 as the first event."""
    table = b.store.table(served.group, served.resource)
    streaming = _check_watch(query)
    text = query.get("resourceVersion", "")
    version = parse_version(text)
    watcher = Watcher(served, table, Filter.of(namespace, query, served), wake, partly)
    watcher.version = b.store.version
    bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
    if version > b.store.version and streaming:
        raise too_large(version, b.store.version)
    if version in (0,) or streaming:
        watcher.initial()
        if bookmarks:
            watcher.pending.append(watcher.bookmark(b.store.version, ends_initial=True))
    elif version < table.floor:
        raise expired(f"too old resource version: {version} ({table.floor})")
    else:
        for change in table.since(version):
            watcher.saw(change)
        watcher.version = max(b.store.version, version)
    table.watchers.add(watcher)
    return watcher


def _check_watch(query: Any) -> bool:
    """Whether this is a streaming list. Raises ApiError 422 for options that do not go together."""
    given, match = query.get("sendInitialEvents"), query.get("resourceVersionMatch", "")
    causes = []
    if given is not None and match != "NotOlderThan":
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(_forbidden("resourceVersionMatch", text))
        if match:
            causes.append(unsupported("resourceVersionMatch", match, ["NotOlderThan"]))
    elif given is None and match:
        text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(_forbidden("resourceVersionMatch", text))
    if causes:
        raise invalid_options("ListOptions", causes)
    return given in ("1", "true")
