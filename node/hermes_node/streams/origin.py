"""From a connection's address to whom it is charged: an IPv4 address, or the /64 that an IPv6 address is one of."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote

from hermes_core.relay.strangers import Origin

IPV6_PREFIX_BITS = 64
"""What one subscriber has at least: within it addresses cost nothing."""


def find_origin(address: str) -> Origin:
    """Of an address as gRPC writes it; empty for one that is no IP address, a Unix socket's for example."""
    host = unquote(address).partition(":")[2].rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return str(ipaddress.ip_network((ip, IPV6_PREFIX_BITS), strict=False))
        ip = ip.ipv4_mapped
    return str(ip)
