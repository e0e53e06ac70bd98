"""What the hub may ask of a cluster: register it, probe it, see it, change it.

May live here: the plain functions that the hall and the doors call. May not: decisions about what to change (see
`clusters.core.plan`), transport (see `clusters.kube`).
"""

from clusters.live import LiveState, freshness, live_state, set_listener, unwatch_cluster, watch_cluster
from clusters.services.carrying import carry_out

__all__ = [
    "LiveState",
    "carry_out",
    "freshness",
    "live_state",
    "set_listener",
    "unwatch_cluster",
    "watch_cluster",
]
