"""Who may be dialled: resolve a host, judge every address, hand back the ones that are then pinned.

Loopback, link-local, multicast, unspecified and private addresses are refused unless allowed, metadata ones always;
mapped IPv6 forms are judged as the IPv4 address they carry (security-and-reliability.md E9).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_CGNAT = ipaddress.ip_network("100.64.0.0/10")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What hands out credentials of the machine, whichever private network it counts to.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)


class AddressRefused(Exception):
    """The host does not resolve, or resolves to an address that may not be dialled."""


@dataclass(frozen=True, slots=True)
class CheckedAddress:
    """A host and the addresses that were judged; connect to one of these and to nothing else."""

    host: str
    port: int
    addresses: tuple[str, ...]


def _plain(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def judge(text: str, *, allow_loopback: bool = False, private_networks: Sequence[str] = ()) -> str:
    """Why this address is refused, or an empty text when it may be dialled."""
    address = _plain(ipaddress.ip_address(text.split("%")[0]))
    if address.is_loopback:
        return "" if allow_loopback else "a loopback address"
    if address in _METADATA:
        return "a metadata address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_private):
        return "a multicast or reserved address"
    if address.is_private or address in _CGNAT or getattr(address, "is_site_local", False):
        allowed = any(address in ipaddress.ip_network(network, strict=False) for network in private_networks)
        return "" if allowed else "a private address outside HUB_PRIVATE_NETWORKS"
    return ""


def check_host(
    host: str, port: int, *, allow_loopback: bool = False, private_networks: Sequence[str] = ()
) -> CheckedAddress:
    """Resolve and judge. Raises AddressRefused when any address is refused: a mixed answer is not trusted."""
    if not host:
        raise AddressRefused("the host is empty")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"{host} cannot be resolved") from error
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        why = judge(address, allow_loopback=allow_loopback, private_networks=private_networks)
        if why:
            raise AddressRefused(f"{host} is {why}")
    return CheckedAddress(host, port, addresses)


def check_url(
    url: str, *, allow_loopback: bool = False, private_networks: Sequence[str] = ()
) -> CheckedAddress:
    """`check_host` for the host of a URL; the port defaults by scheme (https 443, http 80, ssh 22)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("the address is malformed") from error
    return check_host(
        parts.hostname or "",
        port or {"https": 443, "http": 80, "ssh": 22}.get(parts.scheme, 443),
        allow_loopback=allow_loopback,
        private_networks=private_networks,
    )
