"""managedFields: uniting entries so that fields once owned by another manager are ours (sync-semantics.md 4.1)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from clusters.core.manifests import FIELD_MANAGER, Manifest

Tree = dict[str, Any]
Entry = dict[str, Any]


def union(trees: Iterable[Tree]) -> Tree:
    """The field set that contains every field of `trees` (fieldsV1: `f:name`, `k:{...}`, `v:value`, `.`)."""
    united: Tree = {}
    for tree in trees:
        for name, below in tree.items():
            there = united.get(name)
            united[name] = union((there, below)) if there else union((below,))
    return united


def move_patch(
    obj: Manifest, managers: Collection[str], *, into: str = FIELD_MANAGER
) -> list[dict[str, Any]]:
    """The JSON patch that unites the entries of `managers`, and what `into` has, into one entry `into`/Apply.

    Empty when there is nothing to move. Entries of subresources stay, and so does ownership of `status`: the
    next apply would remove it. Three traps seen on a real server (api-server-facts.md C2): the patch is guarded by
    resourceVersion (409 when stale), of two entries of one identity the last would win silently, and a POST or PUT
    of ours leaves an Update entry that keeps fields alive.
    """
    metadata = obj["metadata"]
    entries: list[Entry] = metadata.get("managedFields") or []
    moved = [entry for entry in entries if _is_moved(entry, managers, into)]
    if not moved:
        return []
    ours = [entry for entry in entries if _identity(entry) == (into, "Apply", "")]
    kept = [entry for entry in entries if entry not in moved and entry not in ours]
    united = _entry(into, [*ours, *moved], str(obj["apiVersion"]))
    return [
        {
            "op": "replace",
            "path": "/metadata/managedFields",
            "value": [united, *kept, *filter(None, map(_status_rest, moved))],
        },
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
    ]


def _identity(entry: Entry) -> tuple[str, str, str]:
    return entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", "")


def _is_moved(entry: Entry, managers: Collection[str], into: str) -> bool:
    manager, operation, subresource = _identity(entry)
    if subresource or not _without_status(entry):
        return False
    return (manager in managers and (manager, operation) != (into, "Apply")) or (manager, operation) == (
        into,
        "Update",
    )


def _entry(manager: str, sources: list[Entry], api_version: str) -> Entry:
    times = [entry["time"] for entry in sources if entry.get("time")]
    united: Entry = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": sources[0].get("apiVersion") or api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": union(_without_status(entry) for entry in sources),
    }
    return united | ({"time": max(times)} if times else {})


def _without_status(entry: Entry) -> Tree:
    return {name: below for name, below in (entry.get("fieldsV1") or {}).items() if name != "f:status"}


def _status_rest(entry: Entry) -> Entry | None:
    """What stays of a moved entry: its ownership of `status`. An Apply entry of status alone is not kept as such."""
    status = (entry.get("fieldsV1") or {}).get("f:status")
    return {**entry, "fieldsV1": {"f:status": status}} if status is not None else None
