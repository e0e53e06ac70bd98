"""What a probe found, written into the record of its Cluster."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from clusters.models import Cluster
from clusters.services.probing import Probe

PROBE_EVERY = timedelta(hours=1)
PROBE_AGAIN = timedelta(minutes=1)


def record_probe(cluster: Cluster, probe: Probe, now: datetime) -> bool:
    """Store what a probe of this record's credentials found; False when they were replaced meanwhile.

    The next look is in an hour, in a minute after a failure. A paused cluster stays Paused.
    """
    columns: dict[str, Any] = {
        "state": Cluster.State.PAUSED if cluster.paused else probe.state,
        "state_message": probe.message[:500],
        "missing_rights": list(probe.missing_rights),
        "probed_at": now,
        "next_probe_at": now + (PROBE_EVERY if probe.state in ("Connected", "Degraded") else PROBE_AGAIN),
        "version": probe.version or F("version"),
        "uid": probe.uid or F("uid"),
    }
    changed = Cluster.objects.filter(pk=cluster.pk, generation=cluster.generation).update(**columns)
    return changed == 1
