"""From a connection's address to whom it is charged: an IPv4 address, or the networks that an IPv6 address is one of."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import unquote

from hermes_core.relay.strangers import Origin

IPV6_PREFIX_BITS: Final = (48, 56, 64)
"""What a site, a home and a machine are given (RFC 6177): addresses within the last cost nothing, and networks within the first
little."""


def find_origin(address: str) -> Origin:
    """Of an address as gRPC writes it; ("",) for one that is no IP address, a Unix socket's for example."""
    host = unquote(address).partition(":")[2].rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return ("",)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return tuple(str(ipaddress.ip_network((ip, bits), strict=False)) for bits in IPV6_PREFIX_BITS)
        ip = ip.ipv4_mapped
    return (str(ip),)
