"""Who may be dialled, in any notation (E9)."""

from __future__ import annotations

import pytest

from guard.addresses import AddressRefused, check_host, judge

EVERYWHERE = ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
    ],
)
def test_e9_metadata_is_refused_even_where_every_private_network_is_permitted(address: str) -> None:
    assert judge(address, allow_loopback=True, private_networks=EVERYWHERE) == "a metadata address"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "a loopback address"),
        ("::1", "a loopback address"),
        ("::ffff:127.1.2.3", "a loopback address"),
        ("2002:7f00:1::", "a loopback address"),
        ("169.254.1.1", "a link-local address"),
        ("fe80::1%eth0", "a link-local address"),
        ("224.0.0.1", "a multicast or reserved address"),
        ("0.0.0.0", "a multicast or reserved address"),
        ("::127.0.0.1", "a multicast or reserved address"),
        ("10.1.2.3", "a private address outside HUB_PRIVATE_NETWORKS"),
        ("100.64.0.1", "a private address outside HUB_PRIVATE_NETWORKS"),
        ("::ffff:100.64.0.1", "a private address outside HUB_PRIVATE_NETWORKS"),
        ("fc00::1", "a private address outside HUB_PRIVATE_NETWORKS"),
        ("fec0::1", "a private address outside HUB_PRIVATE_NETWORKS"),
        ("198.51.100.1", "a private address outside HUB_PRIVATE_NETWORKS"),
        ("8.8.8.8", ""),
        ("2606:4700::1111", ""),
    ],
)
def test_e9_addresses_of_inner_networks_are_refused(address: str, why: str) -> None:
    assert judge(address) == why


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", ""])
def test_e9_odd_notations_are_judged_by_what_they_mean(host: str) -> None:
    with pytest.raises(AddressRefused):
        check_host(host, 443)
