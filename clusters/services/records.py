"""Cluster records: made from a kubeconfig, given new credentials, told what a probe found. One transaction each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from clusters.core.kubeconfig import Kubeconfig
from clusters.models import Cluster
from clusters.services.probing import Probe

PROBE_EVERY = timedelta(hours=1)
PROBE_AGAIN = timedelta(minutes=1)


def register(name: str, found: Kubeconfig, **fields: Any) -> Cluster:
    """A new Cluster from what was read of a kubeconfig; `fields` are further columns (scope, labels, namespaces...).

    Raises IntegrityError when the name is taken. Who may register what is the caller's to judge.
    """
    return Cluster.objects.create(name=name, **_access(found), **fields)


def replace_credentials(cluster: Cluster, found: Kubeconfig) -> None:
    """New address and credentials; the generation rises, so every session made from the old ones is dropped."""
    for column, value in _access(found).items():
        setattr(cluster, column, value)
    cluster.generation += 1
    cluster.state = Cluster.State.UNKNOWN
    cluster.save(update_fields=[*_access(found), "generation", "state"])


def _access(found: Kubeconfig) -> dict[str, Any]:
    return {
        "server": found.server,
        "ca_pem": found.ca_pem,
        "token": found.token,
        "client_certificate_pem": found.client_certificate_pem,
        "client_key_pem": found.client_key_pem,
        "tls_server_name": found.tls_server_name,
        "insecure_skip_tls_verify": found.insecure_skip_tls_verify,
        "proxy_url": found.proxy_url,
    }


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
