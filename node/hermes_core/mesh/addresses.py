"""What addresses a node may tell others of itself: others dial them, so that whoever tells one chooses where they knock.

`host:port`, the host a DNS name, an IPv4 address, or an IPv6 address in brackets, and nothing else that a library might take:
no path of a socket, no scheme, no zone, no number that a resolver reads as an address. What leads nowhere but to the machine
or the link of whoever dials counts only for a node that is itself told of so: on one machine, as in a trial, all are.
A name can resolve to anything, and is not looked at: what is there has to show a certificate before anything is said.
"""

from __future__ import annotations

import ipaddress
import re
from enum import IntEnum
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError

MAX_PORT: Final = 65_535
MAX_HOST_CHARS: Final = 253

_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?\Z")
_NUMBER: Final = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9A-Fa-f]*)\.?\Z")
"""The last label of no name (RFC 3696): `2130706433` and `0x7f.1` are 127.0.0.1 to a resolver."""
_PORT: Final = re.compile(r"[0-9]{1,5}\Z")


class AddressScope(IntEnum):
    """From where an address leads to the same place."""

    MACHINE = 0
    LINK = 1
    WIDE = 2


def split_address(text: str) -> tuple[str, int] | None:
    """Host, without brackets, and port; None when it is not `host:port`."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not _PORT.match(port) or int(port) > MAX_PORT:
        return None
    host = host[1:-1] if bracketed else host
    return (host, int(port)) if is_host(host, bracketed=bracketed) else None


def is_host(host: str, *, bracketed: bool) -> bool:
    """Whether it is a name or an IPv4 address, or in brackets an IPv6 address."""
    if not bracketed and not _NUMBER.match(host):
        return len(host) <= MAX_HOST_CHARS and _NAME.match(host) is not None
    try:
        return isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address) is bracketed
    except ValueError:
        return False


def check_address(text: str) -> None:
    """INVALID_FRAME when no node may tell others this address of itself."""
    parts = split_address(text)
    if parts is None or parts[1] == 0 or "%" in parts[0]:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "an address is host:port, of a name or an IP address")
    ip = _parse_ip(parts[0])
    if ip is not None and (ip.is_unspecified or ip.is_multicast or str(ip) == "255.255.255.255"):
        raise ProtocolError(ErrorCode.INVALID_FRAME, "nobody can dial this address")


def may_lead(address: str, own: str) -> bool:
    """Whether a node that is reached at `own` may go to where another one says that it is."""
    try:
        check_address(address)
    except ProtocolError:
        return False
    return reach_of(address) >= reach_of(own)


def reach_of(address: str) -> AddressScope:
    parts = split_address(address)
    host = "" if parts is None else parts[0]
    ip = _parse_ip(host)
    if ip is None:
        name = host.rstrip(".").lower()
        return AddressScope.MACHINE if name == "localhost" or name.endswith(".localhost") else AddressScope.WIDE
    if ip.is_loopback:
        return AddressScope.MACHINE
    return AddressScope.LINK if ip.is_link_local else AddressScope.WIDE


def _parse_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip
