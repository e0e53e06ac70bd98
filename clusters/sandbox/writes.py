"""POST, PUT, PATCH: from a body to a stored object."""

from __future__ import annotations

from typing import Any

import orjson

import clusters.sandbox.deletes as deletes
import clusters.sandbox.managers as managers
import clusters.sandbox.patches as patches
from clusters.sandbox.answers import (
    MODIFIED,
    ApiError,
    Cause,
    already_exists,
    conflict,
    forbidden_field,
    invalid,
    required,
)
from clusters.sandbox.backend import Backend, Options
from clusters.sandbox.convert import to_served, to_storage
from clusters.sandbox.managers import Writer
from clusters.sandbox.registry import Served
from clusters.sandbox.shaping import check, shaped
from clusters.sandbox.strategies import (
    CHANGES_ON_UPDATE,
    ON_CREATE,
    default_storage_class,
    has_generation,
    on_update,
    random_suffix,
    spec_changed,
)

Manifest = dict[str, Any]
KEPT_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
UNCOMPARED = ("managedFields", "resourceVersion", "generation")


def create(b: Backend, served: Served, namespace: str, body: Manifest, options: Options) -> Manifest:
    """POST. Raises ApiError 400, 403, 404, 409, 422."""
    obj = _addressed(served, body, namespace, "")
    metadata = obj["metadata"]
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:58] + random_suffix()
    obj = shaped(served, obj, options, "create")
    if served.has_status:
        obj = shaped(served, {key: value for key, value in obj.items() if key != "status"}, options, "create")
    writer = _writer(b, served, options, "")
    entries = managers.update(None, obj, served.node, writer)
    return _create(b, served, obj, entries, options)


def replace(
    b: Backend,
    served: Served,
    namespace: str,
    name: str,
    body: Manifest,
    options: Options,
    subresource: str = "",
) -> Manifest:
    """PUT. Raises ApiError 400, 404, 409, 422."""
    live = b.get(served, namespace, name)
    obj = _addressed(served, body, namespace, name)
    return changed(b, served, live, shaped(served, obj, options, "update"), options, subresource)


def patch(
    b: Backend,
    served: Served,
    namespace: str,
    name: str,
    sort: str,
    body: Any,
    options: Options,
    subresource: str = "",
) -> Manifest:
    """PATCH by `sort` json, merge or strategic. Raises ApiError 400, 404, 409, 415, 422."""
    live = b.get(served, namespace, name)
    shown = to_served(live, served)
    if sort == "json":
        obj = patches.json_patch(shown, body)
    elif sort == "merge":
        obj = patches.merge_patch(shown, body)
    elif served.custom:
        text = "the body of the request was in an unknown format - accepted media types include: "
        raise ApiError(415, text + "application/json-patch+json, application/merge-patch+json")
    else:
        obj = patches.strategic_patch(shown, body, served.node)
    obj = _addressed(served, obj, namespace, name)
    return changed(b, served, live, shaped(served, obj, options, "patch"), options, subresource)


def apply(
    b: Backend,
    served: Served,
    namespace: str,
    name: str,
    body: Manifest,
    options: Options,
    subresource: str = "",
) -> tuple[Manifest, bool]:
    """Server-side apply. Returns the object and whether it is new. Raises ApiError 400, 404, 409, 422, 500."""
    live = b.store.get(served.group, served.resource, namespace, name)
    config = _applied(served, body, namespace, name, live)
    shown = to_served(live, served) if live is not None else None
    writer = _writer(b, served, options, subresource)
    sent = (body.get("metadata") or {}).get("namespace", "")
    what = f"{sent}/{name}; {served.group}/{served.version}, Kind={served.kind}"
    if live is None and subresource:
        b.get(served, namespace, name)
    merged, entries = managers.apply(shown, config, served.node, writer, force=options.force, what=what)
    if shown is not None and merged is shown and entries is shown["metadata"].get("managedFields"):
        b.admit("UPDATE", served, shown)
        return shown, False
    if live is None:
        obj = (
            {key: value for key, value in merged.items() if key != "status"} if served.has_status else merged
        )
        obj["metadata"] = dict(obj["metadata"])
        return _create(b, served, shaped(served, obj, options, what), entries, options), True
    metadata = {**merged["metadata"], "managedFields": entries}
    obj = shaped(served, {**merged, "metadata": metadata}, options, what)
    return _finished(b, served, live, obj, options, subresource), False


def _applied(served: Served, body: Manifest, namespace: str, name: str, live: Manifest | None) -> Manifest:
    """The body of an apply after the checks that come before the schema."""
    if not isinstance(body, dict) or (body.get("apiVersion"), body.get("kind")) != (
        served.api_version,
        served.kind,
    ):
        raise _not_applicable(body)
    if live is None and not (body.get("metadata") or {}).get("name"):
        raise ApiError(
            400, f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    config = _addressed(served, body, namespace, name)
    metadata = config["metadata"]
    if metadata.get("managedFields") is not None:
        raise ApiError(400, "metadata.managedFields must be nil")
    held = live["metadata"] if live is not None else {}
    uid = metadata.get("uid")
    if uid and live is None:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(served.resource, served.group, name, why)
    if live is not None and metadata.get("resourceVersion") not in (None, "", held["resourceVersion"]):
        raise conflict(served.resource, served.group, name, MODIFIED)
    if uid and uid != held.get("uid"):
        shown = f'Invalid value: "{uid}": field is immutable'
        raise invalid(served.kind, served.group, name, [Cause("metadata.uid", shown)])
    for field in ("resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"):
        metadata.pop(field, None)
    return config


def _not_applicable(body: Any) -> ApiError:
    held = body if isinstance(body, dict) else {}
    version = held.get("apiVersion") or ""
    shown = version if "/" in version else f"/{version}"
    return ApiError(400, f"invalid object type: {shown}, Kind={held.get('kind') or ''}")


def _addressed(served: Served, body: Any, namespace: str, name: str) -> Manifest:
    """A shallow copy of `body` with its own metadata that agrees with the URL. Raises ApiError 400."""
    if not isinstance(body, dict):
        raise ApiError(400, f"{served.kind} in version {served.version!r} cannot be handled: not an object")
    api_version, kind = body.get("apiVersion"), body.get("kind")
    if not kind and not api_version:
        api_version, kind = served.api_version, served.kind
    if kind != served.kind or api_version != served.api_version:
        raise _mismatch(served, api_version, kind)
    metadata = dict(body.get("metadata") or {})
    if served.namespaced:
        given = metadata.get("namespace")
        if given and given != namespace:
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise ApiError(400, text)
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if name:
        if metadata.get("name") not in (None, "", name):
            text = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            raise ApiError(400, text)
        metadata["name"] = name
    return {**body, "apiVersion": api_version, "kind": kind, "metadata": metadata}


def _mismatch(served: Served, api_version: Any, kind: Any) -> ApiError:
    version = str(api_version).rpartition("/")[2]
    text = f'{kind} in version "{version}" cannot be handled as a {served.kind}: '
    return ApiError(400, f"{text}converting ({version}.{kind}) to ({served.kind}): unknown conversion")


def _writer(b: Backend, served: Served, options: Options, subresource: str) -> Writer:
    ignored: tuple[str, ...] = ()
    if subresource == "status":
        ignored = tuple(
            name for name in ("spec", "metadata", "data", *served.node.fields) if name != "status"
        )
    elif served.has_status:
        ignored = ("status",)
    return Writer(options.manager, served.api_version, b.now(), subresource, ignored)


def _create(b: Backend, served: Served, obj: Manifest, entries: list[Manifest], options: Options) -> Manifest:
    """Store a new object; `obj` and its metadata are this function's own."""
    metadata = dict(obj["metadata"])
    obj = {**obj, "metadata": metadata}
    for field in (
        "resourceVersion",
        "managedFields",
        "deletionTimestamp",
        "selfLink",
        "deletionGracePeriodSeconds",
    ):
        metadata.pop(field, None)
    name = metadata.get("name", "")
    if not name:
        raise invalid(
            served.kind, served.group, "", [required("metadata.name", "name or generateName is required")]
        )
    b.admit("CREATE", served, obj)
    table = b.store.table(served.group, served.resource)
    place = (metadata.get("namespace", ""), name)
    if place in table.objects:
        raise already_exists(served.resource, served.group, name)
    metadata["uid"] = b.new_uid()
    metadata["creationTimestamp"] = b.now()
    if has_generation(served):
        metadata["generation"] = 1
    check(served, obj, None)
    allocate = ON_CREATE.get((served.group, served.kind))
    if allocate is not None:
        allocate(obj, b.addresses, options.dry_run)
    if served.resource == "persistentvolumeclaims" and obj["spec"].get("storageClassName") is None:
        standard = default_storage_class(b.store)
        if standard:
            obj["spec"]["storageClassName"] = standard
    if entries:
        metadata["managedFields"] = entries
    if options.dry_run:
        return obj
    return to_served(b.store.write(table, place, to_storage(obj, served)), served)


def changed(
    b: Backend, served: Served, live: Manifest, obj: Manifest, options: Options, subresource: str
) -> Manifest:
    """The end of PUT and PATCH: preconditions, managedFields, then storing. Raises ApiError 403, 409, 422."""
    metadata, held = obj["metadata"], live["metadata"]
    name = held["name"]
    version = metadata.get("resourceVersion")
    if version and version != held["resourceVersion"]:
        raise conflict(served.resource, served.group, name, MODIFIED)
    if metadata.get("uid") not in (None, "", held["uid"]):
        why = (
            f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {held['uid']}"
        )
        raise conflict(served.resource, served.group, name, why)
    shown = to_served(live, served)
    new = _scoped(served, shown, obj, subresource)
    entries = managers.update(shown, new, served.node, _writer(b, served, options, subresource))
    new["metadata"] = {**new["metadata"], "managedFields": entries}
    return _finished(b, served, live, new, options, subresource)


def _scoped(served: Served, live: Manifest, obj: Manifest, subresource: str) -> Manifest:
    """What of `obj` this endpoint may write; the rest is as it is live."""
    if subresource == "status":
        return {**live, "status": obj.get("status") or {}}
    new = dict(obj)
    if served.has_status:
        new.pop("status", None)
        if "status" in live:
            new["status"] = live["status"]
    metadata = dict(new["metadata"])
    for field in KEPT_METADATA:
        metadata.pop(field, None)
        if field in live["metadata"]:
            metadata[field] = live["metadata"][field]
    new["metadata"] = metadata
    return new


def _finished(
    b: Backend, served: Served, live: Manifest, new: Manifest, options: Options, subresource: str
) -> Manifest:
    """Validate and store a changed object, unless nothing changed; remove it when that was its last finalizer."""
    shown = to_served(live, served)
    entries = new["metadata"].get("managedFields")
    new = _scoped(served, shown, new, subresource)
    if (served.group, served.kind) in CHANGES_ON_UPDATE and subresource != "status":
        new = orjson.loads(orjson.dumps(new))
        on_update(served, shown, new, b.addresses)
    new["metadata"] = {**new["metadata"], "managedFields": entries}
    metadata, held = new["metadata"], shown["metadata"]
    for field in ("generation", "resourceVersion"):
        if field in held:
            metadata[field] = held[field]
    if not metadata.get("managedFields"):
        metadata.pop("managedFields", None)
    b.admit("UPDATE", served, new)
    if subresource != "status":
        _check_finalizers(served, held, metadata)
        check(served, new, shown)
        if "generation" in held and spec_changed(served, shown, new):
            metadata["generation"] = held["generation"] + 1
    if unchanged(shown, new):
        return shown
    if options.dry_run:
        return new
    stored = to_storage(new, served)
    table = b.store.table(served.group, served.resource)
    place = (held.get("namespace", ""), held["name"])
    released = metadata.get("deletionTimestamp") and not metadata.get("finalizers") and held.get("finalizers")
    gone = bool(released) and not deletes.still_wanted(served, stored)
    return to_served(b.store.write(table, place, stored, gone=gone), served)


def _check_finalizers(served: Served, held: Manifest, metadata: Manifest) -> None:
    if not held.get("deletionTimestamp"):
        return
    added = [f for f in metadata.get("finalizers") or () if f not in (held.get("finalizers") or ())]
    if added:
        text = "no new finalizers can be added if the object is being deleted, found new finalizers "
        cause = forbidden_field("metadata.finalizers", f"{text}{added}")
        raise invalid(served.kind, served.group, held["name"], [cause])


def unchanged(old: Manifest, new: Manifest) -> bool:
    """Whether two states are the same to a server: times of managedFields do not count."""
    if old.keys() != new.keys():
        return False
    if any(old[key] is not new[key] and old[key] != new[key] for key in old if key != "metadata"):
        return False
    before = {k: v for k, v in old["metadata"].items() if k not in UNCOMPARED}
    after = {k: v for k, v in new["metadata"].items() if k not in UNCOMPARED}
    if before != after:
        return False
    had, has = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    return had is has or managers.without_times(had) == managers.without_times(has)
