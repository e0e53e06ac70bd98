"""The live state of clusters: label-selected watches kept in memory, or a LIST when there is none.

May live here: the cache, the watch loops, `live_state`, holding back the events of our own writes.
May not: judging what was seen (drift, health), records, requests that change anything.
"""

from clusters.live.state import LiveState, everything, live_state, versions
from clusters.live.store import hold, release, resource_version
from clusters.live.watching import (
    Freshness,
    freshness,
    memory,
    set_listener,
    unwatch_cluster,
    watch_cluster,
)

__all__ = [
    "Freshness",
    "LiveState",
    "everything",
    "freshness",
    "hold",
    "live_state",
    "memory",
    "release",
    "resource_version",
    "set_listener",
    "unwatch_cluster",
    "versions",
    "watch_cluster",
]
