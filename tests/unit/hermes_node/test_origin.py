"""To whom a connection is charged."""

from __future__ import annotations

import pytest

from hermes_node.streams.origin import find_origin


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("ipv4:192.0.2.1:4711", ("192.0.2.1",)),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:4711", ("2001:db8:1::/48", "2001:db8:1::/56", "2001:db8:1:2::/64")),
        ("ipv6:[2001:db8:1:2::9]:1", ("2001:db8:1::/48", "2001:db8:1::/56", "2001:db8:1:2::/64")),
        ("ipv6:%5Bfe80::1%25eth0%5D:80", ("fe80::/48", "fe80::/56", "fe80::/64")),
        ("ipv6:%5B::ffff:192.0.2.1%5D:4711", ("192.0.2.1",)),
        ("unix:", ("",)),
        ("unix:/run/hermes.sock", ("",)),
        ("", ("",)),
        ("ipv4:not an address:1", ("",)),
    ],
)
def test_origin(address: str, origin: tuple[str, ...]) -> None:
    assert find_origin(address) == origin
