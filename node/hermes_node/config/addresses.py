"""Parse host:port and seed addresses of the configuration."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from hermes_core.bounds import quote
from hermes_core.errors import ConfigError
from hermes_core.mesh.addresses import is_host, split_address


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is a name or an IP address without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Nobody reaches it from another machine: a loopback address, or the name of one (RFC 6761)."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.rstrip(".").lower() == "localhost"

    @property
    def every(self) -> bool:
        """Every address of a machine, to listen on; nobody can dial it."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def zoned(self) -> bool:
        """It means something on this machine alone."""
        return "%" in self.host

    def overlaps(self, other: Address) -> bool:
        """Whether listening on both cannot work: the same port of one host, or of every host and one of them."""
        if self.port != other.port or self.port == 0:
            return False
        return self.host == other.host or self._covers(other) or other._covers(self)

    def _covers(self, other: Address) -> bool:
        """0.0.0.0 is IPv6 as well."""
        return self.every and (":" not in self.host or ":" in other.host)


@dataclass(frozen=True, slots=True)
class Seed:
    """Where to look for other nodes; `resolve_all`: every address the name resolves to is one."""

    address: Address
    resolve_all: bool

    def __str__(self) -> str:
        return f"dns:{self.address}" if self.resolve_all else str(self.address)


def parse_address(text: str, field: str) -> Address:
    """Parse `host:port` or `[v6]:port`; ConfigError names `field`."""
    host, colon, port_text = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(field, f"{quote(text)}: put an IPv6 address in brackets, as in [::1]:8443")
    if not colon or not host or split_address(f"a:{port_text}") is None:
        raise ConfigError(field, f"{quote(text)} is not host:port")
    if not is_host(host, bracketed=bracketed):
        raise ConfigError(field, f"{quote(text)}: {quote(host)} is neither a host name nor an IP address")
    return Address(host, int(port_text))


def parse_seed(text: str, field: str) -> Seed:
    """Parse `host:port` or `dns:name:port`; ConfigError names `field`."""
    resolve_all = text.startswith("dns:")
    address = parse_address(text.removeprefix("dns:"), field)
    if address.port == 0:
        raise ConfigError(field, f"{quote(text)} needs a port")
    return Seed(address, resolve_all)


def parse_network(text: str, field: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Parse `192.0.2.0/24`, or one address; ConfigError names `field`."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ConfigError(field, f"{quote(text)} is no network: an address, or one with /bits and zeros behind them") from None
