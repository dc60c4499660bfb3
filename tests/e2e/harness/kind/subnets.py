"""The addresses of one kind cluster: of each version a block that no route of this machine uses, and its parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from tests.e2e.harness.commands import run
from tests.e2e.harness.errors import HarnessError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

CANDIDATES: Mapping[int, tuple[Network, ...]] = {
    # Clear of what Kubernetes, Docker and the `local` cluster take by default (10.96, 10.244, 172.17 and up).
    4: tuple(IPv4Network(f"10.{second}.0.0/16") for second in range(200, 244)),
    # Unique local addresses, clear of fd00::/16, which kind, Docker's manual and many a machine take.
    6: tuple(IPv6Network(f"fd68:6572:6d{last:02x}::/48") for last in range(16)),
}
# Of each part the length of its prefix, and which of the parts of that length in the block it is.
_PODS = {4: (17, 0), 6: (56, 0)}  # Kubernetes gives each node a /24 or a /64 of it
_SERVICES = {4: (18, 2), 6: (112, 1 << 56)}  # the API server takes no range that is longer than /108
_NODES = {4: (24, 192), 6: (64, 2 << 8)}
_LINK = {4: (30, -1), 6: (126, -1)}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
# These every device of version 6 has, whoever made it.
_OF_EVERY_DEVICE = (IPv6Network("fe80::/10"), IPv6Network("ff00::/8"))


@dataclass(frozen=True)
class Subnets:
    """One block: half of it or less for pods, the rest for services, nodes, and the link to this machine."""

    block: Network

    @property
    def version(self) -> int:
        """The version of the protocol: 4 or 6."""
        return self.block.version

    @property
    def pods(self) -> Network:
        """Each node has a part of it."""
        return self._part(*_PODS[self.version])

    @property
    def services(self) -> Network:
        """The addresses of services: they exist only inside the nodes."""
        return self._part(*_SERVICES[self.version])

    @property
    def nodes(self) -> Network:
        """The engine's network that the nodes are in."""
        return self._part(*_NODES[self.version])

    @property
    def host_end(self) -> Address:
        """This machine's address on the link."""
        return self._link[1]

    @property
    def namespace_end(self) -> Address:
        """The engine's address on the link: the way to nodes and pods."""
        return self._link[2]

    @property
    def link_prefix(self) -> int:
        """The length of the link's prefix."""
        return self._link.prefixlen

    @property
    def _link(self) -> Network:
        return self._part(*_LINK[self.version])

    def _part(self, prefix: int, number: int) -> Network:
        """Return one of the parts of that length, counted from the end when negative."""
        count = 1 << (prefix - self.block.prefixlen)
        size = 1 << (self.block.max_prefixlen - prefix)
        return ip_network((int(self.block.network_address) + number % count * size, prefix))


def parse_routes(routes: str, version: int = 4) -> list[Network]:
    """Return the destinations in the answer of `ip -json route`, but for the default, which every address is in."""
    destinations = [str(route.get("dst", "default")) for route in json.loads(routes or "[]")]
    networks = [ip_network(it, strict=False) for it in destinations if it not in {"default", DEFAULT[version]}]
    return [network for network in networks if not any(_is_in(network, own) for own in _OF_EVERY_DEVICE)]


def choose_subnets(taken: list[Network], version: int = 4) -> Subnets:
    """Return the first block that overlaps nothing taken."""
    for block in CANDIDATES[version]:
        if not any(_overlap(block, network) for network in taken):
            return Subnets(block)
    cure = f"see `ip -{version} route show table all`"
    raise HarnessError("every block of addresses for a cluster is in use here", cure)


def free_subnets(version: int) -> Subnets:
    """Choose a block by the routes that this machine has now."""
    return choose_subnets(list_routes(version), version)


def list_routes(version: int) -> list[Network]:
    """Return the destinations of this machine's routes."""
    listed = run(["ip", "-json", f"-{version}", "route", "show", "table", "all"], cure="install iproute2")
    return parse_routes(listed, version)


def _is_in(one: Network, other: Network) -> bool:
    return one.version == other.version and _overlap(one, other) and one.prefixlen >= other.prefixlen


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
