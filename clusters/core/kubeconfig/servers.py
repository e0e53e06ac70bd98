"""Addresses that a kubeconfig or a form names: shape only (access-and-api.md CL3, CL6).

Which addresses may really be dialled is judged at every connect, on what the name resolves to (guard.addresses).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from clusters.errors import KubeconfigRefused

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")


def check_server(url: str, *, http: bool = False) -> str:
    """The server's URL, without a trailing slash: https, a host, no user info, query or fragment (CL3).

    `http` permits plain http, for demonstrations. Raises KubeconfigRefused `server_invalid`.
    """
    parts = _split(url)
    if parts is None or not url.isascii() or not url.isprintable() or " " in url:
        raise _server("the server's address is malformed")
    if parts.scheme != "https" and not (http and parts.scheme == "http"):
        raise _server("the server must be reached by https")
    if "@" in parts.netloc:
        raise _server("the server's address may not hold a user or password")
    if "?" in url or "#" in url:
        raise _server("the server's address may not have a query or fragment")
    if not _HOST.fullmatch(parts.hostname or "") or ".." in parts.path or "%" in url:
        raise _server("the server's address has no usable host or path")
    return url.rstrip("/")


def check_proxy(url: str, *, allowed: Collection[str]) -> str:
    """A proxy URL whose host is on the list; credentials are stored apart. Raises `kubeconfig_proxy_refused`."""
    if not url:
        return ""
    parts = _split(url)
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or "@" in parts.netloc
        or parts.hostname not in allowed
    ):
        message = "proxy-url names a proxy that is not on the list of allowed proxies"
        raise KubeconfigRefused("kubeconfig_proxy_refused", message, hint="ask an administrator to allow it")
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
