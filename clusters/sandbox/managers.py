"""Who owns which field: `metadata.managedFields`, for server-side apply and for every other write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import clusters.sandbox.fieldsets as fieldsets
import clusters.sandbox.typed as typed
from clusters.sandbox.answers import ApiError
from clusters.sandbox.conform import Findings, conform
from clusters.sandbox.fieldsets import MARK, FieldSet
from clusters.sandbox.schema import Node

Manifest = dict[str, Any]
NEVER_OWNED = ("apiVersion", "kind")
NEVER_OWNED_METADATA = (
    MARK,
    "f:name",
    "f:namespace",
    "f:creationTimestamp",
    "f:selfLink",
    "f:uid",
    "f:clusterName",
    "f:generation",
    "f:managedFields",
    "f:resourceVersion",
)
MAX_UPDATERS = 10


class Identity(NamedTuple):
    """What tells two entries apart. `api_version` is empty for Apply entries."""

    manager: str
    operation: str
    api_version: str
    subresource: str


@dataclass(slots=True)
class Entry:
    """One owner: its fields, the version they are written in and when they last changed."""

    api_version: str
    fields: FieldSet
    time: str


Managed = dict[Identity, Entry]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, in which version, through which subresource, when (RFC 3339), to which part of the object."""

    manager: str
    api_version: str
    now: str
    subresource: str = ""
    ignored: tuple[str, ...] = ()

    def identity(self, operation: str) -> Identity:
        version = "" if operation == "Apply" else self.api_version
        return Identity(self.manager, operation, version, self.subresource)


def decode(entries: list[Manifest] | None) -> Managed:
    """Entries by identity; of several with one identity the last stays (api-server-facts C2)."""
    out: Managed = {}
    for entry in entries or ():
        operation = entry.get("operation", "")
        version = entry.get("apiVersion", "")
        identity = Identity(
            entry.get("manager", ""),
            operation,
            "" if operation == "Apply" else version,
            entry.get("subresource", ""),
        )
        out[identity] = Entry(version, entry.get("fieldsV1") or {}, entry.get("time", ""))
    return out


def encode(managed: Managed) -> list[Manifest]:
    """The list as it stands in an object, in the server's order."""
    rows = []
    for identity, entry in managed.items():
        row: Manifest = {
            "manager": identity.manager,
            "operation": identity.operation,
            "apiVersion": entry.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": entry.fields,
        }
        if not entry.time:
            del row["time"]
        if identity.subresource:
            row["subresource"] = identity.subresource
        rows.append(row)
    if len(rows) > 1:
        rows.sort(
            key=lambda r: (
                r["operation"],
                r.get("time", ""),
                r["manager"],
                r["apiVersion"],
                r.get("subresource", ""),
            )
        )
    return rows


def _ownable(tree: FieldSet, ignored: tuple[str, ...]) -> FieldSet:
    """`tree` without what nobody owns and without the parts this endpoint does not write."""
    out = {key: below for key, below in tree.items() if key[2:] not in NEVER_OWNED and key[2:] not in ignored}
    metadata = out.get("f:metadata")
    if metadata is not None:
        kept = {key: below for key, below in metadata.items() if key not in NEVER_OWNED_METADATA}
        if kept:
            out["f:metadata"] = kept
        else:
            del out["f:metadata"]
    return out


def _relevant(tree: FieldSet, ignored: tuple[str, ...]) -> FieldSet:
    if not ignored:
        return tree
    return {key: below for key, below in tree.items() if key[2:] not in ignored}


def apply(
    live: Manifest | None, config: Manifest, node: Node, writer: Writer, *, force: bool, what: str
) -> tuple[Manifest, list[Manifest]]:
    """The object after a server-side apply (not yet defaulted) and its managedFields.

    Raises ApiError 500 for a body that breaks the schema and 409 for conflicts (api-server-facts 4).
    """
    fields, problems = typed.read(config, node)
    if problems:
        raise ApiError(500, f"failed to create typed patch object ({what}): {_listed(problems)}", reason="")
    fields = _ownable(fields, writer.ignored)
    me = writer.identity("Apply")
    if live is None:
        return config, encode({me: Entry(writer.api_version, fields, writer.now)}) if fields else []
    entries = live["metadata"].get("managedFields")
    managed = decode(entries) if entries else _before_first_apply(live, node)
    last = managed.get(me)
    merged = typed.merge(live, config, node)
    if (
        last is not None
        and merged is live
        and last.fields == fields
        and last.api_version == writer.api_version
    ):
        return live, entries or []
    managed[me] = Entry(writer.api_version, fields, writer.now)
    if last is not None and last.fields != fields:
        owned: FieldSet = {"f:metadata": {"f:name": {}}}
        for entry in managed.values():
            owned = fieldsets.union(owned, entry.fields)
        merged = typed.remove(merged, typed.abandoned(last.fields, owned, node), node) or {}
    if merged is live or merged == live:
        managed[me].time = last.time if last is not None else ""
    changed, removed = typed.compare(live, merged, node)
    _settle(managed, me, _relevant(changed, writer.ignored), _relevant(removed, writer.ignored), force)
    return merged, encode(managed)


def _before_first_apply(live: Manifest, node: Node) -> Managed:
    fields = _ownable(typed.compare({}, live, node)[0], ())
    identity = Identity("before-first-apply", "Update", live["apiVersion"], "")
    return {identity: Entry(live["apiVersion"], fields, "")}


def _settle(managed: Managed, me: Identity, changed: FieldSet, removed: FieldSet, force: bool) -> None:
    """Take from the others what this apply changed or removed; refuse if it may not."""
    conflicts = []
    if changed:
        for identity, entry in managed.items():
            if identity != me:
                taken = fieldsets.intersection(entry.fields, changed)
                if taken:
                    conflicts.append((identity, taken))
    if conflicts and not force:
        raise _conflict(conflicts)
    for identity, taken in conflicts:
        managed[identity].fields = fieldsets.difference(managed[identity].fields, taken)
    if removed:
        for identity, entry in managed.items():
            if identity != me:
                entry.fields = fieldsets.difference(entry.fields, removed)
    for identity in [identity for identity, entry in managed.items() if not entry.fields]:
        del managed[identity]


def update(live: Manifest | None, new: Manifest, node: Node, writer: Writer) -> list[Manifest]:
    """The managedFields after any write that is not an apply. `new` may carry an edited list of its own."""
    given = new["metadata"].get("managedFields")
    had = live["metadata"].get("managedFields") if live else None
    reset = given == [] or given == [{}]
    if reset and not writer.subresource:
        return []
    entries = given if given and not writer.subresource else had
    if live is not None and not entries:
        return []
    managed = decode(entries)
    changed, removed = typed.compare(_nothing(node) if live is None else live, new, node)
    changed = _relevant(changed, writer.ignored)
    removed = _relevant(removed, writer.ignored)
    mine = _ownable(changed, ())
    if not mine and not removed:
        return (had or []) if entries is had or not entries else encode(managed)
    for identity, entry in list(managed.items()):
        entry.fields = fieldsets.difference(fieldsets.difference(entry.fields, changed), removed)
        if not entry.fields:
            del managed[identity]
    if mine:
        me = writer.identity("Update")
        previous = managed.get(me)
        fields = fieldsets.union(previous.fields, mine) if previous else mine
        managed[me] = Entry(writer.api_version, fields, writer.now)
    _cap(managed)
    return encode(managed)


def _nothing(node: Node) -> Manifest:
    """What a new object is compared with: the parts a built-in kind always has are there from the beginning."""
    return conform({}, node, Findings(), blank=True) if node.raw is None else {}


def _cap(managed: Managed) -> None:
    """Fold the oldest Update entries of one version into `ancient-changes`, so that ten stay."""
    updaters = sorted((e.time, i) for i, e in managed.items() if i.operation == "Update")
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return
    for version in {identity.api_version for _, identity in updaters}:
        same = [identity for _, identity in updaters if identity.api_version == version]
        if excess <= 0 or len(same) < 2:
            continue
        bucket = Entry(version, {}, "")
        for identity in same[: excess + 1]:
            entry = managed.pop(identity)
            bucket = Entry(version, fieldsets.union(bucket.fields, entry.fields), entry.time)
        managed[Identity("ancient-changes", "Update", version, "")] = bucket
        excess -= len(same[: excess + 1]) - 1


def without_times(entries: list[Manifest] | None) -> list[Manifest]:
    """Entries as they are compared to see whether a write changes anything."""
    return [{key: value for key, value in entry.items() if key != "time"} for entry in entries or ()]


def _listed(problems: typed.Problems) -> str:
    if len(problems) == 1:
        return f"{problems[0][0]}: {problems[0][1]}"
    return "errors:" + "".join(f"\n  {path}: {sentence}" for path, sentence in problems)


def _owner(identity: Identity) -> str:
    text = f'"{identity.manager}"'
    if identity.subresource:
        text += f' with subresource "{identity.subresource}"'
    return f"{text} using {identity.api_version}" if identity.operation == "Update" else text


def _conflict(conflicts: list[tuple[Identity, FieldSet]]) -> ApiError:
    rows = [
        (_owner(identity), fieldsets.printed(path))
        for identity, tree in conflicts
        for path in fieldsets.members(tree)
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path}
        for owner, path in rows
    ]
    if len(rows) == 1:
        text = f"Apply failed with 1 conflict: conflict with {rows[0][0]}: {rows[0][1]}"
    else:
        lines = []
        for owner in sorted({owner for owner, _ in rows}):
            lines += [f"conflicts with {owner}:"] + [f"- {path}" for held, path in rows if held == owner]
        text = f"Apply failed with {len(rows)} conflicts: " + "\n".join(lines)
    return ApiError(409, text, details={"causes": causes})
