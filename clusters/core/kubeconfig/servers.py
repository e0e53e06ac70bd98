"""Addresses that a kubeconfig or a form names: shape only (access-and-api.md CL3, CL6).

Which addresses may really be dialled is judged at every connect, on what the name resolves to (guard.addresses).
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from clusters.errors import KubeconfigRefused

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")

_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


def check_server(url: str) -> str:
    """The server's URL, without a trailing slash: a host, no user info, query or fragment (CL3).

    Plain http passes here only for a loopback host, which only demonstrations may dial.
    Raises KubeconfigRefused `server_invalid`.
    """
    parts = _split(url)
    if parts is None or not url.isascii() or not url.isprintable() or " " in url:
        raise _server("the server's address is malformed")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise _server("the server must be reached by https")
    if "@" in parts.netloc:
        raise _server("the server's address may not hold a user or password")
    if "?" in url or "#" in url:
        raise _server("the server's address may not have a query or fragment")
    if not _HOST.fullmatch(parts.hostname or "") or ".." in parts.path or "%" in url:
        raise _server("the server's address has no usable host or path")
    return url.rstrip("/")


def check_proxy(url: str) -> str:
    """A proxy URL of a shape we know, or nothing; which proxies are allowed is the caller's list (CL6).

    Credentials are stored apart. Raises KubeconfigRefused `kubeconfig_proxy_refused`.
    """
    parts = _split(url)
    if url and (
        parts is None or parts.scheme not in ("http", "https") or "@" in parts.netloc or not parts.hostname
    ):
        message = "proxy-url must be http or https, without user and password"
        raise KubeconfigRefused("kubeconfig_proxy_refused", message, hint="other kinds are not supported yet")
    return url


def check_host(name: str) -> str:
    """A host name for TLS, or nothing. Raises KubeconfigRefused `kubeconfig_invalid`."""
    if name and not _HOST.fullmatch(name):
        raise KubeconfigRefused("kubeconfig_invalid", "tls-server-name is no host name")
    return name


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _server(message: str) -> KubeconfigRefused:
    return KubeconfigRefused("server_invalid", message, hint="https://host:6443")
