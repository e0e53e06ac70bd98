"""How to reach one Repository: a value made from records, used by the gate `hub.source`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

_SECRET_FIELDS = ("password", "bearer_token", "ssh_private_key", "tls_client_key", "proxy_url")


@dataclass(frozen=True, slots=True)
class RepositoryAccess:
    """One Repository with the credential that serves it. Secrets never appear in `repr`.

    `id` names the mirror (one per record, never shared). `credential` is what texts call the credential, for
    example `template git.example.com/team`. `username` alone or with `password` is HTTP Basic; `bearer_token` is
    sent as `Authorization: Bearer`. `known_hosts` is in OpenSSH form, CA and certificates are PEM text.
    `insecure` skips host key and TLS checks and counts only with `allow_insecure`, the admin's switch.
    `depth` 0 means full history of the tracked refs. `private_networks` are CIDR texts that may be dialled.
    """

    id: str
    url: str
    type: str = "git"
    project: str = ""
    credential: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    ssh_private_key: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)
    tls_ca: str = field(default="", repr=False)
    tls_client_certificate: str = field(default="", repr=False)
    tls_client_key: str = field(default="", repr=False)
    proxy_url: str = field(default="", repr=False)
    no_proxy: str = ""
    insecure: bool = False
    allow_insecure: bool = False
    depth: int = 0
    allow_http: bool = False
    allow_file: bool = False
    allow_loopback: bool = False
    private_networks: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must not appear in a text; multi-line keys also line by line."""
        values = [getattr(self, name) for name in _SECRET_FIELDS]
        lines = [*self.ssh_private_key.splitlines(), *self.tls_client_key.splitlines()]
        return tuple(
            value for value in (*values, *lines) if len(value) >= 4 and not value.startswith("-----")
        )

    @property
    def skip_checks(self) -> bool:
        return self.insecure and self.allow_insecure

    @property
    def credential_digest(self) -> str:
        """Tells credentials apart without telling them; back-off is counted per host and this."""
        parts = [
            self.username,
            *(getattr(self, name) for name in _SECRET_FIELDS),
            self.tls_client_certificate,
        ]
        return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]
