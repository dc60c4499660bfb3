"""Parse host:port and seed addresses of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.errors import ConfigError

MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is a name or an IP address without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Seed:
    """Where to look for other nodes; `resolve_all`: every address the name resolves to is one."""

    address: Address
    resolve_all: bool


def parse_address(text: str, field: str) -> Address:
    """Parse `host:port` or `[v6]:port`; ConfigError names `field`."""
    host, colon, port_text = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(field, f"{text!r}: put an IPv6 address in brackets, as in [::1]:8443")
    if not colon or not host or not port_text.isascii() or not port_text.isdigit() or int(port_text) > MAX_PORT:
        raise ConfigError(field, f"{text!r} is not host:port")
    return Address(host, int(port_text))


def parse_seed(text: str, field: str) -> Seed:
    """Parse `host:port` or `dns:name:port`; ConfigError names `field`."""
    resolve_all = text.startswith("dns:")
    address = parse_address(text.removeprefix("dns:"), field)
    if address.port == 0:
        raise ConfigError(field, f"{text!r} needs a port")
    return Seed(address, resolve_all)
