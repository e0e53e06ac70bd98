"""How a connection is made: TLS from a Connection's texts, addresses that were judged, in-cluster credentials.

Nothing here reads a path that a user could name: the only files are the mounted ones of CL6.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

import clusters.errors as errors
from clusters.core.connection import Connection
from guard import addresses

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def tls_context(connection: Connection) -> ssl.SSLContext:
    """The TLS side of a Connection. CertificateInvalid if its own texts cannot be used."""
    try:
        context = ssl.create_default_context(cadata=ca_of(connection) or None)
        # Cluster CAs are made by tools that leave out extensions RFC 5280 asks for; the chain is verified all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if connection.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if connection.client_certificate_pem:
            _load_client_certificate(context, connection)
    except (ssl.SSLError, ValueError) as problem:
        raise errors.CertificateInvalid(
            f"the TLS data of {connection.server} cannot be used: {problem}"
        ) from None
    return context


def ca_of(connection: Connection) -> str:
    return _mounted("ca.crt")[0] if connection.in_cluster else connection.ca_pem


def ca_stamp(connection: Connection) -> int:
    """Changes when the mounted CA does: a session made before is to be made anew (CL6)."""
    try:
        return (MOUNTED / "ca.crt").stat().st_mtime_ns if connection.in_cluster else 0
    except OSError:
        return 0


def _mounted(name: str, known: int = 0) -> tuple[str, int]:
    """(text, stamp) of a mounted file; an empty text when it still has the `known` stamp. Unavailable without it."""
    try:
        stamp = (MOUNTED / name).stat().st_mtime_ns
        return ("" if stamp == known else (MOUNTED / name).read_text().strip()), stamp
    except OSError:
        raise errors.Unavailable(
            f"the service account's {name} is not mounted here", hint="in-cluster works inside a pod only"
        ) from None


def _load_client_certificate(context: ssl.SSLContext, connection: Connection) -> None:
    """`ssl` loads certificates from paths only: the pair goes through memory, or a private file that is gone at once."""
    pair = f"{connection.client_certificate_pem}\n{connection.client_key_pem}".encode()
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, pair)
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as private:
        private.write(pair)
        private.flush()
        context.load_cert_chain(private.name)


class Token:
    """The bearer token of a Connection; the mounted one is read again when its file changed (CL6)."""

    def __init__(self, connection: Connection) -> None:
        self._in_cluster = connection.in_cluster
        self._text = connection.token
        self._stamp = 0

    def current(self) -> str:
        if self._in_cluster:
            text, self._stamp = _mounted("token", self._stamp)
            self._text = text or self._text
        return self._text


def check_server(connection: Connection) -> None:
    """AddressRefused unless the server's URL has an acceptable shape: https, or http on a permitted loopback."""
    parts = urlsplit(connection.server)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise errors.AddressRefused(
            "the server must be a URL of scheme, host and port", hint="https://host:6443"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and connection.allow_loopback):
        raise errors.AddressRefused("the server must be reached by https", hint="use an https:// address")
    if _is_address(parts.hostname):
        judged_addresses(connection, parts.hostname, parts.port or 443)
    if connection.proxy_url and urlsplit(connection.proxy_url).scheme not in ("http", "https"):
        raise errors.AddressRefused(
            "this kind of proxy is not supported yet", hint="use an http:// or https:// proxy"
        )


def judged_addresses(connection: Connection, host: str, port: int) -> tuple[str, ...]:
    """The addresses of `host` that may be dialled; AddressRefused when one may not, Unavailable without any."""
    private = ("0.0.0.0/0", "::/0") if connection.in_cluster else connection.private_networks
    try:
        checked = addresses.check_host(
            host, port, allow_loopback=connection.allow_loopback, private_networks=private
        )
    except addresses.AddressRefused as refused:
        if isinstance(refused.__cause__, OSError):
            raise errors.Unavailable(str(refused)) from None
        raise errors.AddressRefused(
            str(refused), hint="HUB_PRIVATE_NETWORKS lists the private ranges"
        ) from None
    return checked.addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class CheckedResolver(AbstractResolver):
    """Resolves, judges, and hands on only the judged addresses: what was checked is what is dialled (E9)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        addresses = await asyncio.get_running_loop().run_in_executor(
            None, judged_addresses, self._connection, host, port
        )
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is held open."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
