"""The only gate to the Kubernetes API: plain functions outside, one asyncio loop inside.

May live here: transport, discovery, requests, watch streams, the repeats that one write needs.
May not: decisions about what to apply or delete, Django, anything that remembers live objects (see `clusters.live`).
"""

from clusters.kube.gate import (
    apply,
    create,
    delete,
    discovery,
    get,
    list_kind,
    patch,
    replace,
    shutdown,
)
from clusters.kube.requests import Listing, Written

__all__ = [
    "Listing",
    "Written",
    "apply",
    "create",
    "delete",
    "discovery",
    "get",
    "list_kind",
    "patch",
    "replace",
    "shutdown",
]
