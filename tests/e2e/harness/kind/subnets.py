"""The addresses of one kind cluster: a block that no route of this machine uses, and its parts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from tests.e2e.harness.commands import run
from tests.e2e.harness.errors import HarnessError

# Clear of what Kubernetes, Docker and the `local` cluster take by default (10.96, 10.244, 172.17 and up).
CANDIDATES = tuple(IPv4Network(f"10.{second}.0.0/16") for second in range(200, 244))


@dataclass(frozen=True)
class Subnets:
    """One block of /16: half of it for pods, the rest for services, nodes, and the link to this machine."""

    block: IPv4Network

    @property
    def pods(self) -> IPv4Network:
        """Kubernetes gives each node a /24 of it."""
        return next(self.block.subnets(new_prefix=17))

    @property
    def services(self) -> IPv4Network:
        """The addresses of services: they exist only inside the nodes."""
        return list(self.block.subnets(new_prefix=18))[2]

    @property
    def nodes(self) -> IPv4Network:
        """The engine's network that the nodes are in."""
        return list(self.block.subnets(new_prefix=24))[192]

    @property
    def host_end(self) -> IPv4Address:
        """This machine's address on the link."""
        return self._link[1]

    @property
    def namespace_end(self) -> IPv4Address:
        """The engine's address on the link: the way to nodes and pods."""
        return self._link[2]

    @property
    def link_prefix(self) -> int:
        """The length of the link's prefix."""
        return self._link.prefixlen

    @property
    def _link(self) -> IPv4Network:
        return list(self.block.subnets(new_prefix=30))[-1]


def parse_routes(routes: str) -> list[IPv4Network]:
    """Return the destinations in the answer of `ip -json route`, but for the default, which every address is in."""
    destinations = [str(route.get("dst", "default")) for route in json.loads(routes or "[]")]
    return [
        IPv4Network(destination, strict=False) for destination in destinations if destination not in {"default", "0.0.0.0/0"}
    ]


def choose_subnets(taken: list[IPv4Network]) -> Subnets:
    """Return the first block that overlaps nothing taken."""
    for block in CANDIDATES:
        if not any(block.overlaps(network) for network in taken):
            return Subnets(block)
    raise HarnessError("every block of addresses for a cluster is in use here", "see `ip route show table all`")


def free_subnets() -> Subnets:
    """Choose a block by the routes that this machine has now."""
    return choose_subnets(parse_routes(run(["ip", "-json", "-4", "route", "show", "table", "all"], cure="install iproute2")))
