"""What an operation did to each object, for people: what no wave has reached has no result."""

from __future__ import annotations

from typing import Any

from clusters.core.manifests import ResourceKey
from hub.models import SyncOperation


def reached(operation: SyncOperation) -> list[dict[str, Any]]:
    """Results of tasks that were begun, and of those that the check before the first write refused."""
    refused = {one["key"]: one["message"] for one in operation.wait.get("details") or () if one.get("key")}
    found = []
    for row in operation.results:
        key = str(ResourceKey(row["group"], row["kind"], row["namespace"], row["name"]))
        if row["state"] != "pending":
            found.append(row)
        elif key in refused:
            found.append({**row, "state": "Failed", "code": "SyncFailed", "message": refused[key]})
    return found
