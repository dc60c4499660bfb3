"""The PROXY protocol's header, version 2: who it is that a load balancer connects for."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
MAX_BYTES: Final = 1024
"""With every extension; what real balancers add is a tenth of it."""

_HEAD_BYTES: Final = 16
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_TCP4: Final = 0x11
_TCP6: Final = 0x21
_V4_BYTES: Final = 4
_V6_BYTES: Final = 16
_PORT_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class Proxied:
    """`size`: bytes of the header. Without `host` the balancer speaks for itself: a health check of its own."""

    size: int
    host: str | None = None
    port: int = 0


def read_proxy_header(data: bytes) -> Proxied | bool | None:
    """None when it is not whole yet, False when it is none."""
    if data[: len(SIGNATURE)] != SIGNATURE[: len(data)]:
        return False
    if len(data) < _HEAD_BYTES:
        return None
    size = _HEAD_BYTES + int.from_bytes(data[14:16], "big")
    if data[12] not in {_LOCAL, _PROXY} or size > MAX_BYTES:
        return False
    if len(data) < size:
        return None
    return Proxied(size) if data[12] == _LOCAL else _read_source(data[:size])


def _read_source(data: bytes) -> Proxied | bool:
    size = len(data)
    width = {_TCP4: _V4_BYTES, _TCP6: _V6_BYTES}.get(data[13])
    if width is None or size < _HEAD_BYTES + 2 * (width + _PORT_BYTES):
        return False
    source = data[_HEAD_BYTES : _HEAD_BYTES + width]
    port = int.from_bytes(data[_HEAD_BYTES + 2 * width :][:_PORT_BYTES], "big")
    host = IPv4Address(source) if width == _V4_BYTES else IPv6Address(source)
    return Proxied(size, str(host), port)
