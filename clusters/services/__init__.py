"""What the hub may ask of a cluster: register it, probe it, see it, change it.

May live here: the plain functions that the hall and the doors call. May not: decisions about what to change (see
`clusters.core.plan`), transport (see `clusters.kube`).
"""

from clusters.kube.gate import discovery
from clusters.kube.gate import get as get_object
from clusters.kube.loop import wait_within
from clusters.kube.metrics import snapshot as request_counts
from clusters.live import (
    LiveState,
    everything,
    freshness,
    live_state,
    set_listener,
    unwatch_cluster,
    versions,
    watch_cluster,
)
from clusters.services.carrying import carry_out
from clusters.services.evaluating import assess_health, jq_places
from clusters.services.inspecting import EventFeed, Lists, Log, LogRequest, Stream, events_of, list_in
from clusters.services.probing import Probe, alive, probe

__all__ = [
    "EventFeed",
    "Lists",
    "LiveState",
    "Log",
    "LogRequest",
    "Probe",
    "Stream",
    "alive",
    "assess_health",
    "carry_out",
    "discovery",
    "events_of",
    "everything",
    "freshness",
    "get_object",
    "jq_places",
    "list_in",
    "live_state",
    "probe",
    "request_counts",
    "set_listener",
    "unwatch_cluster",
    "versions",
    "wait_within",
    "watch_cluster",
    "watched",
]


def watched(identity: str) -> bool:
    """Whether this process holds a healthy watch of every kind it was asked to watch in a cluster."""
    kinds = freshness(identity)
    return bool(kinds) and all(kind.healthy for kind in kinds.values())
