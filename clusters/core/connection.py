"""How to reach one cluster: a value, made from a record or a kubeconfig, used by the gate `clusters.kube`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything the gate needs to talk to one cluster. Secrets never appear in `repr`.

    `identity` is stable per cluster (its key in caches and shards); `generation` changes with credentials or
    address, so that a cached session made from an older Connection is dropped.
    The server's name is resolved and judged at every connect (guard.addresses); `private_networks` are the private
    ranges that may be dialled (networks as text), in-cluster needs none.
    `namespaces` non-empty restricts every list and watch to these namespaces (access-and-api.md CL9).
    """

    identity: str
    server: str
    generation: int = 1
    name: str = ""
    ca_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    client_certificate_pem: str = field(default="", repr=False)
    client_key_pem: str = field(default="", repr=False)
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    proxy_url: str = field(default="", repr=False)
    in_cluster: bool = False
    namespaces: tuple[str, ...] = ()
    cluster_resources: bool = True
    impersonate_user: str = ""
    allow_loopback: bool = False
    private_networks: tuple[str, ...] = ()
    max_in_flight: int = 16
